"""Measures several processes on one PostgreSQL: webhooks shared out among them, and a message to another's viewers.

All of them run on one core, so CPU is what to compare: what a webhook costs should not depend on the processes.
./dev bench processes [--rounds N] [--quick]
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks._events import check_all_posted, posts
from benchmarks._figures import ACROSS_PROCESSES, FEW, OVER_PROCESSES
from benchmarks._http import send, send_to
from benchmarks._postgres import PostgresServer, postgres_server
from benchmarks._records import Record
from benchmarks._rounds import Options, keep, measure, options
from benchmarks._servers import board
from benchmarks._viewers import SETTLED_S, Viewers

PROCESSES = (1, 2, 4)
WEBHOOKS, WARM_UP = 1_280, 128
POSTS, FIRST_POSTS = 100, 10


def measure_processes(how: Options, postgres: PostgresServer, count: int) -> Iterator[Record]:
    """Measure so many processes."""
    store = postgres.store()
    with ExitStack() as stack:
        servers = [stack.enter_context(board(store)) for _ in range(count)]
        ports = [server.port for server in servers]
        name = f"{count} process{'es' if count > 1 else ''}"
        send_to(ports, posts(servers[0], WARM_UP))
        requests = posts(servers[0], how.amount(WEBHOOKS))
        before, began = sum(server.process.cpu_us() for server in servers), time.perf_counter()
        send_to(ports, requests)
        wall = (time.perf_counter() - began) * 1e6
        cpu = sum(server.process.cpu_us() for server in servers) - before
        yield Record(OVER_PROCESSES, name, cpu / len(requests), wall / len(requests))
        time.sleep(SETTLED_S)
        with Viewers(ports[-1], FEW) as viewers:
            times = []
            for each in posts(servers[0], FIRST_POSTS + how.amount(POSTS)):
                began = time.monotonic()
                send(ports[0], [each])
                times.append((viewers.await_entries(1) - began) * 1e6)
            yield Record(ACROSS_PROCESSES, name, wall=statistics.median(times[FIRST_POSTS:]))
        check_all_posted(servers[0])


def main() -> None:
    """Measure one process, and more."""
    how = options()
    with postgres_server() as postgres:
        keep("processes", how, measure(how, PROCESSES, lambda count: measure_processes(how, postgres, count)))


if __name__ == "__main__":
    main()
