"""What was raised, in the feed's `viewers`: the sum paid for the messages on the board, if the operator shows it."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete, func, select, update

from paidchat.feed import audience as audience_module
from paidchat.storage import queries
from paidchat.storage.outages import DatabaseUnavailable
from paidchat.storage.tables import LogEntry, table
from tests.support.board_client import http_client, post
from tests.support.following import Follower, following
from tests.support.rows import opened, payment_row, write, write_messages
from tests.support.served import Served, served_board
from tests.support.shapes import Json
from tests.support.transactions import reading, transaction

BEAT_S = 0.2  # instead of 10
SOON_S = 8
TOKEN = "token-of-the-administration"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience_module, "BEAT_S", BEAT_S)


@pytest.fixture
async def showing(tmp_path: Path) -> AsyncIterator[Served]:
    """A board that shows what was raised."""
    with served_board(tmp_path, show_raised="on", admin_token=TOKEN) as board:
        yield board


async def until_told(follower: Follower, raised: int) -> Json:
    """Read until a follower is told this sum, and return the frame."""
    async with asyncio.timeout(SOON_S):
        while follower.audience.get("raised") != raised:
            await follower.receive_any()
    return follower.audience


async def on_the_board(served: Served) -> int:
    """Return the sum by the messages themselves."""
    message = queries.message
    total = select(func.coalesce(func.sum(message.c.amount), 0)).where(message.c.hidden.is_(False))
    async with opened(served.settings.database_url) as database, reading(database) as connection:
        return int((await connection.execute(total)).scalar_one())


async def test_it_follows_what_is_on_the_board(showing: Served) -> None:
    """A message counts from when it is posted, not while it is off the board, and again once it is restored."""
    async with following(showing) as follower, http_client(showing) as client:
        assert await until_told(follower, 0) == {"type": "viewers", "count": 1, "raised": 0, "currency": "usd"}
        message = await post(client, "Counted")
        await until_told(follower, 100)
        await post(client, "Counted, too")
        await until_told(follower, 200)
        await client.delete(f"/api/admin/messages/{message['id']}", headers=AUTHORIZED)
        await until_told(follower, 100)
        await client.post(f"/api/admin/messages/{message['id']}/restore", headers=AUTHORIZED)
        await until_told(follower, 200)


@pytest.mark.any_database
async def test_whoever_comes_later_is_told_the_same(showing: Served, tmp_path: Path) -> None:
    """A viewer who comes later, and those of another process, are told the same sum, in the board's currency alone."""
    async with opened(showing.settings.database_url) as database:
        await write_messages(database, 30)
        await write([payment_row(status="fulfilled", paid=True, amount=5, currency="eur")], database)
    async with following(showing) as first:
        await until_told(first, 3000)
        async with following(showing) as second:
            assert (await second.receive_viewers(), second.audience["raised"]) == (2, 3000)
    with served_board(tmp_path, show_raised="on", price_currency="eur") as other:
        async with following(other) as third:
            assert (await until_told(third, 5))["currency"] == "eur"


async def test_any_order_of_changes_ends_at_the_same_sum(showing: Served) -> None:
    """After any posts, removals and restorations the sum is that of the messages on the board."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    async with following(showing) as follower, http_client(showing) as client:
        ids = [(await post(client, f"Message {number}"))["id"] for number in range(4)]
        for _ in range(12):
            await change(client, chance.choice(ids), chance)
            await asyncio.sleep(chance.choice([0, 0, BEAT_S]))
        expected = await on_the_board(showing)
        try:
            await until_told(follower, expected)
        except TimeoutError:
            pytest.fail(f"seed {seed}: {expected} expected, {follower.audience} told")


async def change(client: httpx.AsyncClient, message_id: int, chance: random.Random) -> None:
    """Take a message off the board or put it back, whether or not it is there."""
    if chance.random() < 0.5:
        await client.delete(f"/api/admin/messages/{message_id}", headers=AUTHORIZED)
    else:
        await client.post(f"/api/admin/messages/{message_id}/restore", headers=AUTHORIZED)


@pytest.mark.any_database
async def test_after_a_restored_backup_only_what_is_there_counts(showing: Served) -> None:
    """In a new epoch the sum is read anew, because messages that were counted may be gone."""
    log = table(LogEntry)
    async with opened(showing.settings.database_url) as database:
        kept, lost = await write_messages(database, 2)
        async with following(showing) as follower:
            await until_told(follower, 200)
            async with transaction(database) as connection:
                await connection.execute(delete(log).where(log.c.seq == lost))
                await connection.execute(delete(queries.message).where(queries.message.c.id == lost))
                await connection.execute(update(queries.board).values(seq=kept))
                await connection.run_sync(queries.begin_epoch, "new")
            await follower.closed()
    async with following(showing) as follower:
        await until_told(follower, 100)


@pytest.mark.any_database
async def test_it_is_not_told_unless_it_is_shown(tmp_path: Path) -> None:
    """By default the frame has the number of viewers and nothing else."""
    with served_board(tmp_path) as board:
        async with opened(board.settings.database_url) as database:
            await write_messages(database, 1)
        async with following(board) as follower, asyncio.timeout(SOON_S):
            while not follower.audience:
                await follower.receive_any()
            assert follower.audience == {"type": "viewers", "count": 1}


@pytest.mark.any_database
async def test_a_sum_that_cannot_be_read_harms_nothing_else(showing: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the sum can't be read, everybody is told the number of viewers, and messages arrive as ever."""

    def fail(*_: object) -> tuple[int, int]:
        raise DatabaseUnavailable("no sum")

    monkeypatch.setattr("paidchat.feed.raised.raised_after", fail)
    async with following(showing) as follower, http_client(showing) as client:
        await follower.receive_viewers()
        assert follower.audience == {"type": "viewers", "count": 1}
        posted = await post(client, "All the same")
        assert (await follower.receive())["message"]["id"] == posted["id"]
