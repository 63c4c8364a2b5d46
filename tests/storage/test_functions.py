"""Functions run in a transaction, by `write` and `read`: whole, in the order of arrival, with the caller's context."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from paidchat.storage import queries
from paidchat.storage.database import Database, DatabaseUnavailable
from paidchat.storage.writer import ENOUGH, MOST_AT_ONCE, TASK, TURNED_AWAY, WriteInterrupted
from tests.support.rows import migrated, opened
from tests.support.transactions import transaction

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
    monkeypatch.setattr("paidchat.storage.sqlite.LOCK_TIMEOUT_S", 0.2)
    url = new_sqlite_url()
    async with migrated(url) as database, opened(url) as other, transaction(other):
        with pytest.raises(DatabaseUnavailable) as refused:
            await database.write(increment)
        assert refused.value.is_locked
        assert await counter(database) == 0


class Held:
    """A function that writes, once it is let go, and says when it has begun."""

    def __init__(self, lock: Any) -> None:
        self.begun = asyncio.Event()
        self._go = threading.Event()
        self._lock = lock  # on PostgreSQL, a connection that has a lock on 1
        self._loop = asyncio.get_running_loop()
        self._unlocking: asyncio.Task[str] | None = None

    def write(self, connection: Connection) -> int:
        """Increment the counter."""
        self._loop.call_soon_threadsafe(self.begun.set)
        if self._lock is None:
            self._go.wait(10)
        else:
            connection.execute(select(func.pg_advisory_xact_lock(1)))
        return increment(connection)

    def let_go(self) -> None:
        """Let it write."""
        self._go.set()
        if self._lock is not None and self._unlocking is None:
            self._unlocking = asyncio.create_task(self._lock.execute("SELECT pg_advisory_unlock_all()"))


@pytest.fixture
async def crowd(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Database, Held, "asyncio.Task[int]"]]:
    """A database that is being written to, so that what comes now has to wait and shares a transaction."""
    monkeypatch.setattr("paidchat.storage.postgresql.GROUP_LOCK_TIMEOUT_S", 10)
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(opened(url))
        lock = await other.connect() if database.backend == "postgresql" else None
        if lock is not None:
            stack.push_async_callback(lock.close)
            await lock.execute("SELECT pg_advisory_lock(1)")
        held = Held(lock)
        first = asyncio.create_task(database.write(held.write))
        await held.begun.wait()
        yield database, held, first
        held.let_go()
        await first


Crowd = tuple[Database, Held, "asyncio.Task[int]"]


@pytest.mark.parametrize(("count", "groups"), [(20, 1), (MOST_AT_ONCE, 1), (2 * MOST_AT_ONCE + 1, 3), (1_100, 9)])
async def test_those_that_come_at_once_share_a_commit(
    crowd: Crowd, count: int, groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Functions that wait for a transaction to end are committed together, and each gets its own result."""
    monkeypatch.setattr("paidchat.storage.writer.TURN_TIMEOUT_S", 60)  # a busy machine may take more than five
    database, held, _ = crowd
    commits = 0

    def counted(_connection: Connection) -> None:
        nonlocal commits
        commits += 1

    writes = [asyncio.create_task(database.write(increment)) for _ in range(count)]
    await asyncio.sleep(0)
    event.listen(Engine, "commit", counted)
    try:
        held.let_go()
        assert await asyncio.gather(*writes) == list(range(2, 2 + count))
    finally:
        event.remove(Engine, "commit", counted)
    assert commits == 1 + groups


