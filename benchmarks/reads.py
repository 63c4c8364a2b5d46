"""Measures what reading costs: the newest page, the board, a payment, and the health check.

./dev bench reads [--rounds N] [--quick] [--against CHECKOUT]
"""

import json
from collections.abc import Iterator

from benchmarks._events import check_all_posted, posts
from benchmarks._figures import BOARD, FASTIFY, HEALTH, LOOK_UP, NEWEST_PAGE, OTHER, PAIDCHAT, READY_BYTES
from benchmarks._http import request, send
from benchmarks._load import cost
from benchmarks._records import Record
from benchmarks._rounds import keep, measure, options
from benchmarks._servers import Server
from benchmarks._stores import HISTORY
from benchmarks._subjects import Subject, express, fastify, paidchat, plain

PATHS = {NEWEST_PAGE: "/api/messages", BOARD: "/api/board", HEALTH: "/healthz"}
READS, WARM_UP, PAGE_MESSAGES = 4_000, 200, 50


def check_answer(name: str, bodies: set[bytes]) -> None:
    """Check that every answer was the same, and right."""
    [body] = bodies
    answer = json.loads(body)
    if name == NEWEST_PAGE:
        ids = [message["id"] for message in answer["messages"]]
        assert ids == list(range(HISTORY - PAGE_MESSAGES + 1, HISTORY + 1)), ids
        assert answer["seq"] == HISTORY, answer["seq"]
    elif name == BOARD:
        tiers = [{"amount": 100, "pinned_seconds": 0}]
        assert answer["price"] == {"amount": 100, "currency": "usd", "tiers": tiers}, answer
    elif name == LOOK_UP:
        assert answer["status"] == "fulfilled", answer


def read(name: str, subject: str, server: Server, path: str, count: int) -> Record:
    """Read a path again and again, and check every answer."""
    reads = [request("GET", path)] * count
    send(server.port, reads[:WARM_UP])
    record, bodies = cost(name, subject, server, reads)
    check_answer(name, bodies)
    return record


def look_up(subject: str, server: Server, count: int) -> Record:
    """Look up a payment that is fulfilled; only the board can."""
    send(server.port, posts(server, 1))
    check_all_posted(server)
    assert server.store is not None
    [[payment_id]] = server.store.sql("SELECT payment_id FROM message ORDER BY id DESC LIMIT 1")
    return read(LOOK_UP, subject, server, f"/api/payments/{payment_id}", count)


def main() -> None:
    """Measure each path on each subject."""
    how = options()
    count = how.amount(READS)

    def run(subject: Subject) -> Iterator[Record]:
        with subject.serve() as server:
            for name, path in PATHS.items():
                yield read(name, subject.name, server, path, count)
            if subject.name == FASTIFY:
                yield read(NEWEST_PAGE, READY_BYTES, server, "/bytes", count)
            if subject.name in {PAIDCHAT, OTHER}:
                yield look_up(subject.name, server, count // 4)

    keep("reads", how, measure(how, how.with_other([paidchat, express, fastify, plain]), run))


if __name__ == "__main__":
    main()
