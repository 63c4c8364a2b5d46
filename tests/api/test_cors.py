"""Other origins: off unless configured, never credentials, and what a page of theirs needs to read."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.board_client import http_client
from tests.support.served import Served, served_board

pytestmark = pytest.mark.any_database

SPA = "https://spa.example.com"
EVIL = "https://evil.example.com"


@pytest.fixture(scope="module")
def open_board(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board that a page of another origin may use."""
    with served_board(tmp_path_factory.mktemp(backend), allowed_origins=SPA) as served:
        yield served


def names(header: str) -> set[str]:
    """The names in a comma-separated header, whatever their case."""
    return {name.strip().lower() for name in header.split(",")}


def allowed(answer: httpx.Response) -> str | None:
    """Which origin may read an answer."""
    origin: str | None = answer.headers.get("access-control-allow-origin")
    return origin


async def preflight(client: httpx.AsyncClient, origin: str, method: str, headers: str) -> httpx.Response:
    """Ask, as a browser does, whether a request may be made."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }
    return await client.options("/api/payments", headers=asked)


async def test_a_configured_origin_may_ask(open_board: Served) -> None:
    """A configured origin may send JSON, a key and an ETag, by GET and POST, without credentials."""
    async with http_client(open_board) as client:
        for method in ("GET", "POST"):
            answer = await preflight(client, SPA, method, "content-type,idempotency-key,if-none-match")
            assert answer.status_code == 200
            assert allowed(answer) == SPA
            assert method in answer.headers["access-control-allow-methods"]
            assert {"content-type", "idempotency-key", "if-none-match"} <= names(
                answer.headers["access-control-allow-headers"]
            )
            assert "access-control-allow-credentials" not in answer.headers


async def test_a_configured_origin_may_read(open_board: Served) -> None:
    """A configured origin reads answers, errors too, with ETag, Location and Retry-After."""
    async with http_client(open_board) as client:
        for answer in (
            await client.get("/api/messages", headers={"Origin": SPA}),
            await client.post("/api/payments", json={"text": "Hello"}, headers={"Origin": SPA}),
            await client.post("/api/payments", json={"text": ""}, headers={"Origin": SPA}),
            await client.get("/api/nothing", headers={"Origin": SPA}),
        ):
            assert allowed(answer) == SPA
            assert {"etag", "location", "retry-after"} <= names(answer.headers["access-control-expose-headers"])
            assert "origin" in names(answer.headers["vary"])
            assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", [EVIL, "null", f"{SPA}.evil.example.com", f"{SPA}:8443", "http://spa.example.com", "*"]
)
async def test_another_origin_may_not(open_board: Served, origin: str) -> None:
    """An origin that is not configured may neither ask nor read."""
    async with http_client(open_board) as client:
        assert allowed(await preflight(client, origin, "POST", "content-type")) is None
        assert allowed(await client.get("/api/messages", headers={"Origin": origin})) is None


async def test_unless_configured_it_is_off(client: httpx.AsyncClient) -> None:
    """A board without configured origins says nothing of cross-origin reading to anybody."""
    answers = [
        await preflight(client, SPA, "POST", "content-type"),
        await client.get("/api/messages", headers={"Origin": SPA}),
        await client.get("/api/nothing", headers={"Origin": SPA}),
    ]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_the_page_is_locked_down(client: httpx.AsyncClient) -> None:
    """The page forbids framing, inline code and sniffing, and tells no other site where a reader came from."""
    answer = await client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    assert "default-src 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
