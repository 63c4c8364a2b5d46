"""Hardening: the abuse that a board on the open internet must withstand, and what it may cost."""

import asyncio
import json
import random
import statistics
import struct
import time
from collections.abc import Iterable

import websockets

from tests.torture.checks.canaries import check_canaries
from tests.torture.harness.sockets import RawClient, resident_bytes
from tests.torture.harness.world import World, made_world
from tests.torture.order import Order
from tests.torture.runs.connections import CHUNKED, check_handshakes, check_health, check_leftovers
from tests.torture.table import Row

MIB = 2**20
HEAD_WITHIN_S = 10 + 5  # the server's deadline, plus time for a busy machine
BODY_WITHIN_S = 20 + 5
ANSWERED_WITHIN_S = 10  # POST /api/payments, whatever Stripe does
HANG_S = 30
HEALTHY_MEDIAN_S, HEALTHY_WORST_S = 0.25, 3.0  # 0.1 on an idle machine
PAYERS = 20
STREAMED = 200 * MIB
LONGEST_STREAM_S = 60
LONGEST_HEAD_S = 10  # enough, because it is cut off at once or not at all
ENOUGH_TRAILERS = 32 * MIB
MOST_GROWTH = 48 * MIB  # over all floods together
PINGS = 200_000
MOST_HEAD = 8 * MIB  # bytes of endless headers; most are in flight when the connection is closed
NEVER_S = 3_600.0


async def run(order: Order) -> list[Row]:
    """Run every check in turn; those that only wait run concurrently."""
    row = Row("hardening", "slow, endless and huge requests, a hanging Stripe, canaries in the log", order.seed)
    began = time.monotonic()
    async with made_world(
        launcher=order.launcher, database=order.database, hooks=order.hooks, reconcile_s=NEVER_S
    ) as world:
        await world.restart_board()
        waits = [_check_slow_heads(world, row), _check_hanging_stripe(world, row), check_handshakes(world, row)]
        await asyncio.gather(*waits, *([] if order.short else [_check_slow_bodies(world, row)]))
        await _check_floods(world, row)
        await _check_frames(world, row, random.Random(order.seed))
        if not order.short:
            await check_health(world, row)
            await check_leftovers(world, row)
        await check_canaries(world, row)
    row.seconds = time.monotonic() - began
    return [row]


# --- deadlines --------------------------------------------------------------------------------------


async def _check_slow_heads(world: World, row: Row) -> None:
    """Clients that send nothing, or never finish their headers, are disconnected in time."""
    starts = {"silence": b"", "half a line": b"POST /stri", "headers": b"POST /stripe/webhook HTTP/1.1\r\nHost: x\r\n"}
    for name, took in (await _hold_all(world, starts, HEAD_WITHIN_S)).items():
        row.counts[f"{name} held s"] = round(took, 1)
        if took > HEAD_WITHIN_S:
            row.wrong.append(f"{name} is waited for longer than {HEAD_WITHIN_S} s")


async def _check_slow_bodies(world: World, row: Row) -> None:
    """Clients that never finish a body are disconnected in time."""
    post = b"POST /stripe/webhook HTTP/1.1\r\nHost: x\r\n"
    starts = {
        "body": post + b"Content-Length: 400\r\n\r\n",
        "chunks": post + b"Transfer-Encoding: chunked\r\n\r\n",
        "payment": post.replace(b"/stripe/webhook", b"/api/payments")
        + b"Content-Type: application/json\r\nContent-Length: 400\r\n\r\n",
    }
    for name, took in (await _hold_all(world, starts, BODY_WITHIN_S)).items():
        row.counts[f"{name} held s"] = round(took, 1)
        if took > BODY_WITHIN_S:
            row.wrong.append(f"a slow {name} is waited for longer than {BODY_WITHIN_S} s")


async def _hold_all(world: World, starts: dict[str, bytes], within_s: float) -> dict[str, float]:
    """Start requests, send one more byte a second, and return how long each connection was kept."""
    held = await asyncio.gather(*(_hold(world.board_port, start, within_s) for start in starts.values()))
    return dict(zip(starts, held, strict=True))


async def _hold(port: int, start: bytes, within_s: float) -> float:
    client = await RawClient.connect(port)
    began = time.monotonic()
    drip = b"1\r\nx\r\n" if b"chunked" in start else b"x"
    try:
        await client.send(start)
        while time.monotonic() - began <= within_s + 1:
            if await client.read_to_end(1) is not None:
                break
            if start:
                await client.send(drip)
    except OSError:  # it was reset
        pass
    client.close()
    return time.monotonic() - began


async def _check_hanging_stripe(world: World, row: Row) -> None:
    """While Stripe hangs, payers get an error in time, and nobody else is affected."""
    await world.faults(api={"hang_s": HANG_S})
    paying = asyncio.gather(*(_time_payment(world) for _ in range(PAYERS)))
    healthy: list[float] = []
    while not paying.done():
        began = time.monotonic()
        await world.http.get("/healthz")
        healthy.append(time.monotonic() - began)
        await asyncio.sleep(0.05)
    answers = await paying
    await world.faults()
    slowest = max(took for took, _ in answers)
    row.counts |= {
        "slowest 503 s": round(slowest, 1),
        "healthz median ms": round(statistics.median(healthy) * 1000),
        "healthz worst ms": round(max(healthy) * 1000),
    }
    if slowest > ANSWERED_WITHIN_S or {status for _, status in answers} != {503}:
        row.wrong.append(f"while Stripe hangs, payers get {answers}")
    if statistics.median(healthy) > HEALTHY_MEDIAN_S or max(healthy) > HEALTHY_WORST_S:
        row.wrong.append("while Stripe hangs, /healthz is slow")


