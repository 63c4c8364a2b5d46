"""The answers that are kept ready, the newest page and the board's settings: never older than what was answered."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from paidchat.feed.feed import Feed
from paidchat.storage.tail import Tail
from tests.support.board_client import http_client, post, start, stripe_session
from tests.support.documents import parse, shown
from tests.support.following import following
from tests.support.rows import opened, write_messages
from tests.support.served import Served, databases, served_board
from tests.support.webhooks import completed, deliver_until_taken, paid

AT_ONCE = 20


@pytest.fixture
async def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a board whose feed never reads further than it did at the start."""
    del backend
    ours, follow = databases.url_for(tmp_path), Feed._follow

    async def follow_unless_ours(feed: Feed, hints: Sequence[Tail | None]) -> None:
        if feed._database._given_url == ours:  # this process has other boards, and a feed once held stays held
            await asyncio.Event().wait()
        await follow(feed, hints)

    monkeypatch.setattr(Feed, "_follow", follow_unless_ours)
    with served_board(tmp_path, tiers="1:300") as served:
        async with http_client(served) as client:
            yield client


async def texts(client: httpx.AsyncClient, etag: str | None = None, path: str = "/api/messages") -> list[str]:
    """Read the newest page, or another one, with an ETag that must be out of date if there is one."""
    answer = await client.get(path, headers={"If-None-Match": etag} if etag else {})
    assert answer.status_code == 200
    if path == "/":
        return [row["text"] for row in shown(parse(answer.text).one("ol", id="board"))]
    return [message["text"] for message in answer.json()["messages"]]


async def etag_of(client: httpx.AsyncClient, path: str = "/api/messages") -> str:
    """Return a page's ETag; afterwards the page is ready."""
    return str((await client.get(path)).headers["etag"])


@pytest.mark.parametrize("path", ["/api/messages", "/api/pinned", "/"])
async def test_a_page_has_what_was_acknowledged_before(late: httpx.AsyncClient, path: str) -> None:
    """A page or 304 requested after a webhook's 200 contains its message, however late the feed is."""
    payments = [await start(late, f"Number {number}") for number in range(AT_ONCE)]
    events = [completed(paid(await stripe_session(late, payment))) for payment in payments]

    async def pay_and_read(number: int) -> None:
        before = await etag_of(late, path)
        assert (await deliver_until_taken(late, events[number]))[-1].status_code == 200
        assert f"Number {number}" in await texts(late, before, path)

    for number in range(3):  # one after another, so that the page is certainly ready in between
        await pay_and_read(number)
    await asyncio.gather(*(pay_and_read(number) for number in range(3, AT_ONCE)))
    assert sorted(await texts(late, path=path)) == sorted(payment["text"] for payment in payments)


async def test_a_page_has_what_the_feed_has_told(tmp_path: Path, backend: str) -> None:
    """A page requested after the feed told of another process's message contains it."""
    with served_board(tmp_path) as served:
        async with http_client(served) as client, following(served) as follower, opened_beside(served) as write:
            for number in range(5):
                before = await etag_of(client)
                await write(f"On {backend}, {number}")
                while (await follower.receive())["type"] != "message.posted":
                    pass
                assert f"On {backend}, {number}" in await texts(client, before)


@asynccontextmanager
async def opened_beside(served: Served) -> AsyncIterator[Any]:
    """Write to a board's database as another process would."""
    async with opened(served.settings.database_url) as database:

        async def write(text: str) -> None:
            await write_messages(database, 1, text)

        yield write


@contextmanager
def queries_for_messages(folder: Path) -> Iterator[list[str]]:
    """Collect the queries for messages in this folder's file; this process has other boards."""
    made: list[str] = []

    def note(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM message" in statement and Path(str(connection.engine.url.database)).parent == folder:
            made.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield made
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.any_database
async def test_a_page_is_read_once(tmp_path: Path) -> None:
    """While the board does not change, the newest page is read from the database once, however many ask at once."""
    with served_board(tmp_path, reconcile_seconds=3600) as served:
        async with http_client(served) as client, following(served) as follower:
            message = await post(client, "Read once")
            while (await follower.receive())["type"] != "message.posted":
                pass  # the feed reads the same page
            reads = []
            for _ in range(5):  # the board may still be writing down what else Stripe says of the payment
                with queries_for_messages(tmp_path) as made:
                    answers = await asyncio.gather(*(client.get("/api/messages") for _ in range(AT_ONCE)))
                assert {answer.json()["messages"][-1]["id"] for answer in answers} == {message["id"]}
                reads.append(len(made))
    assert min(reads) <= 1, reads


async def test_ready_answers_have_the_headers_of_any(client: httpx.AsyncClient) -> None:
    """A ready page equals the same page read from the database, and each ready answer is 304 for its own ETag."""
    await etag_of(client)
    ready = await client.get("/api/messages")
    routed = await client.get("/api/messages", params={"limit": 50, "before": 2**31 - 1})
    assert ready.json() == routed.json()
    varying = {"date", "x-request-id"}
    assert {k: v for k, v in ready.headers.items() if k not in varying} == {
        k: v for k, v in routed.headers.items() if k not in varying
    }
    for path in ("/api/messages", "/api/board"):
        whole = await client.get(path)
        again = await client.get(path, headers={"If-None-Match": whole.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == whole.headers["etag"]
        head = await client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == whole.headers["content-length"]
