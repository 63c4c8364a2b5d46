"""WS /api/feed: what a client may send, frame by frame (RFC 6455), on connections in each state that they can be in."""

import asyncio
import contextlib
import gc
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.network.raw_http import RawHttp, handshake
from tests.support.network.raw_socket import CLOSE, TEXT, RawSocket
from tests.support.served import Served, served_board

pytestmark = pytest.mark.any_database
CONT, BINARY, PING, PONG = 0x0, 0x2, 0x9, 0xA
FIN, MASKED = 0x80, 0x80
MAX_FRAME = 1024
MOST_BYTES_PER_VIEWER = 6 * 1024
CROWD = 200
EAGER, EAGER_PINGS, EAGER_CHUNK = 60, 60, 50  # connections, pings of each, and bytes written at once


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes = bytes(4), size: int = 0) -> bytes:
    """Encode a client's frame; `size` is how many bytes encode its length, if not the fewest."""
    length = len(payload)
    short = length < 126 and not size
    bytes_of_length = b"" if short else length.to_bytes(size or 2)
    second = MASKED | (length if short else 127 if size == 8 else 126)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([(FIN if fin else 0) | opcode, second]) + bytes_of_length + mask + masked


WATCH = b'{"type": "watch", "payment_id": "of none"}'
LAST = frame(PING, b"last")


class Case(NamedTuple):
    """What a client sends, and what it gets; repeated answers count once."""

    sent: bytes
    answers: list[str]


def stays(sent: bytes, *answers: str) -> Case:
    """A case after which the connection is open: a last ping is answered."""
    return Case(sent, [*answers, "pong last"])


def ends(sent: bytes, *answers: str) -> Case:
    """A case that ends the connection."""
    return Case(sent, list(answers))


CASES = {
    "nothing": stays(b""),
    "a ping": stays(frame(PING, b"a"), "pong a"),
    "an empty ping": stays(frame(PING), "pong "),
    "a masked ping": stays(frame(PING, b"hello", mask=b"\x01\x02\x03\x04"), "pong hello"),
    "the longest ping": stays(frame(PING, b"p" * 125), "pong " + "p" * 125),
    "a ping that is too long": ends(frame(PING, b"p" * 126), "close 1002"),
    "half a ping": ends(frame(PING, b"a", fin=False), "close 1002"),
    "pongs that nobody asked for": stays(frame(PONG) + frame(PONG, b"a")),
    "a watch": stays(frame(TEXT, WATCH), "not_found"),
    "a watch in two parts": stays(frame(TEXT, WATCH[:9], fin=False) + frame(CONT, WATCH[9:]), "not_found"),
    "a ping in a watch": stays(
        frame(TEXT, WATCH[:9], fin=False) + frame(PING, b"a") + frame(CONT, WATCH[9:]), "not_found", "pong a"
    ),
    "a pong in a watch": stays(frame(TEXT, WATCH[:9], fin=False) + frame(PONG) + frame(CONT, WATCH[9:]), "not_found"),
    "a watch in empty parts": stays(
        frame(TEXT, fin=False) + frame(CONT, fin=False) * 5 + frame(CONT, WATCH), "not_found"
    ),
    "a long encoding of a length": stays(frame(TEXT, b"{}", size=2), "invalid_request"),
    "a longer encoding of a length": stays(
        frame(TEXT, b"{}", size=8) + frame(TEXT, WATCH), "invalid_request", "not_found"
    ),
    "binary": stays(frame(BINARY, WATCH), "invalid_request"),
    "a character in two parts": stays(frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"\xa9"), "invalid_request"),
    "three bad frames": ends(frame(TEXT, b"{}") * 3, "invalid_request", "close 1008"),
    "too many frames": ends(frame(PING) * 100, "pong ", "close 1008"),
    "too many pongs": ends(frame(PONG) * 100, "close 1008"),
    "too many parts": ends(frame(TEXT, fin=False) + frame(CONT, fin=False) * 100, "close 1008"),
    "the longest message": stays(frame(TEXT, b" " * MAX_FRAME), "invalid_request"),
    "a message too long": ends(frame(TEXT, b" " * (MAX_FRAME + 1)), "close 1009"),
    "a message too long in parts": ends(frame(TEXT, b" " * 1000, fin=False) + frame(CONT, b" " * 25), "close 1009"),
    "a length without end": ends(b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + bytes(4), "close 1009"),
    "not UTF-8": ends(frame(TEXT, b"\xff"), "close 1007"),
    "not UTF-8 in parts": ends(frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"\x28"), "close 1007"),
    "a surrogate": ends(frame(TEXT, b"\xed\xa0\x80"), "close 1007"),
    "an unmasked frame": ends(b"\x81\x02{}", "close 1002"),
    "an opcode that is none": ends(frame(0x3), "close 1002"),
    "a control opcode that is none": ends(frame(0xB), "close 1002"),
    "a reserved bit": ends(bytes([FIN | 0x40 | TEXT]) + frame(TEXT, b"{}")[1:], "close 1002"),
    "a part of nothing": ends(frame(CONT, b"{}"), "close 1002"),
    "a message within a message": ends(frame(TEXT, b"{", fin=False) + frame(TEXT, b"{}"), "close 1002"),
    "a close": ends(frame(CLOSE, b"\x03\xe8bye"), "close 1000"),
    "a close without a code": ends(frame(CLOSE), "close "),
    "a close of our own code": ends(frame(CLOSE, b"\x0f\xa0"), "close 4000"),
    "a close of one byte": ends(frame(CLOSE, b"\x03"), "close 1002"),
    "a close with a code that is none": ends(frame(CLOSE, b"\x03\xed"), "close 1002"),
    "a close that is not UTF-8": ends(frame(CLOSE, b"\x03\xe8\xff"), "close 1007"),
    "a close within a message": ends(frame(TEXT, b"{", fin=False) + frame(CLOSE, b"\x03\xe8"), "close 1002"),
    "a watch before a close": ends(frame(TEXT, WATCH) + frame(CLOSE, b"\x03\xe8"), "not_found", "close 1000"),
}


