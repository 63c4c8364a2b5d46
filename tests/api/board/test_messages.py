"""GET /api/messages and /api/messages/{id}: pages in both directions, ETags, and removed messages."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from paidchat.moderation import remove_message, restore_message
from paidchat.storage.database import Database
from tests.support.board_client import http_client, post
from tests.support.rows import opened, write_messages
from tests.support.served import Served, served_board

COUNT = 130
REMOVED = (1, 64, 130)
SHOWN = [id_ for id_ in range(1, COUNT + 1) if id_ not in REMOVED]
SEQ = COUNT + len(REMOVED)


class Stage(NamedTuple):
    """A board of 130 messages, of which the first, one in the middle and the last were removed."""

    served: Served
    database: Database
    client: httpx.AsyncClient


@pytest.fixture(scope="module")
async def stage(backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Serve that board for this file; tests that change it undo the change."""
    with served_board(tmp_path_factory.mktemp(backend)) as served:
        async with opened(served.settings.database_url) as database, http_client(served) as client:
            await write_messages(database, COUNT)
            for id_ in REMOVED:
                await remove_message(database, id_)
            yield Stage(served, database, client)


async def page(stage: Stage, **query: Any) -> dict[str, Any]:
    """Read a page."""
    answer = await stage.client.get("/api/messages", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    read: dict[str, Any] = answer.json()
    return read


def ids_of(read: dict[str, Any]) -> list[int]:
    """The ids on a page, in order."""
    return [message["id"] for message in read["messages"]]


async def test_the_newest_page(stage: Stage) -> None:
    """Without a cursor the newest fifty are returned, oldest first, with the log position and the epoch."""
    read = await page(stage)
    assert set(read) == {"messages", "seq", "epoch", "has_more"}
    assert ids_of(read) == SHOWN[-50:]
    assert read["has_more"] is True
    assert read["seq"] == SEQ
    assert read["epoch"]
    assert set(read["messages"][0]) == {"id", "text", "author", "amount", "currency", "posted_at", "pinned_until"}


@pytest.mark.parametrize(
    ("query", "ids", "has_more"),
    [
        ({"limit": 1}, SHOWN[-1:], True),
        ({"limit": 100}, SHOWN[-100:], True),
        ({"before": SHOWN[-50]}, SHOWN[-100:-50], True),
        ({"before": 64}, SHOWN[12:62], True),
        ({"before": 52, "limit": 50}, SHOWN[:50], False),
        ({"before": 53, "limit": 50}, SHOWN[1:51], True),
        ({"before": 3}, [2], False),
        ({"before": 2}, [], False),
        ({"before": 1}, [], False),
        ({"before": 0}, [], False),
        ({"before": 10**12}, SHOWN[-50:], True),
        ({"after": 0}, SHOWN[:50], True),
        ({"after": 0, "limit": 2}, [2, 3], True),
        ({"after": 62}, SHOWN[61:111], True),
        ({"after": 62, "limit": 2}, [63, 65], True),
        ({"after": 127}, [128, 129], False),
        ({"after": 127, "limit": 2}, [128, 129], False),
        ({"after": 127, "limit": 1}, [128], True),
        ({"after": 129}, [], False),
        ({"after": 10**12}, [], False),
        ({"after": 2**63 - 1}, [], False),
    ],
    ids=str,
)
async def test_pages_in_both_directions(stage: Stage, query: dict[str, int], ids: list[int], has_more: bool) -> None:
    """Cursors are exclusive, pages ascend, removed messages are left out, has_more is for the direction read."""
    read = await page(stage, **query)
    assert (ids_of(read), read["has_more"]) == (ids, has_more)


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_walking_back_meets_every_message_once(stage: Stage, limit: int) -> None:
    """Paging with `before` from the newest page to the end returns every shown message, once."""
    walked: list[int] = []
    read = await page(stage, limit=limit)
    walked[:0] = ids_of(read)
    while read["has_more"]:
        read = await page(stage, limit=limit, before=walked[0])
        walked[:0] = ids_of(read)
    assert walked == SHOWN


async def test_walking_on_meets_every_message_once(stage: Stage) -> None:
    """Paging with `after` from the beginning returns every shown message, once."""
    walked: list[int] = []
    while (read := await page(stage, limit=30, after=walked[-1] if walked else 0))["messages"]:
        walked += ids_of(read)
        assert read["has_more"] == (walked[-1] != SHOWN[-1])
    assert walked == SHOWN


@pytest.mark.parametrize(
    "query",
    [
        "before=5&after=5",
        "before=&after=",
        "before=1&after=0",
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=1.5",
        "limit=ten",
        "limit=",
        "limit=1e2",
        "before=-1",
        "before=abc",
        "before=1%00",
        "before=1;2",
        "after=-1",
        "after=nan",
        "after=99999999999999999999",
        "before=%F0%9F%98%80",
    ],
)
async def test_a_query_that_cannot_be_is_422(stage: Stage, query: str) -> None:
    """Both cursors at once, a limit out of range, or anything that is not a number: 422 `invalid_request`."""
    answer = await stage.client.get(f"/api/messages?{query}")
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"


async def test_an_empty_board_has_an_empty_page(tmp_path: Path) -> None:
    """Before the first message a page is empty, at seq 0, with has_more false."""
    with served_board(tmp_path) as served:
        async with http_client(served) as client:
            read = (await client.get("/api/messages")).json()
    assert read == {"messages": [], "seq": 0, "epoch": read["epoch"], "has_more": False}


async def test_a_page_that_has_not_changed_is_304(stage: Stage) -> None:
    """Requested with its own ETag, an unchanged page is 304 without a body and with the same ETag."""
    for query in ("", "?limit=2", "?before=50", "?after=50"):
        first = await stage.client.get(f"/api/messages{query}")
        for tag in (first.headers["etag"], f"W/{first.headers['etag']}", f'"other", {first.headers["etag"]}', "*"):
            again = await stage.client.get(f"/api/messages{query}", headers={"If-None-Match": tag})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("tag", ['"other"', 'W/"other"', "other", '""', ","])
async def test_another_etag_gets_the_page(stage: Stage, tag: str) -> None:
    """Requested with another ETag, the whole page is returned."""
    answer = await stage.client.get("/api/messages", headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer.json()["messages"]


async def another_etag(stage: Stage, than: str) -> str:
    """Return the newest page's ETag once it is another one; the feed reads the log twice a second at least."""
    deadline = time.monotonic() + 2
    while (etag := str((await stage.client.get("/api/messages")).headers["etag"])) == than:
        assert time.monotonic() < deadline, "the page is out of date"
        await asyncio.sleep(0.01)
    return etag


async def test_the_etag_changes_with_the_board(stage: Stage) -> None:
    """A removal and a restoration by another process each change the ETag, so nobody keeps a removed message."""
    tags = [(await stage.client.get("/api/messages")).headers["etag"]]
    for change in (remove_message, restore_message):
        await change(stage.database, 100)
        tags.append(await another_etag(stage, tags[-1]))
    assert len(set(tags)) == 3
    again = await stage.client.get("/api/messages", headers={"If-None-Match": tags[0]})
    assert again.status_code == 200


async def test_a_page_is_revalidated_each_time(stage: Stage) -> None:
    """A cache must revalidate a page before using it."""
    answer = await stage.client.get("/api/messages")
    assert answer.headers["cache-control"] == "no-cache"


async def test_one_message(client: httpx.AsyncClient) -> None:
    """A single message is the same as on a page."""
    message = await post(client, "Hello", author="Ann")
    answer = await client.get(f"/api/messages/{message['id']}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    newest = (await client.get("/api/messages", params={"before": message["id"] + 1, "limit": 1})).json()
    assert answer.json() == message == newest["messages"][0]


@pytest.mark.parametrize("message_id", [0, COUNT + 50, 10**12, 2**31, 2**63 - 1])
async def test_an_unknown_message_is_404(stage: Stage, message_id: int) -> None:
    """A message that never existed is 404."""
    answer = await stage.client.get(f"/api/messages/{message_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("message_id", ["abc", "1.5", "-1", "%00", "99999999999999999999", "0x10", "\u0661"])
async def test_what_is_no_message_id_is_no_5xx(stage: Stage, message_id: str) -> None:
    """An invalid message id is a client error, in the contract's form."""
    answer = await stage.client.get(f"/api/messages/{message_id}")
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_removed_message_is_410(stage: Stage) -> None:
    """A message that was removed is 410 with the reason, and must not be cached."""
    answer = await stage.client.get("/api/messages/64")
    assert answer.status_code == 410
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["code"] == "gone"
    assert answer.json()["reason"] == "moderated"
    assert "Hello" not in answer.text


async def test_a_restored_message_is_there_again(stage: Stage) -> None:
    """A restored message can be read again."""
    before = (await stage.client.get("/api/messages/99")).json()
    await remove_message(stage.database, 99)
    assert (await stage.client.get("/api/messages/99")).status_code == 410
    await restore_message(stage.database, 99)
    assert (await stage.client.get("/api/messages/99")).json() == before
