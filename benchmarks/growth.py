"""Measures whether a large board costs more than a small one: pages, catching up, and posting.

./dev bench growth [--rounds N] [--quick] [--messages 1000000]
"""

import time
from collections.abc import Iterator

from benchmarks._events import check_all_posted, posts
from benchmarks._figures import GROWN_CATCH_UP, GROWN_MIDDLE, GROWN_PAGE, GROWN_WEBHOOK, LARGE, SMALL
from benchmarks._http import request, send
from benchmarks._load import cost
from benchmarks._records import Record
from benchmarks._rounds import Options, keep, measure, options
from benchmarks._servers import Server, board
from benchmarks._stores import EPOCH, HISTORY, sqlite_store
from benchmarks._viewers import Viewers

READS, DEEP_READS, SUBSCRIBERS, ENTRIES, WEBHOOKS = 2_000, 500, 200, 100, 640


def catch_up(name: str, server: Server, head: int, count: int) -> Record:
    """Let subscribers resume, each 100 entries back, and wait until all have caught up."""
    path = f"/api/feed?after={head - ENTRIES}&epoch={EPOCH}"
    before, began = server.process.cpu_us(), time.perf_counter()
    with Viewers(server.port, count, path) as viewers:
        viewers.await_entries(ENTRIES)
        wall = time.perf_counter() - began
        cpu = server.process.cpu_us() - before
    return Record(GROWN_CATCH_UP, name, cpu / count, wall * 1e6 / count)


def measure_size(how: Options, name: str, messages: int) -> Iterator[Record]:
    """Measure a board with so many messages."""
    with sqlite_store(messages=messages) as store, board(store) as server:
        for figure, path, count in (
            (GROWN_PAGE, "/api/messages", READS),
            (GROWN_MIDDLE, f"/api/messages?before={messages // 2}", DEEP_READS),
        ):
            reads = [request("GET", path)] * how.amount(count)
            send(server.port, reads[:100])
            record, bodies = cost(figure, name, server, reads)
            assert len(bodies) == 1, bodies
            yield record
        catch_up(name, server, messages, how.amount(SUBSCRIBERS))  # the first after those reads takes half more
        yield catch_up(name, server, messages, how.amount(SUBSCRIBERS))
        send(server.port, posts(server, 64))
        yield cost(GROWN_WEBHOOK, name, server, posts(server, how.amount(WEBHOOKS)))[0]
        check_all_posted(server)


def main() -> None:
    """Measure a small board and a large one."""
    how = options()
    sizes = [(SMALL, HISTORY), (LARGE, how.messages)]
    keep("growth", how, measure(how, sizes, lambda size: measure_size(how, *size)))


if __name__ == "__main__":
    main()
