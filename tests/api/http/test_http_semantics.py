"""HTTP as in RFC 9110: HEAD, methods, Host, redirects, and unacceptable bodies."""

import gzip
import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from paidchat.api.problems import CODES, TITLES
from tests.support.assets import asset
from tests.support.board_client import faithful_client, http_client, post, start
from tests.support.network.raw_http import RawHttp, exchange, handshake
from tests.support.served import Served, served_board

pytestmark = pytest.mark.any_database
TOKEN = "token-of-the-administration"
VARYING = {"date", "x-request-id", "request-id", "content-length"}  # the last where a time is in the body


@pytest.fixture(scope="module")
def stage(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board with an admin API that allows pages of another origin."""
    options: dict[str, Any] = {"admin_token": TOKEN, "allowed_origins": "https://spa.example.com"}
    with served_board(tmp_path_factory.mktemp(backend), **options) as served:
        yield served


def same(get: httpx.Response, head: httpx.Response) -> None:
    """Check that HEAD returned what GET did, without a body."""
    assert head.content == b""
    assert head.status_code == get.status_code
    assert set(head.headers) == set(get.headers)
    alike = set(get.headers) - VARYING
    assert {name: head.headers[name] for name in alike} == {name: get.headers[name] for name in alike}


READ = [
    "/",
    asset("style.css"),
    asset("favicon.svg"),
    "/api/board",
    "/api/messages",
    "/api/messages?limit=1",
    "/api/feed",
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/docs/init.js",
    "/docs/assets/swagger-ui.css",
    "/docs/assets/favicon.png",
    "/openapi.json",
    "/asyncapi.json",
    "/sandbox",
    "/sandbox/",
    "/sandbox/panel/live",
    "/sandbox/test/ledger",
    "/sandbox/test/clock",
    "/sandbox/static/checkout.css",
    # Errors, too.
    "/api/messages?limit=0",
    "/api/messages/999999",
    "/api/payments/unknown",
    "/api/payments",
    "/api/nothing",
    "/nothing.html",
    "/sandbox/pay/unknown",
    "/sandbox/v1/checkout/sessions",
    "/stripe/webhook",
]


MOVING = {"/metrics", "/sandbox/", "/sandbox/panel/live", "/sandbox/test/clock"}  # the length of these may change


@pytest.mark.parametrize("path", READ)
async def test_head_is_get_without_a_body(stage: Served, path: str) -> None:
    """HEAD works wherever GET does, with the same status and headers, including Content-Length, and no body."""
    async with http_client(stage) as client:
        for encoding in ("identity", "gzip"):
            headers = {"Accept-Encoding": encoding}
            get, head = await client.get(path, headers=headers), await client.head(path, headers=headers)
            same(get, head)
            if path not in MOVING:
                assert head.headers["content-length"] == get.headers["content-length"]
            assert head.headers["x-content-type-options"] == "nosniff"
            assert head.headers["date"]


async def test_head_of_a_message_and_a_payment(stage: Served) -> None:
    """A message, a removed message, a payment and its hosted page all support HEAD."""
    async with http_client(stage) as client:
        message, payment = await post(client), await start(client)
        paths = [f"/api/messages/{message['id']}", f"/api/payments/{payment['id']}"]
        paths.append(httpx.URL(payment["checkout_url"]).path)
        for path in paths:
            same(await client.get(path), await client.head(path))
        authorized = {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.delete(paths[0], headers=authorized)).status_code == 405
        await client.delete(f"/api/admin{paths[0].removeprefix('/api')}", headers=authorized)
        gone = await client.head(paths[0])
        assert (gone.status_code, gone.content) == (410, b"")
        same(await client.get(paths[0]), gone)


async def test_head_is_not_documented(stage: Served) -> None:
    """The OpenAPI document does not list HEAD."""
    async with http_client(stage) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    assert {"get", "post", "delete"} == {method for operations in paths.values() for method in operations}


METHODS = [
    ("/api/payments", "POST"),
    ("/api/payments/unknown", "GET, HEAD"),
    ("/api/messages", "GET, HEAD"),
    ("/api/board", "GET, HEAD"),
    ("/api/feed", "GET, HEAD"),
    ("/api/admin/messages/1", "DELETE"),
    ("/api/admin/messages/1/restore", "POST"),
    ("/stripe/webhook", "POST"),
    ("/healthz", "GET, HEAD"),
    ("/metrics", "GET, HEAD"),
    ("/openapi.json", "GET, HEAD"),
    ("/docs", "GET, HEAD"),
    ("/docs/assets/swagger-ui.css", "GET, HEAD"),
    ("/", "GET, HEAD"),
    (asset("style.css"), "GET, HEAD"),
    ("/sandbox", "GET, HEAD"),
    ("/sandbox/", "GET, HEAD"),
    ("/sandbox/pay/unknown", "GET, HEAD, POST"),
    ("/sandbox/test/clock", "GET, HEAD, POST"),
    ("/sandbox/test/faults", "DELETE, GET, HEAD, PUT"),
    ("/sandbox/static/checkout.css", "GET, HEAD"),
]


@pytest.mark.parametrize(("path", "allowed"), METHODS)
async def test_a_wrong_method_is_405(stage: Served, path: str, allowed: str) -> None:
    """Any method that a path does not support, including unknown ones, is 405 with all that it supports."""
    connection = await RawHttp.connect(stage)
    for method in ("PATCH", "OPTIONS", "TRACE", "PROPFIND", "BREW", "get", "X-1!"):
        connection.send(f"{method} {path} HTTP/1.1\r\nHost: board\r\n\r\n".encode())
        answer = await connection.answer()
        assert (answer.status, answer.headers["allow"]) == (405, allowed), method
        assert answer.headers["x-content-type-options"] == "nosniff"
        if not path.startswith("/sandbox/"):
            assert (answer.json["code"], answer.json["title"]) == ("method_not_allowed", "Method Not Allowed")
    connection.close()


async def test_a_body_with_an_unknown_method_is_no_request(stage: Served) -> None:
    """After an unknown method the connection continues behind the request's body."""
    body = b"GET /api/nothing HTTP/1.1\r\nHost: board\r\n\r\n"
    connection = await RawHttp.connect(stage)
    connection.send(b"BREW / HTTP/1.1\r\nHost: board\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    connection.send(b"GET /healthz HTTP/1.1\r\nHost: board\r\n\r\n")
    assert [(await connection.answer()).status for _ in range(2)] == [405, 200]
    connection.close()


async def test_a_method_nowhere_is_404(stage: Served) -> None:
    """On an unknown path every method is 404."""
    async with http_client(stage) as client:
        for path in ("/api/nothing", "/nothing.html", "/a/b", "/docs/assets/nothing.js"):
            for method in ("GET", "HEAD", "POST", "DELETE", "BREW"):
                assert (await client.request(method, path)).status_code == 404


@pytest.mark.parametrize(
    "target", ["http://evil.example/healthz", "HTTP://board/healthz?x=1", "/healthz?", "/%68ealthz"]
)
async def test_a_target_may_be_written_in_other_ways(stage: Served, target: str) -> None:
    """A target with scheme and host, as proxies send it, and one with escapes, mean the path they name."""
    answer = await exchange(stage, f"GET {target} HTTP/1.1\r\nHost: board\r\n\r\n".encode())
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET http://evil.example HTTP/1.1", 200),
        ("GET http://evil.example?x=1 HTTP/1.1", 200),
        ("OPTIONS * HTTP/1.1", 405),
        ("GET * HTTP/1.1", 400),
        ("GET healthz HTTP/1.1", 400),
        ("GET ?healthz HTTP/1.1", 400),
        ("GET //[ HTTP/1.1", 404),
        ("GET /healthz#x HTTP/1.1", 400),
        ("GET mailto:a HTTP/1.1", 400),
        ("CONNECT board:80 HTTP/1.1", 400),
    ],
)
async def test_a_target_without_a_path(stage: Served, line: str, status: int) -> None:
    """A target without a path is the page's, `*` is the server as a whole, and an invalid target is 400."""
    answer = await exchange(stage, f"{line}\r\nHost: board\r\n\r\n".encode())
    assert answer.status == status
    if status >= 400:
        assert answer.json["code"] == {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}[status]


