"""Connections: refused handshakes, and viewers that flood the feed, are closed soon and cost little."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import NamedTuple

import httpx
import pytest
import websockets

from tests.support.board_client import http_client
from tests.support.following import following
from tests.support.logs import captured_logs
from tests.support.network.raw_http import KEY, RawHttp, exchange, handshake
from tests.support.network.raw_socket import CLOSE, Frame, RawSocket, raw_socket
from tests.support.served import Served

pytestmark = pytest.mark.any_database
MASK = bytes(4)  # zeros leave the payload as it is (RFC 6455, section 5.3)
EMPTY_PING, EMPTY_PONG = b"\x89\x80" + MASK, b"\x8a\x80" + MASK
EMPTY_TEXT, EMPTY_START, EMPTY_FRAGMENT = b"\x81\x80" + MASK, b"\x01\x80" + MASK, b"\x00\x80" + MASK
GONE_WITHIN_S = 5 + 2  # for a busy machine


class Case(NamedTuple):
    """A handshake and the expected response."""

    request: bytes
    status: int
    code: str


HANDSHAKES = {
    "a body": Case(handshake(Content_Length="5"), 400, "bad_request"),
    "a body that comes": Case(handshake(Content_Length="5") + b"hello", 400, "bad_request"),
    "a chunked body": Case(handshake(Transfer_Encoding="chunked"), 400, "bad_request"),
    "no key": Case(handshake(without="Sec-WebSocket-Key"), 400, "bad_request"),
    "an empty key": Case(handshake(Sec_WebSocket_Key=""), 400, "bad_request"),
    "a short key": Case(handshake(Sec_WebSocket_Key="c2hvcnQ="), 400, "bad_request"),
    "a long key": Case(handshake(Sec_WebSocket_Key=KEY * 10), 400, "bad_request"),
    "a key that is no base64": Case(handshake(Sec_WebSocket_Key="?" * 22 + "=="), 400, "bad_request"),
    "two keys": Case(handshake(sec_websocket_key=f"{KEY}\r\nSec-WebSocket-Key: {KEY}"), 400, "bad_request"),
    "no host": Case(handshake(without="Host"), 400, "bad_request"),
    "two hosts": Case(handshake(host="board\r\nHost: other"), 400, "bad_request"),
    "an old version": Case(handshake(Sec_WebSocket_Version="8"), 426, "upgrade_required"),
    "a version to come": Case(handshake(Sec_WebSocket_Version="14"), 426, "upgrade_required"),
    "a version that is none": Case(handshake(Sec_WebSocket_Version="x"), 426, "upgrade_required"),
    "no version": Case(handshake(without="Sec-WebSocket-Version"), 426, "upgrade_required"),
    "two versions": Case(handshake(Sec_WebSocket_Version="8, 13"), 426, "upgrade_required"),
    "two origins": Case(handshake(origin="http://a\r\nOrigin: http://b"), 403, "forbidden"),
    "a strange origin": Case(handshake(Origin="https://evil.example.com"), 403, "forbidden"),
    "another path": Case(handshake("/api/messages"), 404, "not_found"),
    "the page": Case(handshake("/"), 404, "not_found"),
    "a path below": Case(handshake("/api/feed/x"), 404, "not_found"),
    "an address elsewhere": Case(handshake("http://board/nowhere"), 404, "not_found"),
    "a line of 25 KB": Case(handshake(Cookie="a" * 25_000), 431, "headers_too_large"),
}


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_a_refused_handshake_says_why_and_ends(board: Served, name: str) -> None:
    """Each bad handshake gets its status as a problem, and its connection is closed within five seconds."""
    request, status, code = HANDSHAKES[name]
    connection = await RawHttp.connect(board)
    connection.send(request)
    answer = await connection.answer()
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 426:
        assert answer.headers["sec-websocket-version"] == "13"
        assert answer.headers["upgrade"] == "websocket"
        assert "upgrade" in answer.headers["connection"].lower()
    await connection.ends_within(GONE_WITHIN_S)
    connection.close()


NOT_HANDSHAKES = {
    "nothing": b"GET /api/feed HTTP/1.1\r\nHost: board\r\n\r\n",
    "nothing, with a query": b"GET /api/feed?after=1&epoch=x HTTP/1.1\r\nHost: board\r\n\r\n",
    "no connection option": handshake(without="Connection"),
    "another connection option": handshake(Connection="keep-alive"),
    "no upgrade": handshake(without="Upgrade"),
    "another upgrade": handshake(Upgrade="h2c"),
    "HTTP/1.0": handshake(version="HTTP/1.0"),
}


@pytest.mark.parametrize("name", NOT_HANDSHAKES)
async def test_the_feed_without_an_upgrade_is_426(board: Served, name: str) -> None:
    """GET and HEAD without an upgrade name the required one (RFC 9110, section 15.5.22)."""
    answer = await exchange(board, NOT_HANDSHAKES[name])
    assert (answer.status, answer.json["code"]) == (426, "upgrade_required")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["upgrade"] == "websocket"
    assert "upgrade" in answer.headers["connection"].lower()
    head = await exchange(board, NOT_HANDSHAKES[name].replace(b"GET", b"HEAD", 1), head_only=True)
    volatile = {"x-request-id", "date"}
    assert head.status == 426
    assert {*head.headers.items()} - {*answer.headers.items()} <= {
        (name, value) for name, value in head.headers.items() if name in volatile
    }


GOOD = {
    "lower case": handshake(upgrade="WebSocket", connection="upgrade"),
    "several options": handshake(Connection="keep-alive, Upgrade", Upgrade="h2c, websocket"),
    "a length of nothing": handshake(Content_Length="0"),
    "protocols and extensions": handshake(Sec_WebSocket_Protocol="a b;", Sec_WebSocket_Extensions=";;"),
    "an absolute address": handshake("http://board/api/feed?after=x"),
    "an encoded path": handshake("/api/%66eed"),
    "many fields": handshake(**{f"X_{number}": "a" * 300 for number in range(90)}),
}


@pytest.mark.parametrize("name", GOOD)
async def test_a_good_handshake_is_accepted(board: Served, name: str) -> None:
    """Handshakes that RFC 6455 allows are accepted in any notation, and so is a frame sent with them."""
    connection = await RawHttp.connect(board)
    connection.send(GOOD[name] + EMPTY_PING)
    answer = await connection.answer()
    assert answer.status == 101
    assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert "sec-websocket-protocol" not in answer.headers
    socket = RawSocket(connection.reader, connection.writer)
    async with asyncio.timeout(10):
        assert {(await socket.frame()).opcode, (await socket.frame()).opcode} == {0x1, 0xA}
    connection.close()


FLOODS = {
    "empty pings": EMPTY_PING,
    "long pings": b"\x89\xfd" + MASK + b"p" * 125,
    "empty pongs": EMPTY_PONG,
    "empty texts": EMPTY_TEXT,
    "watches": b"\x81" + bytes([0x80 | 40]) + MASK + b'{"type":"watch","payment_id":"12345678"}',
    "empty fragments": EMPTY_FRAGMENT,
    "fragments and pings": EMPTY_FRAGMENT + EMPTY_PING,
}


async def test_frames_of_every_kind_are_counted(board: Served) -> None:
    """Pings, pongs and empty fragments count against the budget like texts: 1008, and closed within five seconds."""

    async def flood(name: str) -> list[Frame]:
        async with raw_socket(board) as connection:
            start = EMPTY_START if "fragment" in name else b""
            connection.writer.write(start + FLOODS[name] * 2_000)
            async with asyncio.timeout(GONE_WITHIN_S):
                return await connection.frames_until_the_end()

    for frames in await asyncio.gather(*map(flood, FLOODS)):
        assert close_code(frames) == 1008
        assert sum(frame.opcode == 0xA for frame in frames) <= 200  # not one for each of two thousand


def close_code(frames: list[Frame]) -> int | None:
    """Return the server's close code."""
    codes = [int.from_bytes(frame.payload[:2]) for frame in frames if frame.opcode == CLOSE]
    return codes[0] if codes else None


