"""Connections: what bad handshakes, endless trailers and flooding viewers may cost, and how soon they are closed."""

import asyncio
import time
from contextlib import suppress

from tests.torture.harness.sockets import HANDSHAKE, RawClient, resident_bytes, server_sockets
from tests.torture.harness.world import World
from tests.torture.table import Row

MIB = 2**20
GONE_WITHIN_S = 5 + 3  # for misbehaving or closed connections, plus time for a busy machine
EACH = 300  # connections of a kind
LEFT_WITHIN_S = 30
MOST_GROWTH = 24 * MIB  # over all kinds, one after another; each can reuse the memory of the one before
HEALTHY_WITHIN_S = 0.2  # on an idle machine
HOSTILE_BYTES_PER_S = 300_000
HOSTILE_S = 10
PIECES_PER_S = 20

_MASK = bytes(4)
_POST = b"POST /api/payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"


def _handshake(**changes: str) -> bytes:
    """Return a handshake with lines added, or with the values of its usual lines changed."""
    text = HANDSHAKE.format(host="x").removesuffix("\r\n")
    for name, value in changes.items():
        line = f"{name.replace('_', '-')}: "
        head, found, rest = text.partition(f"\r\n{line}")
        text = f"{head}{found}{value}{rest[rest.index(chr(13)) :]}" if found else f"{text}{line}{value}\r\n"
    return f"{text}\r\n".encode()


REFUSED: dict[str, tuple[bytes, int]] = {
    "with a body": (_handshake(Content_Length="5"), 400),
    "with a chunked body": (_handshake(Transfer_Encoding="chunked"), 400),
    "with a bad key": (_handshake(Sec_WebSocket_Key="x"), 400),
    "of another version": (_handshake(Sec_WebSocket_Version="8"), 426),
    "elsewhere": (_handshake().replace(b"/api/feed", b"/nowhere"), 404),
    "with a long line": (_handshake(Cookie="a" * 25_000), 431),
    "of another origin": (_handshake(Origin="https://evil.example.com"), 403),
}
# Connections that lead nowhere: what they send at first, and then every second until they are closed.
IDLE: dict[str, tuple[bytes, bytes]] = {
    **{f"handshakes {name}": (request, b"a") for name, (request, _) in REFUSED.items()},
    "silence": (b"", b""),
    "slow heads": (_POST + b"X-Y: ", b"a"),
    "slow bodies": (_POST + b"Content-Length: 4000\r\n\r\n", b"a"),
    "slow chunks": (CHUNKED, b"1\r\na\r\n"),
    "slow trailers": (CHUNKED + b"0\r\n", b"X-Y: a\r\n"),
    "misuse of the feed": (_handshake() + (b"\x89\x80" + _MASK) * 100, b"\x89\x80" + _MASK),
}
HOSTILE: dict[str, tuple[bytes, bytes]] = {
    "empty pings": (_handshake(), b"\x89\x80" + _MASK),
    "empty pongs": (_handshake(), b"\x8a\x80" + _MASK),
    "empty fragments": (_handshake() + b"\x01\x80" + _MASK, b"\x00\x80" + _MASK),
    "chunks of a byte": (CHUNKED, b"1\r\nx\r\n"),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n"),
    "requests": (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "empty lines": (b"", b"\r\n"),
    "fields": (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n"),
}


async def check_handshakes(world: World, row: Row) -> None:
    """A refused handshake gets a reason, and is closed in time even if the client keeps its end open."""
    answers = await asyncio.gather(*(_refused(world.board_port, request) for request, _ in REFUSED.values()))
    for (name, (_, status)), (answer, took) in zip(REFUSED.items(), answers, strict=True):
        if answer is None or took > GONE_WITHIN_S:
            row.wrong.append(f"a handshake {name} is held for longer than {GONE_WITHIN_S} s")
        elif f" {status} ".encode() not in answer.partition(b"\r\n")[0]:
            row.wrong.append(f"a handshake {name} is answered {answer[:40]!r}")
    row.counts["handshakes refused"] = len(REFUSED)


async def _refused(port: int, request: bytes) -> tuple[bytes | None, float]:
    client = await RawClient.connect(port)
    began = time.monotonic()
    with suppress(OSError):
        await client.send(request)
    answer = await client.read_to_end(GONE_WITHIN_S + 2)
    took = time.monotonic() - began
    client.close()
    return answer, took


async def check_leftovers(world: World, row: Row) -> None:
    """Hundreds of connections of each kind leave no socket and no memory behind."""
    assert world.board is not None
    before = 0
    for name, (start, drip) in IDLE.items():
        took = await _come_to_nothing(world.board_port, start, drip)
        row.counts[f"{name}: gone after s"] = round(took, 1)
        if took > LEFT_WITHIN_S:
            row.wrong.append(f"{name} are still there after {LEFT_WITHIN_S} s")
        before = before or resident_bytes(world.board.pid)  # after the first kind, which makes room for all
    grown = resident_bytes(world.board.pid) - before
    row.counts["MiB left by connections"] = round(grown / MIB, 1)
    if grown > MOST_GROWTH:
        row.wrong.append(f"abandoned connections left {grown / MIB:.0f} MiB behind")


async def _come_to_nothing(port: int, start: bytes, drip: bytes) -> float:
    clients = [await RawClient.connect(port) for _ in range(EACH)]
    began = time.monotonic()
    for client in clients:
        with suppress(OSError):
            await client.send(start)
    ports = {client.port for client in clients}
    while time.monotonic() - began <= LEFT_WITHIN_S and set(server_sockets(port, ports)) & {
        "ESTABLISHED",
        "CLOSE_WAIT",
    }:
        for client in clients:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(0.01):
                    await client.send(drip)
        await asyncio.sleep(1)
    for client in clients:
        client.close()
    return time.monotonic() - began


async def check_health(world: World, row: Row) -> None:
    """While one connection sends anything as fast as a phone can, a health check is answered at once."""
    for name, (start, part) in HOSTILE.items():
        attacking = asyncio.create_task(_attack(world.board_port, start, part))
        worst, until = 0.0, time.monotonic() + HOSTILE_S
        while time.monotonic() < until:
            began = time.monotonic()
            await world.http.get("/healthz")
            worst = max(worst, time.monotonic() - began)
            await asyncio.sleep(0.02)
        attacking.cancel()
        with suppress(asyncio.CancelledError):
            await attacking
        row.counts[f"healthz worst ms, {name}"] = round(worst * 1000)
        if worst > HEALTHY_WITHIN_S:
            row.wrong.append(f"while one connection sends {name}, /healthz takes {worst * 1000:.0f} ms")


async def _attack(port: int, start: bytes, part: bytes) -> None:
    piece = part * (HOSTILE_BYTES_PER_S // PIECES_PER_S // len(part))
    while True:
        client = await RawClient.connect(port)
        try:
            await client.send(start)
            for _ in range(5 * PIECES_PER_S):
                async with asyncio.timeout(1):
                    await client.send(piece)
                await asyncio.sleep(1 / PIECES_PER_S)
        except (OSError, TimeoutError):
            pass
        finally:
            client.close()