HOSTS = ["board", "board:80", "BOARD.example.", "127.0.0.1:80", "[::1]:80", "xn--bcher-kva.example", "a_b", "a:", ""]
NO_HOSTS = ["a b", "a, a", "evil/path", "user@evil", "evil?x", "evil#x", "a:b", "[::1", "::1", "b\xfccher", 'a"b']
NO_HOSTS += ["http://evil", "evil\\x", "<evil>"]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_host_is_a_name_or_an_address(stage: Served, host: str) -> None:
    """Any valid Host is accepted, because it has no effect."""
    answer = await exchange(stage, f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.status == 200


@pytest.mark.parametrize("fields", [f"Host: {host}\r\n" for host in NO_HOSTS] + ["", "Host: a\r\nHost: a\r\n"])
async def test_a_request_without_one_host_is_400(stage: Served, fields: str) -> None:
    """No Host, two of them, or an invalid one: 400 `bad_request` on any path (RFC 9112, section 3.2)."""
    for path in ("/healthz", "/", "/api/feed", "/nowhere"):
        answer = await exchange(stage, f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode("latin-1"))
        assert (answer.status, answer.json["code"], answer.json["title"]) == (400, "bad_request", "Bad Request")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "line", ["HEAD /healthz HTTP/1.1", "HEAD /nowhere HTTP/2.0", "HEAD / HTTP/1.1\r\nHost: a\r\nX: \x01"]
)
async def test_a_refused_head_has_no_body(stage: Served, line: str) -> None:
    """An unreadable HEAD is refused without a body, like any HEAD."""
    connection = await RawHttp.connect(stage)
    connection.send(f"{line}\r\n\r\n".encode())
    received = await connection.reader.read()
    connection.close()
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert body == b""


