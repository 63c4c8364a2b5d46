"""Functions run in a transaction, by `write` and `read`: whole, in the order of arrival, with the caller's context."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest
from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from paidchat.storage import queries
from paidchat.storage.database import Database, DatabaseUnavailable
from tests.support.rows import migrated, opened

name: ContextVar[str] = ContextVar("name", default="nobody")
HELD_S = 0.3


def increment(connection: Connection, by: int = 1) -> int:
    """Read the counter and write it back higher."""
    seq = connection.execute(select(queries.board.c.seq)).scalar_one()
    connection.execute(update(queries.board).values(seq=seq + by))
    return int(seq) + by


async def counter(database: Database) -> int:
    """The counter's value."""
    return (await database.read(queries.read_board)).seq


async def test_what_is_written_is_returned_and_there(database: Database, url: str) -> None:
    """A function's result is returned after its commit: whoever looks then, even another process, finds the write."""
    woken = asyncio.create_task(database.changes.wait(10))
    await asyncio.sleep(0)
    assert await database.write(increment, by=5) == 5
    async with opened(url) as other:
        assert await counter(other) == 5
    async with asyncio.timeout(5):
        await woken


async def test_a_function_that_raises_leaves_nothing(database: Database) -> None:
    """A function's own exception reaches its caller, and nothing that it wrote remains."""

    def fail(connection: Connection) -> None:
        increment(connection)
        raise LookupError("on purpose")

    with pytest.raises(LookupError, match="on purpose"):
        await database.write(fail)
    assert await counter(database) == 0
    assert await database.write(increment) == 1


async def test_many_at_once_all_count(new_sqlite_url: Callable[[], str]) -> None:
    """On SQLite, read-modify-writes at once, also by another process, lose no update. PostgreSQL locks rows instead."""
    url = new_sqlite_url()
    async with migrated(url) as database, opened(url) as other:
        await asyncio.gather(*(pool.write(increment) for pool in (database, other) for _ in range(30)))
        assert await counter(database) == 60


async def test_a_function_has_its_callers_context(database: Database) -> None:
    """Context variables, by which log entries and hooks know their request, travel with each function."""

    async def told(who: str) -> tuple[str, str]:
        name.set(who)
        return await database.write(lambda _: name.get()), await database.read(lambda _: name.get())

    everyone = [f"request {number}" for number in range(10)]
    assert await asyncio.gather(*map(told, everyone)) == [(who, who) for who in everyone]


async def test_a_write_outlives_its_caller(new_sqlite_url: Callable[[], str]) -> None:
    """A write that has begun is finished when its caller is cancelled, and the next one begins after its end."""
    async with migrated(new_sqlite_url()) as database:
        begun, ended = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def slow(connection: Connection) -> None:
            loop.call_soon_threadsafe(begun.set)
            ended.wait(HELD_S)
            increment(connection)

        caller = asyncio.create_task(database.write(slow))
        await begun.wait()
        caller.cancel()
        assert await database.write(increment) == 2
        with pytest.raises(asyncio.CancelledError):
            await caller


async def test_a_locked_file_is_an_outage(new_sqlite_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the file, a write is refused as an outage, and reads go on."""
    monkeypatch.setattr("paidchat.storage.database.LOCK_TIMEOUT_S", 0.2)
    url = new_sqlite_url()
    async with migrated(url) as database, opened(url) as other, other.transaction():
        with pytest.raises(DatabaseUnavailable) as refused:
            await database.write(increment)
        assert refused.value.is_locked
        assert await counter(database) == 0