async def answers(connection: RawSocket) -> list[str]:
    """Read until a close frame or the answer to the last ping; return each answer once, in order."""
    found: dict[str, None] = {}
    while "pong last" not in found:
        opcode, payload = await connection.frame()
        if opcode == PONG:
            found[f"pong {payload.decode()}"] = None
        elif opcode == CLOSE:
            found[f"close {int.from_bytes(payload[:2]) if payload else ''}"] = None
            break
        else:
            found[json.loads(payload)["code"]] = None
    return list(found)


@contextlib.asynccontextmanager
async def accepted(served: Served, sent: bytes) -> AsyncIterator[RawSocket]:
    """Shake hands, and send more at once; yields the connection after its first frame."""
    connection = await RawHttp.connect(served)
    try:
        connection.send(handshake() + sent)
        assert (await connection.answer()).status == 101
        opened = RawSocket(connection.reader, connection.writer)
        assert json.loads((await opened.frame()).payload)["type"] == "snapshot"
        yield opened
    finally:
        connection.writer.transport.abort()


async def outcome(served: Served, state: str, case: Case) -> list[str]:
    """Send frames on a connection in this state, and return what the server answers."""
    sent = case.sent + (LAST if "pong last" in case.answers else b"")
    async with asyncio.timeout(20), accepted(served, sent if state == "new" else b"") as connection:
        if state == "woken":
            connection.writer.write(frame(PING, b"early"))
            assert (await connection.frame()).payload == b"early"
        answering = asyncio.create_task(answers(connection))
        for piece in {"new": [], "slow": in_pieces(sent)}.get(state, [sent]):
            connection.writer.write(piece)
            await asyncio.sleep(0.001)
            if answering.done():
                break
        return await answering


def in_pieces(sent: bytes) -> list[bytes]:
    """Cut bytes into pieces that are shorter than any frame."""
    return [sent[start : start + 5] for start in range(0, len(sent), 5)]


@pytest.mark.parametrize("state", ["new", "idle", "woken", "slow"])
async def test_each_frame_has_its_answer(state: str, tmp_path: Path) -> None:
    """Frames are answered alike with the handshake, on an idle connection, on one that has spoken, and in pieces."""
    with served_board(tmp_path) as served:
        found: dict[str, list[str]] = {}
        for start in range(0, len(CASES), 20):
            names = list(CASES)[start : start + 20]
            outcomes = await asyncio.gather(*(outcome(served, state, CASES[name]) for name in names))
            found |= {name: sorted(each) for name, each in zip(names, outcomes, strict=True)}
    assert found == {name: sorted(case.answers) for name, case in CASES.items()}


@contextlib.contextmanager
def sockets() -> Iterator[list[socket.socket]]:
    """Sockets that are closed in the end."""
    opened: list[socket.socket] = []
    try:
        yield opened
    finally:
        for each in opened:
            each.close()


def connect(served: Served, into: list[socket.socket], count: int) -> None:
    """Open connections to the feed one by one, each up to its first frame."""
    host, port = served.url.removeprefix("http://").split(":")
    for _ in range(count):
        connected = socket.create_connection((host, int(port)))
        into.append(connected)
        connected.sendall(handshake())
        received = b""
        while b"snapshot" not in received:
            received += connected.recv(4096)


async def test_an_idle_viewer_is_small(tmp_path: Path) -> None:
    """An idle viewer takes at most 6 KiB of Python's memory, both ends of its connection included."""

    def measure(served: Served, into: list[socket.socket]) -> float:
        connect(served, into, CROWD // 4)
        tracemalloc.start()
        try:
            connect(served, into, CROWD // 4)  # what is made once
            before = traced()
            connect(served, into, CROWD)
            return (traced() - before) / CROWD
        finally:
            tracemalloc.stop()

    def traced() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    with served_board(tmp_path, max_viewers_per_client=2 * CROWD) as served, sockets() as opened:
        per_viewer: Any = await asyncio.to_thread(measure, served, opened)
    assert per_viewer < MOST_BYTES_PER_VIEWER


async def test_who_does_not_wait_for_the_handshake_is_heard_in_order(board: Served) -> None:
    """Frames sent with the handshake and while it is answered are handled in the order in which they were sent."""
    host, port = board.url.removeprefix("http://").split(":")
    numbers = [str(number).encode() for number in range(EAGER_PINGS)]
    sent = handshake() + b"".join(frame(PING, number) for number in numbers)
    for _ in range(EAGER):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            for start in range(0, len(sent), EAGER_CHUNK):
                writer.write(sent[start : start + EAGER_CHUNK])
                await asyncio.sleep(0)
            await reader.readuntil(b"\r\n\r\n")
            client = RawSocket(reader, writer)
            async with asyncio.timeout(10):
                answers = [await client.frame() for _ in range(EAGER_PINGS + 1)]
        finally:
            writer.transport.abort()
        assert [each.payload for each in answers if each.opcode == PONG] == numbers
