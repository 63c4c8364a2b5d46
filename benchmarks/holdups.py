"""Measures for how long the event loop is held up at worst, in each phase of a board with ten thousand viewers.

A timer in the board's process is due every millisecond. The CPU that its thread has taken when it comes is the board's
own doing; what it comes late in wall-clock time is also what else ran on the core. All leaving at once has no target:
it happens in uvloop. ./dev bench holdups [--rounds N] [--quick] [--against CHECKOUT]
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks._events import check_all_posted, posts
from benchmarks._figures import CROWD, HOLD_UPS, OTHER, PAIDCHAT
from benchmarks._http import send
from benchmarks._processes import ROOT, SERVER_CORE, free_port, running, source
from benchmarks._records import Record
from benchmarks._rounds import Options, keep, measure, options
from benchmarks._servers import Server
from benchmarks._stores import settings, sqlite_store
from benchmarks._viewers import Viewers
from benchmarks._watched_board import Order

POSTS, BURST = 20, 60
PINGED_S = 22  # until every viewer was pinged
SETTLED_S = 1


@contextlib.contextmanager
def watched(checkout: Path) -> Iterator[Server]:
    """Run a checkout's board with a watched event loop."""
    port = free_port()
    with sqlite_store(checkout) as store:
        environment = {**settings(store, f"http://127.0.0.1:{port}", "http://127.0.0.1:9"), **source(checkout)}
        command = (sys.executable, "-m", "benchmarks._watched_board", str(port))
        with running(*command, core=SERVER_CORE, **environment) as process:
            yield Server(port, process, store)


def take(server: Server) -> tuple[float, float]:
    """Return the longest hold-up since this was last called, in µs of CPU and of wall-clock time."""
    return server.process.ask(Order.CPU), server.process.ask(Order.WALL)


def begin_epoch(server: Server, checkout: Path) -> None:
    """Begin a new epoch, as an operator does after restoring a backup. Stripe can't be asked what is missing since."""
    assert server.store
    nowhere = "http://127.0.0.1:9"
    environment = os.environ | source(checkout) | settings(server.store, nowhere, nowhere)
    command = [sys.executable, "-m", "paidchat", "migrate", "--new-epoch"]
    done = subprocess.run(command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True)
    assert "A new epoch has begun" in done.stdout + done.stderr, done.stderr


def phases(how: Options, checkout: Path) -> Iterator[tuple[str, float, float]]:
    """Let a crowd come, be served, be sent away, come back and leave; yields each phase and its longest hold-up."""
    with watched(checkout) as server:
        with Viewers(server.port, 1):
            time.sleep(SETTLED_S)  # the first request makes FastAPI prepare the routes
        take(server)
        with Viewers(server.port, CROWD) as viewers:
            yield "connecting", *take(server)
            time.sleep(SETTLED_S)
            take(server)
            for request in posts(server, how.amount(POSTS)):
                send(server.port, [request])
                viewers.await_entries(1)
            yield "posting", *take(server)
            send(server.port, posts(server, BURST))
            viewers.await_entries(BURST)
            yield "burst", *take(server)
            time.sleep(PINGED_S)
            yield "pinging", *take(server)
            server.process.ask(Order.COLLECT)
            yield "garbage collection", *take(server)
            check_all_posted(server)  # a new epoch skips places
            viewers.let_end()
            begin_epoch(server, checkout)
            viewers.await_end()
            yield "new epoch", *take(server)
        with Viewers(server.port, CROWD):
            take(server)
        time.sleep(SETTLED_S)
        yield "all leaving at once", *take(server)
        with Viewers(server.port, CROWD) as viewers:
            viewers.let_end()
            take(server)
            os.kill(server.process.pid, signal.SIGTERM)
            viewers.await_end()
            assert server.process.answers
            cpu, wall = (float(server.process.answers.readline()) for _ in ("CPU", "wall"))
            yield "shutdown", cpu, wall


def measure_checkout(how: Options, subject: str, checkout: Path) -> Iterator[Record]:
    """Measure the phases."""
    for phase, cpu, wall in phases(how, checkout):
        yield Record(HOLD_UPS[phase], subject, cpu, wall)


def main() -> None:
    """Measure each subject."""
    how = options()
    checkouts = {PAIDCHAT: ROOT} | ({OTHER: how.against} if how.against else {})
    keep("holdups", how, measure(how, list(checkouts.items()), lambda each: measure_checkout(how, *each)))


if __name__ == "__main__":
    main()