async def test_a_full_group_does_not_wait(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as enough wait for a transaction, they are written, however long a group would wait for others."""
    monkeypatch.setattr("paidchat.storage.writer.TURNS", sys.maxsize)
    async with asyncio.timeout(5):
        written = await asyncio.gather(*(database.write(increment) for _ in range(ENOUGH)))
    assert written == list(range(1, ENOUGH + 1))


async def test_a_bad_function_takes_nothing_of_its_neighbours_back(crowd: Crowd) -> None:
    """In a shared transaction, what a failing function wrote is undone, and all of the others' is kept."""
    database, held, _ = crowd

    def fail(connection: Connection) -> None:
        increment(connection, 100)
        raise LookupError("on purpose")

    def break_a_rule(connection: Connection) -> None:
        increment(connection, 100)
        connection.execute(insert(queries.board).values(id=1, tag="x", epoch="x", seq=0))

    writes = [
        asyncio.create_task(database.write(work)) for work in (increment, fail, increment, break_a_rule, increment)
    ]
    await asyncio.sleep(0)
    held.let_go()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [int, LookupError, int, IntegrityError, int], results
    assert await counter(database) == 4


def double(connection: Connection, items: Sequence[int]) -> list[int]:
    """Add the items to the counter, and return the double of each; refuse all if one of them is negative."""
    queries.take_seqs(connection, sum(items))
    if min(items) < 0:
        raise LookupError("on purpose")
    return [2 * item for item in items]


async def test_items_that_wait_share_a_call(database: Database) -> None:
    """A function of items is called once for the items of all who wait, and each gets the results of its own."""
    calls = []

    def counted(connection: Connection, items: Sequence[int]) -> list[int]:
        calls.append(len(items))
        return double(connection, items)

    pairs = [(2 * number, 2 * number + 1) for number in range(96)]
    results = await asyncio.gather(*(database.write_together(counted, pair) for pair in pairs))
    assert results == [[2 * one, 2 * other] for one, other in pairs]
    assert sum(calls) == 192
    assert len(calls) <= 4
    assert await counter(database) == sum(map(sum, pairs))


async def test_bad_items_fail_alone(database: Database) -> None:
    """If a shared call fails, each one's items are tried again without the others'."""
    calls = (database.write_together(double, items) for items in ([1, 2], [3, -3], [4], [5, -1]))
    results = await asyncio.gather(*calls, database.write(increment), return_exceptions=True)
    assert [result if isinstance(result, list) else type(result) for result in results] == [
        *([2, 4], LookupError, [8], LookupError),
        int,
    ]
    assert await counter(database) == 8


async def test_who_gives_up_waiting_writes_nothing(crowd: Crowd) -> None:
    """A caller that is cancelled before its function's turn takes it along."""
    database, held, _ = crowd
    writes = [asyncio.create_task(database.write(increment)) for _ in range(5)]
    await asyncio.sleep(0)
    writes[1].cancel()
    writes[3].cancel()
    await asyncio.wait({writes[1], writes[3]})
    held.let_go()
    await asyncio.gather(*writes, return_exceptions=True)
    assert await counter(database) == 4


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short time to wait for a turn."""
    monkeypatch.setattr("paidchat.storage.writer.TURN_TIMEOUT_S", 0.2)


@pytest.mark.usefixtures("impatience")
async def test_nobody_waits_for_ever(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits too long for a turn, or finds too many waiting, is told so, and nothing is written."""
    monkeypatch.setattr("paidchat.storage.writer.MOST_WAITING", 3)
    database, held, _ = crowd
    writes = [asyncio.create_task(database.write(increment)) for _ in range(5)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert {type(result) for result in results} == {DatabaseUnavailable}
    assert [str(result) for result in results[3:]] == ["too many are waiting to write"] * 2
    held.let_go()
    assert await database.write(increment) == 2


@pytest.mark.usefixtures("impatience")
async def test_each_waits_as_long_as_the_others(crowd: Crowd) -> None:
    """Who comes later is turned away later, and who comes after that is written."""
    database, held, _ = crowd
    began = asyncio.get_running_loop().time()
    first = asyncio.create_task(database.write(increment))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(database.write(increment))
    for each, least in ((first, 0.2), (second, 0.3)):
        with pytest.raises(DatabaseUnavailable):
            await each
        assert asyncio.get_running_loop().time() - began > least - 0.01
    held.let_go()
    assert await database.write(increment) == 2


@pytest.mark.usefixtures("impatience")
async def test_the_impatient_leave_a_few_at_a_time(crowd: Crowd) -> None:
    """When a crowd loses patience at once, the event loop gets a turn after some of them."""
    database, _, _ = crowd
    writes = [asyncio.create_task(database.write(increment)) for _ in range(5 * TURNED_AWAY)]
    left = [0]
    async with asyncio.timeout(5):
        while left[-1] < len(writes):
            await asyncio.sleep(0)
            left.append(sum(each.done() for each in writes))
    assert max(now - before for before, now in pairwise(left)) <= TURNED_AWAY
    refusals = await asyncio.gather(*writes, return_exceptions=True)
    assert {type(refusal) for refusal in refusals} == {DatabaseUnavailable}


async def test_a_database_that_closes_finishes_what_it_was_asked_for(new_url: Callable[[], str]) -> None:
    """Writes that wait when the database is closed are written first."""
    url = new_url()
    async with migrated(url):
        async with opened(url) as database:
            writes = [asyncio.create_task(database.write(increment)) for _ in range(50)]
            await asyncio.sleep(0)
        assert await asyncio.gather(*writes) == list(range(1, 51))


async def test_closing_waits_for_a_function_whose_task_is_gone(new_sqlite_url: Callable[[], str]) -> None:
    """On SQLite, what runs while its writer's task is cancelled is written, even if the database is closed."""
    url = new_sqlite_url()
    async with migrated(url):
        async with opened(url) as database:
            held = Held(None)
            write = asyncio.create_task(database.write(held.write))
            await held.begun.wait()
            [task] = [task for task in asyncio.all_tasks() if task.get_name() == TASK]
            task.cancel()
            with pytest.raises(WriteInterrupted):
                await write
            asyncio.get_running_loop().call_later(0.3, held.let_go)
        async with opened(url) as again:
            assert await counter(again) == 1


async def test_a_query_without_end_is_an_outage(
    new_sqlite_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that takes too long is ended, and its thread reads on for others."""
    monkeypatch.setattr("paidchat.storage.sqlite.STATEMENT_TIMEOUT_S", 0.2)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    async with migrated(new_sqlite_url()) as database:
        reads = [database.read(lambda connection: connection.exec_driver_sql(endless).scalar()) for _ in range(5)]
        results = await asyncio.gather(*reads, return_exceptions=True)
        assert {type(result) for result in results} == {DatabaseUnavailable}
        assert await counter(database) == 0
