"""Measures what starting a payment costs, beside Stripe's own client creating the same session and doing nothing else.

Both ask one sandbox, which is a process of its own on the load's core. Then payments come at a steady rate, while
another process keeps that core busy: each must still be answered with its session.
./dev bench payments [--rounds N] [--quick] [--against CHECKOUT]
"""

import json
import sys
import time
from collections.abc import Iterator

from benchmarks._figures import CREATE_ALONE, PAYMENT, PAYMENT_WHEN_BUSY
from benchmarks._http import request, send
from benchmarks._load import cost
from benchmarks._processes import LOAD_CORE, PEERS, READY, running
from benchmarks._records import Record
from benchmarks._rounds import Options, keep, measure, options
from benchmarks._servers import Server
from benchmarks._stores import TEXT
from benchmarks._subjects import Subject, paidchat

PAYMENTS, WARM_UP = 400, 32
A_SECOND, SECONDS = 20, 60  # when busy; they come all at once, at the beginning of a second
BUSY = f"print('{READY}', flush=True)\nwhile True: pass"


def pay(name: str, server: Server, count: int) -> Record:
    """Start payments, and check that each got a session of its own."""
    assert server.store is not None
    body = json.dumps({"text": TEXT}).encode()
    requests = [request("POST", "/api/payments", body)] * count
    send(server.port, requests[:WARM_UP], status=201)
    record, bodies = cost(PAYMENT, name, server, requests, status=201)
    assert len({json.loads(each)["checkout_url"] for each in bodies}) == count
    [[stored]] = server.store.sql("SELECT count(*) FROM payment WHERE session_id LIKE 'cs_%'")
    assert int(stored) == count + WARM_UP, stored
    return record


def create_alone(server: Server, count: int) -> Record:
    """Create sessions with the parameters of the payments that were just started."""
    assert server.store is not None
    [[parameters]] = server.store.sql("SELECT stripe_params FROM payment WHERE session_id LIKE 'cs_%' LIMIT 1")
    with running(sys.executable, PEERS / "sessions.py", server.stripe, parameters) as process:
        process.ask(WARM_UP)
        before, began = process.cpu_us(), time.perf_counter()
        assert process.ask(count) == count
        wall = (time.perf_counter() - began) * 1e6
        return Record(PAYMENT, CREATE_ALONE, (process.cpu_us() - before) / count, wall / count)


def pay_when_busy(name: str, server: Server, seconds: int) -> Record:
    """Start payments at a steady rate beside another load; fails if any is answered with anything but its session."""
    assert server.store is not None
    requests = [request("POST", "/api/payments", json.dumps({"text": TEXT}).encode())] * A_SECOND
    with running(sys.executable, "-c", BUSY, core=LOAD_CORE):
        before, answering = server.process.cpu_us(), 0.0
        for _ in range(seconds):
            began = time.perf_counter()
            send(server.port, requests, status=201)
            took = time.perf_counter() - began
            answering += took
            time.sleep(max(0, 1 - took))
        cpu = server.process.cpu_us() - before
    count = seconds * A_SECOND
    return Record(PAYMENT_WHEN_BUSY, name, cpu / count, answering * 1e6 / count)


def measure_subject(how: Options, subject: Subject) -> Iterator[Record]:
    """Measure a board's payments, and beside our own what Stripe's client takes alone."""
    with subject.serve() as server:
        yield pay(subject.name, server, how.amount(PAYMENTS))
        if subject is paidchat:
            yield create_alone(server, how.amount(PAYMENTS))
            yield pay_when_busy(subject.name, server, how.amount(SECONDS))


def main() -> None:
    """Measure each subject."""
    how = options()
    keep("payments", how, measure(how, how.with_other([paidchat]), lambda subject: measure_subject(how, subject)))


if __name__ == "__main__":
    main()