NO_REDIRECT = [
    "/a/%2e%2e",
    "/%2e%2e",
    "/%2e",
    "/./",
    "/a/..",
    "//evil.example",
    "//evil.example/",
    "//evil.example/%2e%2e",
    "/%2fevil.example/%2e%2e",
    "/\\evil.example",
    "/%5cevil.example",
    "/api/messages/",
    "/api/board/",
    "/docs/",
    "/docs/assets",
    "/docs/assets/",
    "/docs/assets/%2e%2e",
    "/healthz/",
    "/index.html/",
    "/sandbox/static",
    "/sandbox/static/",
    "/sandbox/static/%2e%2e",
    "/sandbox/pay/",
    "/sandbox/pay/cs_1/",
    "/sandbox/test/ledger/",
    "/sandbox/panel/live/",
    "/sandbox//",
    "//sandbox",
    "/sandbox",
    "/sandbox?x=1",
]


@pytest.mark.parametrize("path", NO_REDIRECT)
async def test_no_redirect_follows_the_host(stage: Served, path: str) -> None:
    """On no path does a response name the request's Host; the sandbox's one redirect is relative."""
    fields = "Host: evil.example\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n"
    for method in ("GET", "HEAD"):
        sent = f"{method} {path} HTTP/1.1\r\n{fields}\r\n".encode()
        answer = await exchange(stage, sent, head_only=method == "HEAD")
        assert "evil" not in str(answer.headers).lower()
        expected = (307, "/sandbox/") if path.partition("?")[0] == "/sandbox" else (404, None)
        assert (answer.status, answer.headers.get("location")) == expected


async def test_addresses_come_from_the_public_url(stage: Served) -> None:
    """The checkout URL and the Location do not depend on the request's Host."""
    async with http_client(stage) as client:
        answer = await client.post("/api/payments", json={"text": "Hello"}, headers={"Host": "evil.example"})
    assert answer.status_code == 201
    assert answer.json()["checkout_url"].startswith(f"{stage.settings.public_url}/")
    assert answer.headers["location"] == f"/api/payments/{answer.json()['id']}"