MISUSES = {
    "three bad frames": (EMPTY_TEXT * 3, 1008),
    "too many frames": (EMPTY_PING * 100, 1008),
    "a frame too long": (b"\x81\xfe\x08\x00" + MASK + b"a" * 2048, 1009),
    "a text that is no UTF-8": (b"\x81\x81" + MASK + b"\xff", 1007),
    "an unmasked frame": (b"\x81\x00", 1002),
    "an opcode that is none": (b"\x83\x80" + MASK, 1002),
    "a close frame": (b"\x88\x82" + MASK + b"\x03\xe8", 1000),
}


@pytest.mark.parametrize("going_on", [False, True], ids=["silent", "going on"])
async def test_after_a_close_the_connection_goes(board: Served, *, going_on: bool) -> None:
    """A viewer that was sent a close frame is gone within five seconds, whether it is silent or keeps sending.

    It sends on once it has the frame: before, what it sends might be answered with a reset, which discards the frame.
    """

    async def closed_with(frames: bytes) -> int | None:
        async with raw_socket(board) as connection:
            await connection.frame()
            connection.writer.write(frames)
            began = time.monotonic()
            read: list[Frame] = []
            while not read or read[-1].opcode != CLOSE:
                read.append(await connection.frame())
            reading = asyncio.create_task(connection.frames_until_the_end())
            while not reading.done() and time.monotonic() - began < GONE_WITHIN_S:
                if going_on:
                    connection.writer.write(EMPTY_PING * 50)
                await asyncio.sleep(0.02)
            assert reading.done()
            return close_code([*read, *reading.result()])

    codes = await asyncio.gather(*(closed_with(frames) for frames, _ in MISUSES.values()))
    assert dict(zip(MISUSES, codes, strict=True)) == {name: code for name, (_, code) in MISUSES.items()}


