"""HTTP load: requests over a few connections, each answered before the next, and every answer checked."""

import asyncio
import itertools
from collections.abc import Sequence
from functools import partial
from typing import cast

import uvloop

AT_ONCE = 32
TIMEOUT_S = 120
_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


def whole_answer(received: bytes) -> tuple[bytes, bytes] | None:
    """Return the head, in lower case, and the body of an answer, or None if there is more to come.

    Raises:
        ValueError: it does not say how long its body is.
    """
    head, found, body = received.partition(_END)
    if not found:
        return None
    head = head.lower() + b"\r\n"
    length = int(head.partition(_LENGTH)[2].partition(b"\r\n")[0])
    return (head, body) if len(body) >= length else None


class _Connection(asyncio.Protocol):
    """Sends what is waiting, one request after the other."""

    def __init__(self, waiting: list[bytes], expected: bytes, bodies: set[bytes], done: "asyncio.Future[None]") -> None:
        self._waiting = waiting
        self._expected = expected
        self._bodies = bodies
        self._done = done
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send_next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        answer = whole_answer(self._received)
        if answer is None:
            return
        head, body = answer
        if not head.startswith(self._expected):
            self._fail(self._received)
            return
        self._bodies.add(body)
        self._received = b""
        self._send_next()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(str(error).encode())

    def _send_next(self) -> None:
        if self._waiting:
            self._transport.write(self._waiting.pop())
        elif not self._done.done():
            self._done.set_result(None)
            self._transport.close()

    def _fail(self, words: bytes) -> None:
        if not self._done.done():
            self._done.set_exception(AssertionError(words[:500]))


def request(method: str, path: str, body: bytes = b"", more: str = "") -> bytes:
    """Return a request's bytes."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


def send(port: int, requests: Sequence[bytes], *, at_once: int = AT_ONCE, status: int = 200) -> set[bytes]:
    """Send every request once; returns the different bodies that came back.

    Raises:
        AssertionError: an answer has another status, or a connection broke.
    """
    return send_to([port], requests, at_once=at_once, status=status)


def send_to(
    ports: Sequence[int], requests: Sequence[bytes], *, at_once: int = AT_ONCE, status: int = 200
) -> set[bytes]:
    """Send every request once, over connections to each of the ports; returns the different bodies that came back.

    Raises:
        AssertionError: an answer has another status, or a connection broke.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_send(ports, requests, at_once, f"http/1.1 {status} ".encode()))


async def _send(ports: Sequence[int], requests: Sequence[bytes], at_once: int, expected: bytes) -> set[bytes]:
    loop = asyncio.get_running_loop()
    waiting, bodies = list(reversed(requests)), set[bytes]()
    async with asyncio.timeout(TIMEOUT_S):
        done = [loop.create_future() for _ in range(min(at_once, len(requests)))]
        for each, port in zip(done, itertools.cycle(ports), strict=False):
            connect = partial(_Connection, waiting, expected, bodies, each)
            await loop.create_connection(connect, "127.0.0.1", port)
        await asyncio.gather(*done)
    return bodies
