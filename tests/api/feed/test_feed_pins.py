"""Pins on the feed: a snapshot has what is on top now, however the process came to know of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.support.board_client import post
from tests.support.following import following, untimed
from tests.support.rows import opened, write_pinned
from tests.support.served import Served
from tests.support.shapes import Json
from tests.support.tiered import AUTHORIZED, LONG, MIDDLE, SHORT, SHORT_S, tiered_board, undisturbed

MINUTE = timedelta(minutes=1)


@pytest.fixture
def tiered(tmp_path: Path, backend: str) -> Iterator[Served]:
    """A board with tiers, one of them short."""
    del backend
    with tiered_board(tmp_path) as served:
        yield served


@pytest.fixture
async def client(tiered: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that board."""
    async with undisturbed(tiered) as http:
        yield http


async def snapshot(served: Served, seq: int) -> Json:
    """Return the snapshot for somebody who joins now; the feed has read up to `seq` by then."""
    async with asyncio.timeout(10):
        while True:
            async with following(served) as follower:
                if follower.first["seq"] >= seq:
                    return follower.first


async def check(served: Served, client: httpx.AsyncClient) -> list[str]:
    """Check that a snapshot has the pins of the pinned page, and return their texts."""
    page = (await client.get("/api/pinned")).json()
    first = await snapshot(served, page["seq"])
    assert (first["pinned"], first["seq"], first["epoch"]) == (page["messages"], page["seq"], page["epoch"])
    for now in (first["now"], page["now"]):
        assert abs(datetime.fromisoformat(now) - datetime.now(UTC)) < MINUTE
    return [message["text"] for message in first["pinned"]]


async def test_a_snapshot_has_the_pins(tiered: Served, client: httpx.AsyncClient) -> None:
    """A snapshot has what is pinned, in order: after posts, a removal, a restoration, and at the end of a pin."""
    assert await check(tiered, client) == []
    await post(client, "Middle", amount=MIDDLE)
    assert await check(tiered, client) == ["Middle"]
    long = await post(client, "Long", amount=LONG)
    await post(client, "For a dollar")
    await post(client, "Middle again", amount=MIDDLE)
    assert await check(tiered, client) == ["Long", "Middle again", "Middle"]
    removed = await client.delete(f"/api/admin/messages/{long['id']}", headers=AUTHORIZED)
    assert removed.status_code == 204
    assert await check(tiered, client) == ["Middle again", "Middle"]
    restored = await client.post(f"/api/admin/messages/{long['id']}/restore", headers=AUTHORIZED)
    assert restored.json() == long
    assert await check(tiered, client) == ["Long", "Middle again", "Middle"]
    await post(client, "Short", amount=SHORT)
    assert await check(tiered, client) == ["Long", "Middle again", "Middle", "Short"]
    await asyncio.sleep(SHORT_S + 0.1)
    assert await check(tiered, client) == ["Long", "Middle again", "Middle"]


async def test_a_snapshot_has_twenty_pins_at_most(tiered: Served, client: httpx.AsyncClient) -> None:
    """Of more, a snapshot has the highest; when some end, others take their places."""
    async with opened(tiered.settings.database_url) as database:
        await write_pinned(database, [MIDDLE] * 25, seconds=600)
        await write_pinned(database, [LONG] * 5, seconds=SHORT_S)
    first = await snapshot(tiered, 30)
    assert [message["id"] for message in first["pinned"]] == [*range(30, 25, -1), *range(25, 10, -1)]
    await asyncio.sleep(SHORT_S + 0.1)
    later = await snapshot(tiered, 30)
    assert [message["id"] for message in later["pinned"]] == [*range(25, 5, -1)]
    await check(tiered, client)


async def test_the_time_goes_on(tiered: Served, client: httpx.AsyncClient) -> None:
    """A snapshot and `resumed` tell the server's time as it is when they are sent."""
    await post(client, "On top", amount=LONG)
    first = await snapshot(tiered, 1)
    await asyncio.sleep(0.3)
    second = await snapshot(tiered, 1)
    assert untimed(second) == untimed(first)
    await asyncio.sleep(0.3)
    async with following(tiered, after=first["seq"], epoch=first["epoch"]) as follower:
        assert follower.first["type"] == "resumed"
        times = [datetime.fromisoformat(frame["now"]) for frame in (first, second, follower.first)]
    assert all(later - earlier >= timedelta(seconds=0.3) for earlier, later in pairwise(times))
