"""Load that waits for nothing: so many requests a second arrive, whether or not the earlier ones are answered."""

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

import uvloop

from benchmarks._http import whole_answer

if TYPE_CHECKING:
    from collections.abc import Callable

OPEN_AT_MOST = 4_000  # connections; who arrives while all are busy is turned away
TICK_S = 0.005
PATIENCE_S = 30  # for what is unanswered when no more arrive


@dataclass
class Outcome:
    """What became of the requests that arrived."""

    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0  # connections lost before the answer
    turned_away: int = 0
    slowest_s: float = 0.0
    took_s: float = 0.0  # until the last answer

    @property
    def failed(self) -> int:
        """How many got anything but a 200."""
        return self.broken + self.turned_away + sum(n for status, n in self.statuses.items() if status != 200)  # noqa: PLR2004


class _Connection(asyncio.Protocol):
    """Sends one request at a time, and hands each answer's status on; 0 if the connection broke first."""

    def __init__(self, answered: "Callable[[_Connection, int], None]") -> None:
        self._answered = answered
        self._received = b""
        self.request: bytes | None = None
        self.sent_at = 0.0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes) -> None:
        self.request, self.sent_at = request, time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        answer = whole_answer(self._received)
        if answer is None:
            return
        head, _ = answer
        self._received = b""
        if b"\r\nconnection: close\r\n" in head:
            self.transport.close()
        self._answered(self, int(head.split(b" ", 2)[1]))

    def connection_lost(self, _error: Exception | None) -> None:
        self._answered(self, 0)


class Arrivals:
    """Takes requests from a queue at a rate, and puts back at its end what was not answered with a 200."""

    def __init__(self, port: int, waiting: deque[bytes]) -> None:
        self._port = port
        self._waiting = waiting
        self._idle: list[_Connection] = []
        self._open = 0
        self._quiet = asyncio.Event()  # no request is unanswered
        self._quiet.set()
        self._outcome = Outcome()

    def run(self, rate: float, seconds: float) -> Outcome:
        """Let requests arrive for so many seconds, and wait for their answers."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._run(rate, seconds))
        return self._outcome

    async def _run(self, rate: float, seconds: float) -> None:
        began = time.perf_counter()
        arrived = 0
        while (now := time.perf_counter() - began) < seconds:
            assert self._waiting, "all requests are answered, so this was no overload"
            for _ in range(int(rate * now) - arrived):
                arrived += 1
                await self._arrive()
            await asyncio.sleep(TICK_S)
        async with asyncio.timeout(PATIENCE_S):
            await self._quiet.wait()
        self._outcome.took_s = time.perf_counter() - began
        for connection in self._idle:
            connection.transport.abort()

    async def _arrive(self) -> None:
        if not self._waiting or (self._open >= OPEN_AT_MOST and not self._idle):
            self._outcome.turned_away += 1
            return
        request = self._waiting.popleft()
        self._quiet.clear()
        if self._idle:
            self._idle.pop().send(request)
            return
        try:
            connect = asyncio.get_running_loop().create_connection(
                partial(_Connection, self._answered), "127.0.0.1", self._port
            )
            _, connection = await connect
        except OSError:
            self._outcome.broken += 1
            self._waiting.append(request)
            self._look_around()
            return
        self._open += 1
        connection.send(request)

    def _answered(self, connection: _Connection, status: int) -> None:
        request, connection.request = connection.request, None
        if request is not None:
            self._note(connection, request, status)
        if status:
            self._idle.append(connection)
        else:
            self._open -= 1
            self._idle = [each for each in self._idle if each is not connection]
        self._look_around()

    def _look_around(self) -> None:
        if len(self._idle) == self._open:
            self._quiet.set()

    def _note(self, connection: _Connection, request: bytes, status: int) -> None:
        self._outcome.slowest_s = max(self._outcome.slowest_s, time.perf_counter() - connection.sent_at)
        if not status:
            self._outcome.broken += 1
        else:
            self._outcome.statuses[status] += 1
        if status != 200:  # noqa: PLR2004
            self._waiting.append(request)
