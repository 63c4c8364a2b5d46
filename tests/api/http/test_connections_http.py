"""Connections: hand-written requests get a response in the contract's form, or none, and are executed once."""

import asyncio
import contextlib
import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.board_client import http_client
from tests.support.network.raw_http import Answer, RawHttp, exchange, handshake
from tests.support.served import Served, served_board

pytestmark = pytest.mark.any_database
MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}
BODY = b'{"text": "By hand"}'


def post(*fields: str, body: bytes = BODY, length: bool = True, path: str = "/api/payments") -> bytes:
    """Build a request for a payment, with these additional fields."""
    lines = [f"POST {path} HTTP/1.1", "Host: board", "Content-Type: application/json", *fields]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def get(*fields: str, path: str = "/healthz", version: str = "HTTP/1.1") -> bytes:
    """Build a request without a body."""
    return "\r\n".join([f"GET {path} {version}", "Host: board", *fields]).encode("latin-1") + b"\r\n\r\n"


def is_problem(answer: Answer, status: int, code: str) -> None:
    """Check that a response is a problem in the contract's form."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert set(answer.json) == MEMBERS
    assert (answer.json["status"], answer.json["code"]) == (status, code)
    assert answer.json["request_id"] == answer.headers["x-request-id"]


async def is_refused(served: Served, request: bytes, status: int, code: str) -> Answer:
    """Check that a request gets a problem and its connection is closed within five seconds."""
    connection = await RawHttp.connect(served)
    connection.send(request)
    answer = await connection.answer()
    is_problem(answer, status, code)
    assert "close" in answer.headers["connection"].lower()
    await connection.ends_within(6)
    connection.close()
    return answer


async def payments_started(client: httpx.AsyncClient) -> int:
    """Return how many payments were started, from the metrics."""
    found = re.search(r"^paidchat_payments_started_total (\d+)", (await client.get("/metrics")).text, re.MULTILINE)
    assert found is not None
    return int(found[1])


H2C = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"]
UPGRADES = {
    "h2c, as curl and Java ask for it": H2C,
    "h2c without settings": ["Connection: Upgrade", "Upgrade: h2c"],
    "h2c twice": [*H2C, "Upgrade: h2c"],
    "TLS": ["Connection: Upgrade", "Upgrade: TLS/1.0"],
    "several": ["Connection: upgrade", "Upgrade: TLS/1.0, h2c, IRC/6.9"],
    "unknown": ["connection: keep-alive, UPGRADE", "uPGRADE: something"],
    "nothing named": ["Connection: Upgrade"],
    "no connection option": ["Upgrade: h2c"],
    "a WebSocket, by POST": ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
}


@pytest.mark.parametrize("pause_s", [0.0, 0.2], ids=["at once", "later"])
@pytest.mark.parametrize("name", UPGRADES)
async def test_an_upgrade_is_ignored_and_the_body_read(board: Served, name: str, pause_s: float) -> None:
    """A request for a payment that also asks for another protocol works as usual, whenever its body arrives."""
    head, _, body = post(*UPGRADES[name]).partition(b"\r\n\r\n")
    connection = await RawHttp.connect(board)
    connection.send(head + b"\r\n\r\n" + (b"" if pause_s else body))
    if pause_s:
        await asyncio.sleep(pause_s)
        connection.send(body)
    answer = await connection.answer()
    assert answer.status == 201, answer
    assert answer.json["text"] == "By hand"
    connection.send(get())  # and the connection stays usable
    assert (await connection.answer()).status == 200
    connection.close()


@pytest.mark.parametrize("name", UPGRADES)
async def test_a_body_is_never_a_second_request(board: Served, name: str) -> None:
    """A request inside the body of one that asks for another protocol is only a body, and is not executed."""
    async with http_client(board) as client:
        before = await payments_started(client)
        head, _, hidden = post(*UPGRADES[name], body=post("X-Forwarded-For: 203.0.113.9")).partition(b"\r\n\r\n")
        connection = await RawHttp.connect(board)
        connection.send(head + b"\r\n\r\n")
        await asyncio.sleep(0.1)
        connection.send(hidden)
        assert (await connection.answer()).status == 422
        connection.send(get())
        assert (await connection.answer()).body == (await exchange(board, get())).body
        connection.close()
        assert await payments_started(client) == before


async def test_a_chunked_body_after_an_upgrade_is_read(board: Served) -> None:
    """A chunked body is read although another protocol was asked for, in whatever pieces it arrives."""
    connection = await RawHttp.connect(board)
    chunked = post(*H2C, "Transfer-Encoding: chunked", length=False, body=b"")
    chunked += b"".join(b"%x\r\n%s\r\n" % (1, BODY[at : at + 1]) for at in range(len(BODY))) + b"0\r\nX-Sum: 1\r\n\r\n"
    for at in range(0, len(chunked), 7):
        connection.send(chunked[at : at + 7])
        await asyncio.sleep(0)
    assert (await connection.answer()).status == 201
    connection.close()


BROKEN: dict[str, bytes] = {
    "a length with 5,000 zeros": post("Content-Length: " + "0" * 5000 + "5", length=False),
    "a length with 20 zeros": post("Content-Length: " + "0" * 20 + str(len(BODY)), length=False),
    "a length beyond 64 bits": post("Content-Length: 99999999999999999999999", length=False),
    "a negative length": post("Content-Length: -5", length=False),
    "a length with a sign": post(f"Content-Length: +{len(BODY)}", length=False),
    "a hexadecimal length": post("Content-Length: 0x13", length=False),
    "a length with an underscore": post("Content-Length: 1_9", length=False),
    "a length in other digits": post("Content-Length: \xb9", length=False),
    "an empty length": post("Content-Length: ", length=False),
    "a list of lengths": post(f"Content-Length: {len(BODY)}, {len(BODY)}", length=False),
    "one length twice": post(f"Content-Length: {len(BODY)}"),
    "two lengths": post("Content-Length: 5"),
    "a length and chunks": post("Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunks and a length": post("Transfer-Encoding: chunked", "Content-Length: 5", length=False),
    "another coding": post("Transfer-Encoding: gzip", length=False),
    "two codings": post("Transfer-Encoding: gzip, chunked", length=False),
    "chunked twice": post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", length=False),
    "chunked before another": post("Transfer-Encoding: chunked, identity", length=False),
    "a disguised coding": post("Transfer-Encoding: \x0bchunked", length=False),
    "chunks in HTTP/1.0": post("Transfer-Encoding: chunked", length=False).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a space in a name": get("X Y: z"),
    "a space before the colon": get("X-Y : z"),
    "a name of nothing": get(": z"),
    "no colon": get("X-Y"),
    "a folded line": get("X-Y: a", " b"),
    "a line folded by a tab": get("X-Y: a", "\tb"),
    "a folded first line": b"GET /healthz HTTP/1.1\r\n Host: board\r\n\r\n",
    "a bare LF": b"GET /healthz HTTP/1.1\nHost: board\n\n",
    "a bare LF among fields": get("X-Y: z\nTransfer-Encoding: chunked"),
    "a bare CR": get("X-Y: a\rb"),
    "a NUL": get("X-Y: a\x00b"),
    "a NUL in the target": get(path="/\x00"),
    "a control character": get("X-Y: a\x01b"),
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": get("Host: other"),
    "no version": b"GET /healthz\r\nHost: board\r\n\r\n",
    "another version": get(version="HTTP/2.0"),
    "a version of letters": get(version="HTTP/a.b"),
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tunnel": b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "no end of empty lines": b"\r\n" * 100,
    "a method unheard of": get().replace(b"GET", b"G\xcbT"),
    "a broken chunk": post("Transfer-Encoding: chunked", length=False, body=b"zz\r\n"),
    "a chunk of negative size": post("Transfer-Encoding: chunked", length=False, body=b"-1\r\n"),
    "a chunk beyond 64 bits": post("Transfer-Encoding: chunked", length=False, body=b"f" * 17 + b"\r\n"),
    "a chunk without its end": post("Transfer-Encoding: chunked", length=False, body=b"1\r\nab\r\n"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_no_request_is_400(board: Served, name: str) -> None:
    """Bytes that two servers could parse differently are refused with `bad_request`, and the connection is closed."""
    await is_refused(board, BROKEN[name], 400, "bad_request")


@pytest.mark.parametrize("name", ["a length and chunks", "two codings", "a broken chunk", "a bare LF among fields"])
async def test_nothing_after_a_refused_request_is_executed(board: Served, name: str) -> None:
    """Bytes after a request with ambiguous framing are not treated as another request."""
    async with http_client(board) as client:
        before = await payments_started(client)
        connection = await RawHttp.connect(board)
        connection.send(BROKEN[name] + post())
        is_problem(await connection.answer(), 400, "bad_request")
        connection.send(post())
        await connection.ends_within(6)
        connection.close()
        assert await payments_started(client) == before


def trailers(*lines: bytes) -> bytes:
    """Build a chunked request for a payment with these trailers."""
    chunks = b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
    return post("Transfer-Encoding: chunked", length=False, body=chunks + b"".join(line + b"\r\n" for line in lines))


LARGE: dict[str, bytes] = {
    "a line of 9 KB": get("X-Y: " + "a" * 9_000),
    "a line of 25 KB": get("X-Y: " + "a" * 25_000),
    "a line of 9 KB of spaces": get("X-Y:" + " " * 9_000 + "a"),
    "a target of 9 KB": get(path="/" + "a" * 9_000),
    "a line that does not end": b"GET / HTTP/1.1\r\nHost: board\r\nX-Y: " + b"a" * 9_000,
    "a target that does not end": b"GET /" + b"a" * 9_000,
    "40 KB in all": get(*[f"X-{number}: " + "a" * 4_000 for number in range(10)]),
    "101 fields": get(*[f"X-{number}: a" for number in range(100)]),
    "a handshake's line of 25 KB": handshake(Cookie="a" * 25_000),
    "a handshake elsewhere with such a line": handshake("/nowhere", Cookie="a" * 25_000),
    "a handshake of 40 KB": handshake(**{f"X_{number}": "a" * 4_000 for number in range(10)}),
    "a handshake of 105 fields": handshake(**{f"X_{number}": "a" for number in range(100)}),
    "a trailer of 9 KB": trailers(b"X-Y: " + b"a" * 9_000, b""),
    "trailers of 40 KB": trailers(*[b"X-%d: " % number + b"a" * 4_000 for number in range(10)], b""),
    "101 trailers": trailers(*[b"X-%d: a" % number for number in range(101)], b""),
    "fields and trailers, 101 together": post(
        *[f"X-{number}: a" for number in range(50)],
        "Transfer-Encoding: chunked",
        length=False,
        body=b"0\r\n" + b"".join(b"Y-%d: a\r\n" % number for number in range(60)) + b"\r\n",
    ),
    "a trailer that does not end": trailers(b"X-Y: " + b"a" * 40_000),
    "extensions of a chunk": post(
        "Transfer-Encoding: chunked", length=False, body=b"1;" + b"a" * 40_000 + b"\r\na\r\n0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("name", LARGE)
async def test_a_head_over_a_limit_is_431(board: Served, name: str) -> None:
    """Over 8 KiB in a line, 32 KiB in all, or 100 fields, trailers included: 431 on any path, and closed."""
    await is_refused(board, LARGE[name], 431, "headers_too_large")


async def test_a_head_within_the_limits_is_taken(board: Served) -> None:
    """A hundred fields, a line of almost 8 KiB, almost 32 KiB in all, and trailers are accepted."""
    assert (await exchange(board, get(*[f"X-{number}: a" for number in range(99)]))).status == 200
    assert (await exchange(board, get(*[f"X-{number}: " + "a" * 7_900 for number in range(4)]))).status == 200
    assert (await exchange(board, trailers(b"Content-Type: text/plain", b"X-Sum: 1", b""))).status == 201


async def test_trailers_without_end_are_cut_off(board: Served) -> None:
    """Endless trailers are only read up to the limits."""
    connection = await RawHttp.connect(board)
    sent = 0
    with contextlib.suppress(ConnectionError):
        connection.send(trailers())
        while sent < 64 * 2**20 and not connection.reader.at_eof():
            connection.send(b"X-%d: " % sent + b"a" * 8_000 + b"\r\n")
            sent += 8_000
            await connection.writer.drain()
    connection.close()
    assert sent < 64 * 2**20
    assert (await exchange(board, get())).status == 200


async def test_requests_on_one_connection_are_answered_in_turn(board: Served) -> None:
    """Pipelined requests are answered in order, and a broken one after the good ones."""
    connection = await RawHttp.connect(board)
    connection.send(get() + b"\r\n" + post() + get(path="/api/nothing") + get("X-Y : z") + get())
    statuses = [(await connection.answer()).status for _ in range(4)]
    await connection.ends_within(6)
    connection.close()
    assert statuses == [200, 201, 404, 400]


async def test_a_head_may_come_byte_by_byte(board: Served) -> None:
    """A request is read the same way, however it is split into packets."""
    connection = await RawHttp.connect(board)
    for byte in post(*H2C):
        connection.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await connection.answer()).status == 201
    connection.close()


async def test_http_1_0_is_spoken(board: Served) -> None:
    """An HTTP/1.0 client needs no Host, and its connection is closed after the response."""
    connection = await RawHttp.connect(board)
    connection.send(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (await connection.answer()).status == 200
    await connection.ends_within(6)
    connection.close()


async def test_a_body_may_be_waited_for(board: Served) -> None:
    """A client that sends Expect: 100-continue gets 100 Continue."""
    head, _, body = post("Expect: 100-continue").partition(b"\r\n\r\n")
    connection = await RawHttp.connect(board)
    connection.send(head + b"\r\n\r\n")
    assert (await connection.answer()).status == 100
    connection.send(body)
    assert (await connection.answer()).status == 201
    connection.close()


async def test_refusals_are_counted(board: Served) -> None:
    """Unreadable requests are counted in the metrics like any others."""

    def count(metrics: str) -> float:
        found = re.search(r'^paidchat_requests_total\{route="\(no route\)",status="431"\} (\S+)', metrics, re.MULTILINE)
        return float(found[1]) if found else 0.0

    async with http_client(board) as client:
        before = count((await client.get("/metrics")).text)
        await is_refused(board, LARGE["101 fields"], 431, "headers_too_large")
        assert count((await client.get("/metrics")).text) == before + 1


async def test_deadlines_of_requests(board: Served) -> None:
    """Silence, half a head and a stalled body end within 10 s, a slow body within 20 s, with 408 if it had begun."""

    async def held(start: bytes, drip: bytes = b"") -> tuple[float, bytes]:
        connection = await RawHttp.connect(board)
        loop = asyncio.get_running_loop()
        began = loop.time()
        connection.send(start)
        received = b""
        with contextlib.suppress(ConnectionError):
            while loop.time() - began < 40:
                try:
                    async with asyncio.timeout(1):
                        data = await connection.reader.read(65536)
                except TimeoutError:
                    if drip:
                        connection.send(drip)
                    continue
                received += data
                if not data:
                    break
        connection.close()
        return loop.time() - began, received

    chunked = post("Transfer-Encoding: chunked", length=False, body=b"")
    began = await asyncio.gather(
        held(b""),
        held(b"POST /api/pay"),
        held(b"GET / HTTP/1.1\r\n", b"X"),
        held(handshake()[:-2]),
        held(post("Content-Length: 400", length=False)),
        held(chunked),
        held(trailers(b"X-Y: z")),
        held(post("Content-Length: 400", length=False), b"x"),
        held(chunked, b"1\r\nx\r\n"),
        held(trailers(), b"X: y\r\n"),
    )
    assert began[0][1] == b""
    for _, received in began[1:]:
        assert b" 408 " in received.partition(b"\r\n")[0]
        problem: Any = json.loads(received.partition(b"\r\n\r\n")[2])
        assert problem["code"] == "request_timeout"
    assert all(9 < took < 18 for took, _ in began[:7])
    assert all(18 < took < 28 for took, _ in began[7:])


@pytest.mark.parametrize("path", ["/", "/healthz", "/healthz?"])
async def test_stopping_waits_for_nobody_who_does_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """Clients that have sent thousands of requests and read nothing are reset when the server stops, in time."""
    with served_board(tmp_path) as served:
        connections = [await RawHttp.connect(served) for _ in range(3)]
        for connection in connections:
            connection.send(get(path=path) * 20_000)
        await asyncio.sleep(1)
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 10
    assert not [record for record in caplog.records if record.exc_info or "Traceback" in record.getMessage()]
    for connection in connections:
        connection.close()
