"""Transactions: commits are durable and atomic, concurrent writers lose nothing, and a lock is waited for."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from paidchat.storage import queries
from paidchat.storage.database import Database, DatabaseUnavailable
from tests.support.rows import opened, write_messages
from tests.support.transactions import reading, transaction


@pytest.fixture
def new_url(new_sqlite_url: Callable[[], str]) -> Callable[[], str]:
    """Only SQLite, because PostgreSQL has concurrent writers and locks rows."""
    return new_sqlite_url


async def increment(database: Database) -> None:
    """Read the counter and write it back one higher, which loses an update if anything comes in between."""
    async with transaction(database) as connection:
        seq = (await connection.execute(select(queries.board.c.seq))).scalar_one()
        await asyncio.sleep(0)
        await connection.execute(update(queries.board).values(seq=seq + 1))


async def increment_patiently(database: Database) -> None:
    """Do the same, and retry while the database is too busy, because then nothing was written."""
    while True:
        try:
            return await increment(database)
        except DatabaseUnavailable:
            await asyncio.sleep(0.1)


async def counter(database: Database) -> int:
    """The counter's value."""
    async with reading(database) as connection:
        return int((await connection.run_sync(queries.read_board)).seq)


async def test_no_update_is_lost(database: Database, url: str) -> None:
    """Two hundred read-modify-writes, from three pools at once, all count."""
    async with opened(url) as second, opened(url) as third:
        pools = (database, second, third)
        await asyncio.gather(*(increment_patiently(pools[number % 3]) for number in range(200)))
    assert await counter(database) == 200


async def test_sqlite_is_set_up_for_money(database: Database) -> None:
    """Every connection, of the writer and of the readers, uses WAL, full sync and foreign keys."""

    def settings(connection: Connection) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    reads = (database.read(settings) for _ in range(3))
    assert await asyncio.gather(database.write(settings), *reads) == [["wal", 2, 1]] * 4


async def test_a_reader_sees_one_state(database: Database, url: str) -> None:
    """A reader does not see what is committed while it reads, and does not block writers."""
    async with opened(url) as other, reading(database) as connection:
        before = (await connection.run_sync(queries.read_board)).seq
        await write_messages(other, 3)
        rows, _ = await connection.run_sync(queries.messages_before, None, 50)
        assert (before, (await connection.run_sync(queries.read_board)).seq, rows) == (0, 0, [])
    assert await counter(database) == 3


async def test_a_held_lock_is_waited_for_and_no_longer(database: Database, url: str) -> None:
    """Behind a writer that does not end, another one gives up within seconds instead of piling up."""
    async with opened(url) as other, transaction(other):
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="locked"):
            await increment(database)
        assert 1 < time.monotonic() - started < 6
    await increment(database)
    assert await counter(database) == 1


async def test_a_commit_wakes_who_waits(database: Database) -> None:
    """A waiter for changes is woken by a commit, and not by a function that failed."""

    def fail(connection: Connection) -> None:
        queries.take_seqs(connection, 1)
        raise LookupError

    await database.changes.wait(0)
    started = time.monotonic()
    with pytest.raises(LookupError):
        await database.write(fail)
    await database.changes.wait(0.2)
    assert time.monotonic() - started >= 0.2
    await database.write(queries.take_seqs, 1)
    async with asyncio.timeout(5):
        await database.changes.wait(60)
