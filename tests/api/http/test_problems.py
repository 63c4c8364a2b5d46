"""Errors: each is `application/problem+json` with exactly the contract's members, and echoes nothing."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.support.assets import asset
from tests.support.board_client import faithful_client, http_client
from tests.support.served import Served

CANARY = "CanaryInTheInput"
MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


def is_problem(answer: httpx.Response, status: int, code: str) -> None:
    """Check that a response is a problem in the contract's form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem = answer.json()
    assert set(problem) - {"errors", "reason"} == MEMBERS
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert all(isinstance(problem[name], str) and problem[name] for name in MEMBERS - {"status"})
    for error in problem.get("errors", []):
        assert set(error) == {"field", "message"}
        assert all(isinstance(value, str) and value for value in error.values())
    assert CANARY not in f"{answer.text} {answer.headers}"


JSON = {"Content-Type": "application/json"}
Case = tuple[str, str, dict[str, Any], int, str]
CASES: list[Case] = [
    ("GET", f"/api/{CANARY}", {}, 404, "not_found"),
    ("GET", "/api", {}, 404, "not_found"),
    ("GET", "/api/", {}, 404, "not_found"),
    ("GET", f"/api/{CANARY}", {"headers": {"Accept": "text/html"}}, 404, "not_found"),
    ("GET", f"/api/{CANARY}.html", {}, 404, "not_found"),
    ("GET", f"/api/payments/{CANARY}", {}, 404, "not_found"),
    ("GET", "/api/messages/2147483647", {}, 404, "not_found"),
    ("GET", "/api/feed", {}, 426, "upgrade_required"),
    ("DELETE", f"/api/admin/messages/1?x={CANARY}", {}, 404, "not_found"),
    ("GET", f"/{CANARY}", {}, 404, "not_found"),
    ("GET", f"/{CANARY}.html", {}, 404, "not_found"),
    ("POST", f"/{CANARY}", {}, 404, "not_found"),
    ("DELETE", "/api/payments", {}, 405, "method_not_allowed"),
    ("GET", "/api/payments", {}, 405, "method_not_allowed"),
    ("PUT", "/api/messages", {}, 405, "method_not_allowed"),
    ("PATCH", "/api/messages/1", {}, 405, "method_not_allowed"),
    ("POST", "/api/board", {}, 405, "method_not_allowed"),
    ("OPTIONS", "/api/payments", {}, 405, "method_not_allowed"),
    ("GET", "/stripe/webhook", {}, 405, "method_not_allowed"),
    ("POST", "/healthz", {}, 405, "method_not_allowed"),
    ("POST", "/stripe/webhook", {"content": CANARY}, 400, "invalid_signature"),
    ("POST", "/stripe/webhook", {"headers": {"Stripe-Signature": CANARY}}, 400, "invalid_signature"),
    ("POST", "/api/payments", {}, 415, "unsupported_media_type"),
    ("POST", "/api/payments", {"content": CANARY}, 415, "unsupported_media_type"),
    ("POST", "/api/payments", {"data": {"text": CANARY}}, 415, "unsupported_media_type"),
    ("POST", "/api/payments", {"files": {"text": CANARY.encode()}}, 415, "unsupported_media_type"),
    ("POST", "/api/payments", {"content": "{}", "headers": {"Content-Type": CANARY}}, 415, "unsupported_media_type"),
    ("POST", "/api/payments", {"content": CANARY, "headers": JSON}, 422, "invalid_request"),
    ("POST", "/api/payments", {"content": "", "headers": JSON}, 422, "invalid_request"),
    ("POST", "/api/payments", {"json": {"text": ""}}, 422, "invalid_request"),
    ("POST", "/api/payments", {"json": {"text": CANARY * 40}}, 422, "invalid_request"),
    ("POST", "/api/payments", {"json": {"text": "a", "author": CANARY * 40}}, 422, "invalid_request"),
    ("POST", "/api/payments", {"json": {"text": "a", CANARY: 1}}, 422, "invalid_request"),
    ("POST", "/api/payments", {"json": {"text": "a", f"{CANARY} <b>": 1}}, 422, "invalid_request"),
    ("POST", "/api/payments", {"json": {"text": {CANARY: CANARY}}}, 422, "invalid_request"),
    ("POST", "/api/payments", {"json": [CANARY]}, 422, "invalid_request"),
    (
        "POST",
        "/api/payments",
        {"json": {"text": "a"}, "headers": {"Idempotency-Key": CANARY[:9]}},
        422,
        "invalid_request",
    ),
    ("GET", f"/api/messages?limit={CANARY}", {}, 422, "invalid_request"),
    ("GET", f"/api/messages/{CANARY}", {}, 422, "invalid_request"),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]} {case[1]} {case[3]} {str(case[2])[:40]}" for case in CASES])
