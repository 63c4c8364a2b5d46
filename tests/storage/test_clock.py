"""The clock that stored times are compared with, and how times left by a wrong clock are treated."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import literal, select, update

from paidchat import clock as process_clock
from paidchat.storage import claims, clock, queries, reconciliation
from paidchat.storage.database import Database
from paidchat.storage.tables import UTCDateTime
from tests.support.rows import opened, write_payment
from tests.support.transactions import transaction

SPAN = timedelta(seconds=60)
SECONDS = [-3600, -90, -30, 30, 90, 3600]


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Set the process's clock ahead."""
    right = process_clock.now

    def set_ahead(by: timedelta) -> None:
        monkeypatch.setattr(process_clock, "now", lambda: right() + by)

    return set_ahead


async def ask(database: Database, question: Callable[[str, Any, timedelta], Any], seconds: int) -> bool:
    """Evaluate a condition on a time this many seconds from now, and on the span."""
    async with transaction(database) as connection:
        time = literal(await connection.run_sync(clock.read) + timedelta(seconds=seconds), UTCDateTime())
        return bool((await connection.execute(select(question(database.backend, time, SPAN)))).scalar_one())


async def test_what_is_taken_for_a_while_holds_for_no_longer(database: Database) -> None:
    """Something taken for a minute is in force only while its end is at most a minute ahead."""
    held = [await ask(database, clock.in_force, each) for each in SECONDS]
    assert held == [0 < each < 60 for each in SECONDS]


async def test_what_happened_of_late_is_not_to_come(database: Database) -> None:
    """Something happened within the last minute only if it is at most a minute old and not in the future."""
    recent = [await ask(database, clock.within, each) for each in SECONDS]
    assert recent == [-60 < each < 0 for each in SECONDS]


async def test_nothing_stored_holds_nothing(database: Database) -> None:
    """NULL is neither in force nor recent."""
    async with transaction(database) as connection:
        none = literal(None, UTCDateTime())
        for question in (clock.in_force, clock.within):
            asked = question(database.backend, none, SPAN)
            assert not (await connection.execute(select(asked))).scalar_one()


async def test_postgresql_goes_by_its_own_clock(database: Database, ahead: Callable[[timedelta], None]) -> None:
    """A process whose clock is an hour ahead uses PostgreSQL's; on SQLite there is only its own."""
    right = process_clock.now()
    ahead(timedelta(hours=1))
    async with transaction(database) as connection:
        read = await connection.run_sync(clock.read)
    off = timedelta(0) if database.backend == "postgresql" else timedelta(hours=1)
    assert abs(read - right - off) < timedelta(minutes=1)


async def test_a_claim_from_a_wrong_clock_is_free(database: Database) -> None:
    """A claim of at most thirty seconds that seems to end in an hour was made by a wrong clock, and is free."""
    ttl = timedelta(seconds=30)
    async with transaction(database) as connection:
        now = await connection.run_sync(clock.read)
        wrong = await write_payment(connection, claimed_until=now + timedelta(hours=1))
        held = await write_payment(connection, claimed_until=now + timedelta(seconds=20))
        assert await connection.run_sync(claims.claim_payment, wrong, ttl) is not None
        assert await connection.run_sync(claims.claim_payment, held, ttl) is None


async def test_a_claim_is_released_by_its_holder_alone(database: Database) -> None:
    """Releasing a claim that lapsed and was taken over by another request does not release that one."""
    ttl = timedelta(seconds=30)
    async with transaction(database) as connection:
        payment_id = await write_payment(connection)
        first = await connection.run_sync(claims.claim_payment, payment_id, ttl)
        assert first is not None
        await connection.execute(update(queries.payment).values(claimed_until=None))
        second = await connection.run_sync(claims.claim_payment, payment_id, ttl)
        assert second is not None
        await connection.run_sync(claims.release_claim, payment_id, first)
        assert await connection.run_sync(claims.claim_payment, payment_id, ttl) is None
        await connection.run_sync(claims.release_claim, payment_id, second)
        assert await connection.run_sync(claims.claim_payment, payment_id, ttl) is not None


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_lease_is_taken_over_whatever_the_clocks_said(
    database: Database, ahead: Callable[[timedelta], None], hours: int
) -> None:
    """A released reconciler's lease is free; one taken by a clock an hour ahead is free on SQLite at once."""
    ahead(timedelta(hours=hours))
    async with transaction(database) as connection:
        assert await connection.run_sync(reconciliation.hold_sweep, "one", SPAN) is not None
        assert await connection.run_sync(reconciliation.hold_sweep, "other", SPAN) is None
    ahead(timedelta(0))
    async with transaction(database) as connection:
        taken = await connection.run_sync(reconciliation.hold_sweep, "other", SPAN)
    assert (taken is not None) == (database.backend == "sqlite")
    holder = "other" if taken else "one"
    async with transaction(database) as connection:
        await connection.run_sync(reconciliation.release_sweep, holder)
        assert await connection.run_sync(reconciliation.hold_sweep, "third", SPAN) is not None


async def numbers(database: Database, count: int) -> list[int]:
    """Take numbers, one transaction each."""
    taken = []
    for _ in range(count):
        async with transaction(database) as connection:
            taken.append((await connection.run_sync(queries.take_question)).number)
    return taken


async def test_questions_are_numbered_in_order(url: str, database: Database) -> None:
    """Numbers are unique, and a later one is greater, in any process."""
    async with opened(url) as other:
        batches = await asyncio.gather(numbers(database, 10), numbers(other, 10))
        assert all(batch == sorted(batch) for batch in batches)
        taken = sorted(batches[0] + batches[1])
        assert len(set(taken)) == 20
        [last] = await numbers(other, 1)
        assert last > taken[-1]


async def test_a_number_is_as_old_as_the_database_says(database: Database, ahead: Callable[[timedelta], None]) -> None:
    """On PostgreSQL the time beside a number is the database's own, whatever the process's clock says."""
    before: datetime = process_clock.now()
    ahead(timedelta(hours=1))
    async with transaction(database) as connection:
        question = await connection.run_sync(queries.take_question)
    off = timedelta(0) if database.backend == "postgresql" else timedelta(hours=1)
    assert abs(question.at - before - off) < timedelta(minutes=1)