async def _time_payment(world: World) -> tuple[float, int]:
    began = time.monotonic()
    answer = await world.http.post("/api/payments", json={"text": "Hello"})
    retry = answer.status_code if "Retry-After" in answer.headers else 0
    return time.monotonic() - began, retry


# --- floods -----------------------------------------------------------------------------------------


async def _check_floods(world: World, row: Row) -> None:
    """Endless bodies, headers and pings are cut off, and leave no memory behind."""
    assert world.board is not None
    before = peak = resident_bytes(world.board.pid)
    floods = {
        "body": _stream_body,
        "chunks": _stream_chunks,
        "head": _stream_head,
        "trailers": _stream_trailers,
        "pings": _ping,
    }
    for name, flood in floods.items():
        flooding = asyncio.create_task(flood(world.board_port))
        began = time.monotonic()
        while not flooding.done():
            peak = max(peak, resident_bytes(world.board.pid))
            await asyncio.sleep(0.05)
        finding = await flooding
        row.counts[f"{name} flood s"] = round(time.monotonic() - began, 1)
        if finding:
            row.wrong.append(f"a flood of {name}: {finding}")
    row.counts["MiB more"] = round((peak - before) / MIB, 1)
    if peak - before > MOST_GROWTH:
        row.wrong.append(f"the floods cost {(peak - before) / MIB:.0f} MiB")


async def _stream_body(port: int) -> str | None:
    head = b"POST /stripe/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % STREAMED
    return await _stream(port, head, b"x" * 65536, STREAMED)


async def _stream_chunks(port: int) -> str | None:
    head = b"POST /api/payments HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    head += b"Content-Type: application/json\r\n\r\n"
    return await _stream(port, head, b"10000\r\n" + b"x" * 65536 + b"\r\n", STREAMED)


async def _stream(port: int, head: bytes, part: bytes, most: int) -> str | None:
    """Send a body that is far too large; return what is wrong with the outcome, or None."""
    client = await RawClient.connect(port)
    reading = asyncio.create_task(client.read_to_end(LONGEST_STREAM_S))
    sent = await _send_until_cut_off(client, head, part, most)
    answer = await reading
    client.close()
    if answer is None:
        return "the connection is still there"
    if answer and b" 413 " not in answer.split(b"\r\n", 1)[0]:
        return f"answered {answer[:80]!r}"
    return f"all of it was taken, {sent} bytes" if sent >= most else None


async def _stream_head(port: int) -> str | None:
    client = await RawClient.connect(port)
    head = b"GET /api/messages HTTP/1.1\r\nHost: x\r\n"
    sent = await _send_until_cut_off(client, head, b"X-More: " + b"a" * 1000 + b"\r\n", STREAMED, LONGEST_HEAD_S)
    client.close()
    return f"{sent} bytes of headers were taken" if sent > MOST_HEAD else None


async def _stream_trailers(port: int) -> str | None:
    client = await RawClient.connect(port)
    trailer = b"X-More: " + b"a" * 1000 + b"\r\n"
    sent = await _send_until_cut_off(client, CHUNKED + b"0\r\n", trailer, ENOUGH_TRAILERS, LONGEST_HEAD_S)
    client.close()
    return f"{sent} bytes of trailers were taken" if sent >= ENOUGH_TRAILERS else None


async def _ping(port: int) -> str | None:
    """Ping without reading the pongs: they must not pile up."""
    client = await RawClient.following(port)
    frame = b"\x89\xfd" + struct.pack(">I", 0) + b"p" * 125  # masked with zeros (RFC 6455, section 5.3)
    sent = await _send_until_cut_off(client, b"", frame * 200, PINGS * len(frame))
    client.close()
    return "every ping was taken" if sent >= PINGS * len(frame) else None


async def _send_until_cut_off(
    client: RawClient, head: bytes, part: bytes, most: int, within_s: float = LONGEST_STREAM_S
) -> int:
    sent = 0
    try:
        async with asyncio.timeout(within_s):
            await client.send(head)
            while sent < most:
                await client.send(part)
                sent += len(part)
    except (OSError, TimeoutError):
        pass
    return sent


# --- frames -----------------------------------------------------------------------------------------


async def _check_frames(world: World, row: Row, rng: random.Random) -> None:
    """Viewers that send too much, or anything invalid, are closed with the right code."""
    watch = json.dumps({"type": "watch", "payment_id": "0" * 36})
    misuse: dict[str, tuple[int, Iterable[str | bytes]]] = {
        "a hundred watches at once": (1008, [watch] * 100),
        "three bad frames": (1008, ["{}", "[", "null"]),
        "binary frames": (1008, [rng.randbytes(20) for _ in range(3)]),
        "a frame of 2 KiB": (1009, ["x" * 2048]),
    }
    for name, (expected, frames) in misuse.items():
        code = await _say(world, frames)
        if code != expected:
            row.wrong.append(f"{name} ended with {code}, not {expected}")
    row.counts["misuses of the feed"] = len(misuse)


async def _say(world: World, frames: Iterable[str | bytes]) -> int | None:
    async with websockets.connect(f"ws://127.0.0.1:{world.board_port}/api/feed", proxy=None) as socket:
        try:
            for frame in frames:
                await socket.send(frame)
            async with asyncio.timeout(5):
                while True:
                    await socket.recv()
        except websockets.ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else None
        except TimeoutError:
            return 0