async def test_an_error_is_a_problem(client: httpx.AsyncClient, case: Case) -> None:
    """An error has the contract's status, code, members and headers, and does not contain the input."""
    method, path, options, status, code = case
    is_problem(await client.request(method, path, **options), status, code)


async def test_a_405_names_what_is_allowed(client: httpx.AsyncClient) -> None:
    """The response to a wrong method lists the right ones (RFC 9110, section 15.5.6)."""
    for path, allowed in (("/api/payments", "POST"), ("/api/messages", "GET"), ("/stripe/webhook", "POST")):
        answer = await client.put(path)
        assert allowed in answer.headers["allow"]


async def test_every_answer_has_its_request_id(client: httpx.AsyncClient) -> None:
    """Successes and errors have a request id of their own; one from the client is not used."""
    answers = [
        await client.get(path, headers={"X-Request-Id": CANARY})
        for path in ("/api/board", "/api/messages", "/healthz", "/api/nothing", "/", "/stripe/webhook")
    ]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == len(answers)
    assert CANARY not in ids


async def test_errors_are_few(client: httpx.AsyncClient) -> None:
    """Thousands of unknown fields are one error, which does not name them."""
    body = {"text": "a", **{f"canary{number}": 1 for number in range(3_000)}}
    answer = await client.post("/api/payments", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "body", "message": "There is no such field."}]
    assert "canary" not in answer.text


async def test_errors_name_the_fields(client: httpx.AsyncClient) -> None:
    """A field's error has the field's name."""
    for body, field in (({"text": ""}, "text"), ({"text": "a", "author": "a" * 51}, "author"), ({}, "text")):
        answer = await client.post("/api/payments", json=body)
        assert [error["field"] for error in answer.json()["errors"]] == [field]


BODIES: list[Any] = [
    {},
    {"text": None},
    {"text": 1},
    {"text": 1.5},
    {"text": True},
    {"text": ["a"]},
    {"text": {"a": "b"}},
    {"text": "a", "author": 1},
    {"text": "a", "author": ["a"]},
    {"text": "a", "amount": 1},
    {"text": "a", "amount": 100, "currency": "usd"},
    {"text": "a", "price": {"amount": 1}},
    {"text": "a", "status": "fulfilled"},
    {"text": "a", "id": "00000000-0000-4000-8000-000000000000"},
    {"Text": "a"},
    {"": "a"},
    [],
    [{"text": "a"}],
    "a",
    1,
    True,
    None,
]


@pytest.mark.parametrize("body", BODIES, ids=str)
async def test_a_body_of_another_shape_is_422(client: httpx.AsyncClient, body: Any) -> None:
    """A missing text, another type, or an unknown field such as an amount: 422, and no payment."""
    answer = await client.post("/api/payments", content=json.dumps(body), headers=JSON)
    is_problem(answer, 422, "invalid_request")


RAW = [
    b"",
    b" ",
    b"{",
    b'{"text": "a"',
    b'{"text": "a"} trailing',
    b'{"text": "a"}{"text": "b"}',
    b"{'text': 'a'}",
    b'{"text": NaN}',
    b'{"text": "a", "author": NaN}',
    b'{"text": Infinity}',
    b'{"text": -Infinity}',
    b"NaN",
    b'{"text": 1e999}',
    b'{"text": ' + b"9" * 5000 + b"}",
    b'{"text": "\xff"}',
    b'{"text": "\xed\xa0\x80"}',
    b"\xff\xfe{\x00}\x00",
    b'{"text": "a\x00"}',
    b'{"text": "a\tb"}',
    b'{"text": "\\u0000"}',
    b'{"text": "a\\u0000"}',
    b'{"text": "a\\tb"}',
    b'{"text": "\\ud800"}',
    b'{"text": "\\udc00\\ud800"}',
    b'{"text": "a", "author": "\\udfff"}',
    b'{"\\ud800": "a"}',
    b'{"text": "a", "\\ud800": "a"}',
    b'{"text": "\\u202e"}',
    b'{"text": "\\u200b"}',
    b'{"text": "\\x41"}',
    b"[" * 60_000,
    b'{"text":' * 8_000,
    b'{"text": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
]


