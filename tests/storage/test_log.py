"""The log: dense, in commit order, whoever writes; and pages of the board."""

import asyncio

from sqlalchemy import select

from paidchat.moderation import remove_message
from paidchat.storage import queries
from paidchat.storage.database import Database, DatabaseUnavailable
from tests.support.rows import opened, write_messages
from tests.support.transactions import reading

WRITERS = 32
EACH = 4


async def tail(database: Database, until: int) -> list[int]:
    """Follow the log as a feed does: read after the last seq seen, until a seq is reached."""
    seen: list[int] = []
    while not seen or seen[-1] < until:
        async with reading(database) as connection:
            seen += [row.seq for row in await connection.run_sync(queries.log_after, seen[-1] if seen else 0, 7)]
        await asyncio.sleep(0.002)
    return seen


async def write(database: Database, times: int) -> list[int]:
    """Post one message after another, each in its own transaction, and return their ids."""
    ids: list[int] = []
    while len(ids) < times:
        try:
            ids += await write_messages(database, 1)
        except DatabaseUnavailable:
            await asyncio.sleep(0.1)
    return ids


async def test_the_log_is_dense_under_many_writers(database: Database, url: str) -> None:
    """Thirty-two writers over two pools leave no gap, and a reader that tails the log misses nothing."""
    async with opened(url) as other:
        reader = asyncio.create_task(tail(other, WRITERS * EACH))
        written = await asyncio.gather(*(write((database, other)[number % 2], EACH) for number in range(WRITERS)))
        async with asyncio.timeout(30):
            seen = await reader
    expected = list(range(1, WRITERS * EACH + 1))
    assert sorted(id_ for ids in written for id_ in ids) == expected
    assert all(ids == sorted(ids) for ids in written)
    assert seen == expected


async def test_a_message_has_the_number_of_its_entry(database: Database) -> None:
    """A message's id is the seq of the entry that posted it."""
    await write_messages(database, 3)
    async with reading(database) as connection:
        entries = (await connection.execute(select(queries.log_entry.c.seq, queries.log_entry.c.message_id))).all()
    assert [tuple(entry) for entry in entries] == [(1, 1), (2, 2), (3, 3)]


async def test_pages_leave_removed_messages_out(database: Database) -> None:
    """Pages in both directions have only visible messages, in ascending order, and say whether there are more."""
    ids = await write_messages(database, 10)
    await remove_message(database, ids[4])
    shown = [id_ for id_ in ids if id_ != ids[4]]
    async with reading(database) as connection:
        newest, older = await connection.run_sync(queries.messages_before, None, 3)
        before, more = await connection.run_sync(queries.messages_before, ids[6], 50)
        after, newer = await connection.run_sync(queries.messages_after, ids[2], 2)
        rest, done = await connection.run_sync(queries.messages_after, ids[5], 4)
    assert ([row.id for row in newest], older) == (shown[-3:], True)
    assert ([row.id for row in before], more) == (shown[:5], False)
    assert ([row.id for row in after], newer) == (shown[3:5], True)
    assert ([row.id for row in rest], done) == (ids[6:10], False)
