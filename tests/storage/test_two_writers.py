"""The two writers on PostgreSQL: whoever meets a lock, a deadlock or a conflict holds nobody else up."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.engine import Connection

from paidchat.storage import limits, queries
from paidchat.storage.database import Database, DatabaseUnavailable
from tests.support.logs import captured_logs
from tests.support.postgres import Postgres
from tests.support.rows import opened, payment_row

NEIGHBOURS = 5
SOON_S = 2.5  # before the lock that one of them waits for is given up


@pytest.fixture
def new_url(postgres: Postgres) -> Callable[[], str]:
    """Only PostgreSQL: SQLite has one writer."""
    return postgres.create_database


def start(connection: Connection) -> str:
    """Insert a new payment and return its id."""
    row = payment_row()
    connection.execute(insert(queries.payment).values(row))
    return str(row["id"])


def move(connection: Connection, payment_id: str) -> None:
    """Write to a payment, which must not be locked."""
    queries.update_payment(connection, payment_id, author="Somebody")


def move_all(connection: Connection, payment_ids: Sequence[str]) -> Sequence[str]:
    """Write to payments as fulfilment does, locking them first."""
    for payment_id in queries.lock_payments(connection, payment_ids):
        move(connection, payment_id)
    return payment_ids


async def authors(database: Database) -> set[str]:
    """The payments that were written to."""
    written = select(queries.payment.c.id).where(queries.payment.c.author == "Somebody")
    return set(await database.read(lambda connection: connection.execute(written).scalars().all()))


@asynccontextmanager
async def locked(url: str, payment_id: str) -> AsyncIterator[None]:
    """Hold a payment's lock as another process would."""
    async with opened(url) as other:
        connection = await other.connect()
        try:
            async with connection.transaction():
                await connection.execute("SELECT id FROM payment WHERE id = $1 FOR UPDATE", payment_id)
                yield
        finally:
            await connection.close()


async def test_a_locked_payment_stops_no_new_one(database: Database, url: str) -> None:
    """While a fulfilment waits for a payment that another process has locked, new payments are started at once."""
    payment_id = await database.write(start)
    async with locked(url, payment_id):
        waiting = asyncio.create_task(database.write_together(move_all, [payment_id], locks_payments=True))
        for _ in range(10):
            await asyncio.sleep(0.02)
            began = time.monotonic()
            await database.write(start)
            assert time.monotonic() - began < 0.4
        assert not waiting.done()
    assert await waiting == [payment_id]


async def test_a_locked_payment_holds_no_neighbour_up(database: Database, url: str) -> None:
    """Those that share a group with a locked payment are written while it is waited for; it alone fails, if at all."""
    ids = [await database.write(start) for _ in range(NEIGHBOURS)]
    async with locked(url, ids[2]):
        began = time.monotonic()
        together = [
            asyncio.create_task(database.write_together(move_all, [payment_id], locks_payments=True))
            for payment_id in ids
        ]
        await asyncio.wait({task for number, task in enumerate(together) if number != 2})
        assert time.monotonic() - began < SOON_S
        assert await authors(database) == {*ids} - {ids[2]}
        with pytest.raises(DatabaseUnavailable) as refused:
            await together[2]
        assert refused.value.is_locked
    assert await authors(database) == {*ids} - {ids[2]}
    assert [await task for number, task in enumerate(together) if number != 2] == [
        [payment_id] for payment_id in ids if payment_id != ids[2]
    ]


@pytest.mark.parametrize("code", ["55P03", "40P01", "40001", "57014"])
@pytest.mark.parametrize("is_lasting", [True, False])
async def test_one_that_conflicts_leaves_its_neighbours_written(
    database: Database, code: str, *, is_lasting: bool
) -> None:
    """After a lock timeout, deadlock, serialization failure or statement timeout, each of the group is tried alone."""
    ids = [await database.write(start) for _ in range(NEIGHBOURS)]
    tries = 0

    def conflict(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        move(connection, ids[0])
        if is_lasting or tries == 1:
            connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$"))

    moves = (database.write(move, payment_id) for payment_id in ids[1:])
    results = await asyncio.gather(database.write(conflict), *moves, return_exceptions=True)
    assert results[1:] == [None] * (NEIGHBOURS - 1)
    assert tries == 2
    assert isinstance(results[0], DatabaseUnavailable) is is_lasting
    if isinstance(results[0], DatabaseUnavailable):
        assert results[0].is_locked is (code in {"55P03", "40P01"})
    assert await authors(database) == set(ids[is_lasting:])


async def test_a_deadlock_leaves_the_neighbours_written(database: Database, url: str) -> None:
    """A real deadlock with another process is one function's trouble: the others of its group are written."""
    ids = [await database.write(start) for _ in range(NEIGHBOURS)]
    first, second = ids[:2]

    def lock_both(connection: Connection) -> None:
        move(connection, first)
        move(connection, second)

    async with opened(url) as other:
        connection = await other.connect()
        async with connection.transaction():
            await connection.execute("SELECT id FROM payment WHERE id = $1 FOR UPDATE", second)
            both = asyncio.create_task(database.write(lock_both))
            others = [asyncio.create_task(database.write(move, payment_id)) for payment_id in ids[2:]]
            await asyncio.sleep(0.1)
            crossing = asyncio.create_task(connection.execute("SELECT id FROM payment WHERE id = $1 FOR UPDATE", first))
            began = time.monotonic()
            await asyncio.gather(*others)
            assert time.monotonic() - began < SOON_S
            await asyncio.gather(crossing, return_exceptions=True)
        await asyncio.gather(both, return_exceptions=True)
        await connection.close()
    assert set(ids[2:]) <= await authors(database)


async def test_processes_that_limit_the_same_clients_do_not_deadlock(database: Database, url: str) -> None:
    """Two processes that start payments for the same clients, in opposite orders, only wait for each other."""
    clients = [f"client {number}" for number in range(8)]

    def lock(connection: Connection, items: Sequence[str]) -> Sequence[str]:
        limits.lock_clients(connection, items)
        connection.execute(select(func.pg_sleep(0.01)))
        return items

    async with opened(url) as other:
        with captured_logs() as entries:
            for _ in range(20):
                await asyncio.gather(
                    *(database.write_together(lock, [client]) for client in clients),
                    *(other.write_together(lock, [client]) for client in reversed(clients)),
                )
    assert [entry for entry in entries if entry["event"] == "group_commit.failed"] == []