@pytest.mark.parametrize("body", RAW, ids=lambda body: f"{body[:30]!r} of {len(body)}")
async def test_a_body_that_cannot_be_read_is_422(client: httpx.AsyncClient, body: bytes) -> None:
    """JSON that does not parse, NaN, lone surrogates, deep nesting: 422, never a 5xx."""
    is_problem(await client.post("/api/payments", content=body, headers=JSON), 422, "invalid_request")


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_json_however_it_is_written(client: httpx.AsyncClient, media_type: str) -> None:
    """Media types are case-insensitive, and may have parameters."""
    answer = await client.post("/api/payments", content=b'{"text": "a"}', headers={"Content-Type": media_type})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/problem+json", "application/jsonx", "*/*", "json", ""]
)
@pytest.mark.any_database
async def test_anything_else_is_415(client: httpx.AsyncClient, media_type: str) -> None:
    """Content types that a form or script on another site can send without a preflight are refused."""
    answer = await client.post("/api/payments", content=b'{"text": "a"}', headers={"Content-Type": media_type})
    is_problem(answer, 415, "unsupported_media_type")


async def raw(served: Served, head: str, body: bytes = b"", repeat: int = 0) -> bytes:
    """Send a raw request, with its body `repeat` times, and return everything received until the end."""
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(head.replace("\n", "\r\n").encode("latin-1"))
        for _ in range(repeat):
            writer.write(body)
            await writer.drain()
    except ConnectionError:
        pass  # the server has sent its response and closed
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


PATHS = ["/api/payments", "/stripe/webhook"]


@pytest.mark.any_database
async def test_a_body_announced_as_huge_is_refused_unread(board: Served) -> None:
    """Two hundred announced megabytes are 413 before the first of them is sent, and the connection is closed."""
    head = "POST {} HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 200000000\n\n"
    for answer in await asyncio.gather(*(raw(board, head.format(path)) for path in PATHS)):
        top, _, body = answer.partition(b"\r\n\r\n")
        status, *headers = top.lower().split(b"\r\n")
        assert b" 413 " in status
        assert {b"content-type: application/problem+json", b"cache-control: no-store"} <= set(headers)
        assert set(json.loads(body)) == MEMBERS
        assert json.loads(body)["code"] == "payload_too_large"


@pytest.mark.any_database
@pytest.mark.parametrize(("path", "size"), [("/api/payments", 200_000), ("/stripe/webhook", 2_000_000)])
async def test_a_body_that_is_too_large_is_told_so(board: Served, path: str, size: int) -> None:
    """A client that sends too much can read the 413 although it was still sending."""
    async with faithful_client(board) as client:
        answer = await client.post(path, content=b"a" * size, headers=JSON)
    is_problem(answer, 413, "payload_too_large")


@pytest.mark.any_database
@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_does_not_end_is_cut_off(board: Served, path: str) -> None:
    """A body without a length is counted while it arrives, and cut off at the limit."""
    head = f"POST {path} HTTP/1.1\nHost: x\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n"
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    answer = await raw(board, head, chunk, repeat=320)
    assert not answer or b" 413 " in answer.partition(b"\r\n")[0]
    async with http_client(board) as client:
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.any_database
async def test_headers_without_end_are_refused(board: Served) -> None:
    """A request with endless headers is not read forever."""
    answer = await raw(board, "GET /healthz HTTP/1.1\nHost: x\n", b"X-Filler: " + b"a" * 60_000 + b"\r\n", repeat=100)
    assert b" 200 " not in answer.partition(b"\r\n")[0]
    async with http_client(board) as client:
        assert (await client.get("/healthz")).status_code == 200


PECULIAR = [
    "/%00.html",
    "/%00",
    "/api/%00",
    "/..%2f..%2fetc%2fpasswd",
    "/%2e%2e/%2e%2e/etc/passwd.txt",
    f"/{'a' * 3000}.html",
    asset("style.css/x"),
    "/types.d.ts",
    "/package.json",
    "/tsconfig.json",
    "/.npmrc",
]


@pytest.mark.any_database
@pytest.mark.parametrize("path", PECULIAR, ids=lambda path: path[:40])
async def test_a_peculiar_path_is_404(client: httpx.AsyncClient, path: str) -> None:
    """Only the page's own files are served, and no path makes the board fail."""
    is_problem(await client.get(path), 404, "not_found")
