"""A board whose event loop is watched: `python -m benchmarks._watched_board PORT`, with settings in the environment.

A line on standard input asks for the longest hold-up since the last line, in µs: of CPU or of wall-clock time. The last
hold-up, of the shutdown, is printed at the end.
"""

import asyncio
import gc
import signal
import sys
import threading
import time
from enum import IntEnum
from typing import Final

from benchmarks._processes import READY
from paidchat.app import create_app
from paidchat.observability import configure_logging
from paidchat.serving import descriptors, heap
from paidchat.serving.server import Server, listen, server_config
from paidchat.settings import load_settings

TICK_S: Final = 0.001


class Order(IntEnum):
    """What a line asks for."""

    CPU = 0  # the longest hold-up since CPU was last asked for, in µs of the event loop's thread
    WALL = 1  # the same in µs of wall-clock time
    COLLECT = 2  # a full garbage collection now


class Watch:
    """A timer that is due every millisecond, and how much too late it came at worst."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._before = (time.thread_time(), time.perf_counter())
        self._longest = [0.0, 0.0]
        self._tick()

    def _tick(self) -> None:
        now = (time.thread_time(), time.perf_counter())
        cpu, wall = now[0] - self._before[0], now[1] - self._before[1] - TICK_S
        self._longest = [max(self._longest[0], cpu), max(self._longest[1], wall)]
        self._before = now
        self._loop.call_later(TICK_S, self._tick)

    def take(self, order: Order) -> int:
        """Do what is asked for; returns the answer."""
        if order is Order.COLLECT:
            return gc.collect()
        longest, self._longest[order] = self._longest[order], 0.0
        return round(longest * 1e6)


def main() -> None:
    """Serve until stopped."""
    settings = load_settings()
    configure_logging(settings.log_format)
    descriptors.raise_limit(settings.max_viewers)
    watches: list[Watch] = []

    def read_orders(loop: asyncio.AbstractEventLoop) -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lambda order: print(watches[0].take(order), flush=True), Order(int(line)))

    def ready() -> None:
        heap.settle()
        loop = asyncio.get_running_loop()
        watches.append(Watch(loop))
        threading.Thread(target=read_orders, args=(loop,), daemon=True).start()
        print(READY, flush=True)

    signal.signal(signal.SIGTERM, lambda *_: None)  # which the server raises again when it has shut down
    server = Server(server_config(create_app(settings), trusted_proxies=settings.trusted_proxies), ready)
    server.run(sockets=[listen("127.0.0.1", int(sys.argv[1]))])
    for order in (Order.CPU, Order.WALL):
        print(watches[0].take(order), flush=True)


if __name__ == "__main__":
    main()
