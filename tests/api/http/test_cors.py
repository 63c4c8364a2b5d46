"""Other origins: off by default, never with credentials, and readable headers for pages that are allowed."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.assets import asset
from tests.support.board_client import faithful_client, http_client
from tests.support.served import Served, served_board

pytestmark = pytest.mark.any_database

SPA = "https://spa.example.com"
EVIL = "https://evil.example.com"
VARIES = {"/": {"accept-encoding", "accept-language"}, "/api/messages": {"accept-encoding"}}


@pytest.fixture(scope="module")
def open_board(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board that allows pages of another origin."""
    with served_board(tmp_path_factory.mktemp(backend), allowed_origins=SPA) as served:
        yield served


def names(header: str) -> set[str]:
    """The names in a comma-separated header, whatever their case."""
    return {name.strip().lower() for name in header.split(",")}


def allowed(answer: httpx.Response) -> str | None:
    """The origin that may read a response."""
    origin: str | None = answer.headers.get("access-control-allow-origin")
    return origin


async def preflight(client: httpx.AsyncClient, origin: str, method: str, headers: str) -> httpx.Response:
    """Send a preflight request, as a browser does."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }
    return await client.options("/api/payments", headers=asked)


SENT = {"content-type", "idempotency-key", "if-none-match", "traceparent", "tracestate"}


async def test_a_configured_origin_may_ask(open_board: Served) -> None:
    """A configured origin may send JSON, a key, an ETag and trace headers, to read and to pay, without credentials."""
    async with http_client(open_board) as client:
        for method in ("GET", "HEAD", "POST"):
            answer = await preflight(client, SPA, method, ",".join(sorted(SENT)))
            assert (answer.status_code, answer.content) == (200, b"")
            assert allowed(answer) == SPA
            assert names(answer.headers["access-control-allow-methods"]) == {"get", "head", "post"}
            assert names(answer.headers["access-control-allow-headers"]) == SENT
            assert "access-control-allow-credentials" not in answer.headers
            assert names(answer.headers["vary"]) == {"origin"}
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-request-id"]


@pytest.mark.parametrize(("method", "headers"), [("DELETE", "content-type"), ("GET", "authorization"), ("PUT", "x-y")])
async def test_nothing_else_may_be_sent(open_board: Served, method: str, headers: str) -> None:
    """Other methods and fields, such as the admin token's, are not among those that a preflight allows."""
    async with http_client(open_board) as client:
        answer = await preflight(client, SPA, method, headers)
    assert method == "GET" or method.lower() not in names(answer.headers["access-control-allow-methods"])
    assert headers == "content-type" or headers not in names(answer.headers["access-control-allow-headers"])


async def test_a_configured_origin_may_read(open_board: Served) -> None:
    """A configured origin can read responses, including errors, with ETag, Location, Retry-After and Date."""
    async with http_client(open_board) as client:
        for answer in (
            await client.get("/api/messages", headers={"Origin": SPA}),
            await client.post("/api/payments", json={"text": "Hello"}, headers={"Origin": SPA}),
            await client.post("/api/payments", json={"text": ""}, headers={"Origin": SPA}),
            await client.get("/api/nothing", headers={"Origin": SPA}),
            await client.put("/api/payments", headers={"Origin": SPA}),
            await client.options(
                "/api/payments", headers={"Origin": SPA}
            ),  # not a preflight, because it has no Access-Control-Request-Method
            await client.post("/api/payments", content=b"x" * 100_000, headers={"Origin": SPA}),
            await client.post("/api/payments", content=b"", headers={"Origin": SPA}),
            await client.get("/api/messages", headers={"Origin": SPA, "If-None-Match": "*"}),
            await client.head("/api/messages", headers={"Origin": SPA}),
            await client.get(asset("style.css"), headers={"Origin": SPA}),
        ):
            assert allowed(answer) == SPA
            exposed = names(answer.headers["access-control-expose-headers"])
            assert exposed == {"etag", "location", "retry-after", "date"}
            assert "origin" in names(answer.headers["vary"])
            assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", [EVIL, "null", f"{SPA}.evil.example.com", f"{SPA}:8443", "http://spa.example.com", "*"]
)
async def test_another_origin_may_not(open_board: Served, origin: str) -> None:
    """An origin that is not configured may neither send preflights nor read."""
    async with http_client(open_board) as client:
        assert allowed(await preflight(client, origin, "POST", "content-type")) is None
        assert allowed(await client.get("/api/messages", headers={"Origin": origin})) is None
        assert (await preflight(client, origin, "POST", "content-type")).json()["code"] == "method_not_allowed"


async def test_a_cache_knows_that_the_origin_decides(open_board: Served) -> None:
    """Every response varies on the origin, whether or not the request has one, in addition to other fields."""
    async with http_client(open_board) as client:
        for headers in ({}, {"Origin": EVIL}, {"Origin": SPA}):
            for path in ("/api/board", "/api/nothing", "/api/payments/unknown"):
                assert names((await client.get(path, headers=headers)).headers["vary"]) == {"origin"}
            for path, others in VARIES.items():
                vary = names((await client.get(path, headers=headers)).headers["vary"])
                assert vary == {"origin"} | others


async def test_two_origins_are_none(open_board: Served) -> None:
    """A page has one origin; a request with two is not allowed to read."""
    async with faithful_client(open_board) as client:
        answer = await client.get("/api/board", headers=[("Origin", SPA), ("Origin", EVIL)])
    assert (answer.status_code, allowed(answer)) == (200, None)


async def test_unless_configured_it_is_off(client: httpx.AsyncClient) -> None:
    """A board without configured origins sends no CORS headers."""
    answers = [
        await preflight(client, SPA, "POST", "content-type"),
        await client.get("/api/messages", headers={"Origin": SPA}),
        await client.get("/api/nothing", headers={"Origin": SPA}),
    ]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_the_page_is_locked_down(client: httpx.AsyncClient) -> None:
    """The page forbids framing, inline code and sniffing, and sends no referrer to other sites."""
    answer = await client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    assert "default-src 'none'" in policy
    assert "manifest-src 'self'" in policy
    assert "media-src 'self'" in policy
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