async def test_an_honest_close_does_not_wait(board: Served) -> None:
    """A client that answers the close frame is disconnected at once, without waiting for the deadline."""
    async with websockets.connect(board.feed_url, proxy=None) as socket:
        await socket.recv()
        for _ in range(3):
            await socket.send("{}")
        began = time.monotonic()
        await socket.wait_closed()
        assert time.monotonic() - began < 2
        assert socket.close_code == 1008


@contextlib.asynccontextmanager
async def hostile(served: Served, frames: bytes, bytes_per_s: int = 300_000) -> AsyncIterator[None]:
    """Send frames at this rate, on one connection after another, and only read until each is closed."""

    async def attack() -> None:
        while True:
            async with raw_socket(served) as connection:
                piece = frames * (bytes_per_s // 20 // len(frames))
                reading = asyncio.create_task(connection.frames_until_the_end())
                while not reading.done():
                    connection.writer.write(piece)
                    await asyncio.sleep(1 / 20)

    attacking = asyncio.create_task(attack())
    try:
        yield
    finally:
        attacking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await attacking


@pytest.mark.parametrize("name", ["empty pings", "fragments and pings"])
async def test_a_hostile_viewer_keeps_nobody_waiting(board: Served, name: str) -> None:
    """While one viewer sends 300 kB/s of tiny frames, health checks are answered and others can follow."""
    async with following(board) as follower, hostile(board, FLOODS[name]), http_client(board) as client:
        await ask_for(client, 2.0)
        pong = await follower.socket.ping()
        async with asyncio.timeout(5):
            await pong


async def ask_for(client: httpx.AsyncClient, seconds: float) -> None:
    """Check the health for a while; no check may take long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        assert (await client.get("/healthz")).status_code == 200
        assert time.monotonic() - began < 2
        await asyncio.sleep(0.02)


async def test_a_hostile_request_keeps_nobody_waiting(board: Served) -> None:
    """While one connection sends one-byte chunks, or pipelines requests, others are served."""

    async def attack(start: bytes, part: bytes) -> None:
        while True:
            connection = await RawHttp.connect(board)
            connection.send(start)
            try:
                while not connection.reader.at_eof():
                    connection.send(part * (15_000 // len(part)))
                    await connection.writer.drain()
                    await asyncio.sleep(1 / 20)
            except ConnectionError:
                pass
            finally:
                connection.close()

    chunked = b"POST /api/payments HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\n"
    chunked += b"Transfer-Encoding: chunked\r\n\r\n"
    attacks = [(chunked, b"1\r\nx\r\n"), (b"", b"GET / HTTP/1.1\r\nHost: b\r\n\r\n"), (b"", b"\r\n")]
    async with http_client(board) as client:
        for start, part in attacks:
            attacking = asyncio.create_task(attack(start, part))
            await ask_for(client, 1.0)
            attacking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await attacking


async def test_a_refused_origin_is_named_once_in_the_log(board: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A refused page is one warning that names its origin, truncated and without secrets, and not an error."""
    with captured_logs() as logs:
        for origin in ("https://evil.example.com", "https://evil.example.com/" + "a" * 5_000):
            assert (await exchange(board, handshake(Origin=origin))).status == 403
        await asyncio.sleep(0.1)
    refused = [entry for entry in logs if entry["event"] == "feed.origin_refused"]
    assert [entry["log_level"] for entry in refused] == ["warning", "warning"]
    assert refused[0]["origin"] == "https://evil.example.com"
    assert len(refused[1]["origin"]) <= 200
    assert not errors_in(logs, caplog)


async def test_leaving_during_the_handshake_is_nobodys_error(board: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A client that disconnects before the handshake was answered causes no error and no outage."""
    with captured_logs() as logs:
        for number in range(60):
            connection = await RawHttp.connect(board)
            connection.send(handshake(Origin="https://evil.example.com") if number % 3 == 0 else handshake())
            await connection.writer.drain()
            if number % 2:
                await asyncio.sleep(0.001)
            connection.close()
        assert (await exchange(board, handshake())).status == 101
        await asyncio.sleep(0.3)
    assert not errors_in(logs, caplog)


def errors_in(logs: Iterable[Mapping[str, object]], caplog: pytest.LogCaptureFixture) -> list[object]:
    """Return the errors that we or a library logged."""
    ours = [entry for entry in logs if entry["log_level"] in {"error", "critical"}]
    return [*ours, *(record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR)]


async def test_refused_in_the_contracts_form(board: Served) -> None:
    """An error at the handshake has the members of any other problem, and echoes nothing."""
    answer = await exchange(board, handshake("/Canary"))
    assert set(answer.json) == {"type", "title", "status", "detail", "code", "request_id"}
    assert "Canary" not in json.dumps(answer.json)