JSON = {"Content-Type": "application/json"}
BODY = json.dumps({"text": "Hello"}).encode()
CODINGS = ["gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "identity, gzip", "gzip, gzip", "nonsense", ",gzip,"]


@pytest.mark.parametrize("path", ["/api/payments", "/stripe/webhook"])
@pytest.mark.parametrize("coding", CODINGS)
async def test_a_compressed_body_is_415(stage: Served, path: str, coding: str) -> None:
    """A body with a content coding is refused, naming what is accepted, before it is read or its signature checked."""
    async with http_client(stage) as client:
        headers = {**JSON, "Content-Encoding": coding}
        answer = await client.post(path, content=gzip.compress(BODY), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("lines", [["identity"], ["Identity"], [""], ["identity", "identity"]])
async def test_a_body_that_is_not_compressed_may_say_so(stage: Served, lines: list[str]) -> None:
    """`identity` is not a coding, and a body with several lines of it is accepted."""
    headers = [*JSON.items(), *(("Content-Encoding", line) for line in lines)]
    async with http_client(stage) as client:
        assert (await client.post("/api/payments", content=BODY, headers=headers)).status_code == 201


async def test_a_coding_in_a_second_line_is_seen(stage: Served) -> None:
    """Several lines of one field are one list."""
    headers = [*JSON.items(), ("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]
    async with http_client(stage) as client:
        assert (await client.post("/api/payments", content=BODY, headers=headers)).status_code == 415


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json;charset=utf-8", 201),
        ('application/json; charset="UTF-8"', 201),
        ("application/json ; Charset=Utf-8", 201),
        ("application/json;", 201),
        ("application/json; profile=x", 201),
        ("application/json; charset=iso-8859-1", 415),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=utf-8; charset=latin1", 415),
        ("application/json, application/json", 415),
        ("text/json", 415),
        ("application/json+x", 415),
    ],
)
async def test_json_is_in_utf_8(stage: Served, media_type: str, status: int) -> None:
    """A body must be JSON in UTF-8, whatever else its type says; one with another charset is refused."""
    async with http_client(stage) as client:
        answer = await client.post("/api/payments", content=BODY, headers={"Content-Type": media_type})
    assert answer.status_code == status
    if status == 415:
        assert answer.json()["code"] == "unsupported_media_type"
        assert answer.headers["accept"] == "application/json"


async def test_a_type_said_twice_is_415(stage: Served) -> None:
    """Two content types are ambiguous and refused."""
    headers = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    async with faithful_client(stage) as client:
        assert (await client.post("/api/payments", content=BODY, headers=headers)).status_code == 415


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
async def test_json_in_another_encoding_is_422(stage: Served, encoding: str) -> None:
    """JSON in UTF-16 or UTF-32 is not JSON (RFC 8259, section 8.1)."""
    async with http_client(stage) as client:
        answer = await client.post("/api/payments", content=BODY.decode().encode(encoding), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["title"] == "Unprocessable Content"


async def test_an_old_client_is_not_told_to_go_on(stage: Served) -> None:
    """HTTP/1.0 has no interim responses, so `Expect` is ignored there (RFC 9110, section 10.1.1)."""
    head = f"POST /api/payments HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n"
    answer = await exchange(stage, f"{head}Expect: 100-continue\r\n\r\n".encode() + BODY)
    assert answer.status == 201


async def test_a_body_that_is_refused_is_not_waited_for(stage: Served) -> None:
    """A client that expects 100 Continue gets a refusal at once instead."""
    head = "POST /api/payments HTTP/1.1\r\nHost: board\r\nExpect: 100-continue\r\nContent-Length: 10\r\n"
    assert (await exchange(stage, f"{head}Content-Type: text/plain\r\n\r\n".encode())).status == 415


async def test_a_refused_handshake_has_every_header(stage: Served) -> None:
    """The response to a handshake from a foreign page has the headers of any other."""
    answer = await exchange(stage, handshake(Origin="https://evil.example"))
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] == answer.json["request_id"]


def test_titles_are_those_of_the_rfcs() -> None:
    """Every status with a code has a title: the phrase of RFC 9110 or 6585, on any version of Python."""
    assert set(TITLES) == set(CODES)
    assert (TITLES[413], TITLES[422]) == ("Content Too Large", "Unprocessable Content")
    for status, title in TITLES.items():
        assert title.lower() in {HTTPStatus(status).phrase.lower(), "content too large", "unprocessable content"}
