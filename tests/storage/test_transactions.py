"""Transactions: commits are durable and atomic, concurrent writers lose nothing, and a deadlock is reported."""

import asyncio
import time
from collections.abc import Callable

import pytest
from sqlalchemy import func, select, update

from paidchat.storage import queries
from paidchat.storage.database import Database, DatabaseUnavailable
from tests.support.postgres import Postgres
from tests.support.rows import opened, write_messages, write_payment


@pytest.fixture
def new_url(new_sqlite_url: Callable[[], str]) -> Callable[[], str]:
    """Only SQLite, because PostgreSQL has concurrent writers and locks rows."""
    return new_sqlite_url


async def increment(database: Database) -> None:
    """Read the counter and write it back one higher, which loses an update if anything comes in between."""
    async with database.transaction() as connection:
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
    async with database.reading() as connection:
        return int((await connection.run_sync(queries.read_board)).seq)


async def test_no_update_is_lost(database: Database, url: str) -> None:
    """Two hundred read-modify-writes, from three pools at once, all count."""
    async with opened(url) as second, opened(url) as third:
        pools = (database, second, third)
        await asyncio.gather(*(increment_patiently(pools[number % 3]) for number in range(200)))
    assert await counter(database) == 200


async def test_sqlite_is_set_up_for_money(database: Database) -> None:
    """Every connection of the pool uses WAL, full sync and foreign keys."""
    for _ in range(3):
        async with database.reading() as first, database.transaction() as second:
            for connection in (first, second):
                settings = [
                    (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
                    for name in ("journal_mode", "synchronous", "foreign_keys")
                ]
                assert settings == ["wal", 2, 1]


async def test_a_failing_block_leaves_nothing(database: Database) -> None:
    """If a block raises, none of its writes remain, not even the last one."""
    written = []

    async def fail() -> None:
        async with database.transaction() as connection:
            written.append(await write_payment(connection))
            await connection.run_sync(queries.take_seqs, 5)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await counter(database) == 0
    async with database.reading() as connection:
        assert await connection.run_sync(queries.find_payments, written) == []


async def test_a_cancelled_block_leaves_nothing(database: Database) -> None:
    """If a block is cancelled, none of its writes remain, and the next writer is not blocked."""
    inside = asyncio.Event()

    async def stuck() -> None:
        async with database.transaction() as connection:
            await connection.run_sync(queries.take_seqs, 5)
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(stuck())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await increment(database)
    assert await counter(database) == 1


async def test_a_reader_sees_one_state(database: Database, url: str) -> None:
    """A reader does not see what is committed while it reads, and does not block writers."""
    async with opened(url) as other, database.reading() as connection:
        before = (await connection.run_sync(queries.read_board)).seq
        await write_messages(other, 3)
        rows, _ = await connection.run_sync(queries.messages_before, None, 50)
        assert (before, (await connection.run_sync(queries.read_board)).seq, rows) == (0, 0, [])
    assert await counter(database) == 3


async def test_a_held_lock_is_waited_for_and_no_longer(database: Database, url: str) -> None:
    """Behind a writer that does not end, another one gives up within seconds instead of piling up."""
    async with opened(url) as other, other.transaction():
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="locked"):
            await increment(database)
        assert 1 < time.monotonic() - started < 6
    await increment(database)
    assert await counter(database) == 1


async def test_a_commit_wakes_who_waits(database: Database) -> None:
    """A waiter for changes is woken by a commit, and not by a block that failed."""
    await database.changes.wait(0)
    started = time.monotonic()
    with pytest.raises(LookupError):
        async with database.transaction():
            raise LookupError
    await database.changes.wait(0.2)
    assert time.monotonic() - started >= 0.2
    await increment(database)
    async with asyncio.timeout(5):
        await database.changes.wait(60)


async def test_a_deadlock_is_no_bug(postgres: Postgres) -> None:
    """Of two deadlocked transactions one succeeds; the other raises an error about the lock."""
    async with opened(postgres.create_database()) as database:

        async def lock(first: int, second: int, both: asyncio.Barrier) -> None:
            async with database.transaction() as connection:
                await connection.execute(select(func.pg_advisory_xact_lock(first)))
                await both.wait()
                await connection.execute(select(func.pg_advisory_xact_lock(second)))

        both = asyncio.Barrier(2)
        outcomes = await asyncio.gather(lock(1, 2, both), lock(2, 1, both), return_exceptions=True)
    [refused] = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(refused, DatabaseUnavailable)
    assert refused.is_locked
