"""The audience's rows: each process counts, until it withdraws or falls silent by the database's clock."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from paidchat.storage import audience, clock
from paidchat.storage.database import Database
from tests.support.transactions import reading, transaction

ROWS = audience.audience


async def last_heard(database: Database, process: str, ago: timedelta) -> None:
    """Let a process have reported this long ago, by the database's clock; negative: in the future."""
    async with transaction(database) as connection:
        now = await connection.run_sync(clock.read)
        await connection.execute(update(ROWS).where(ROWS.c.process == process).values(seen_at=now - ago))


async def test_a_process_learns_how_many_the_others_have(database: Database) -> None:
    """A report replaces the process's last one and returns the sum of the others'."""
    assert await database.write(audience.report, "one", 3) == 0
    assert await database.write(audience.report, "two", 40) == 3
    assert await database.write(audience.report, "three", 0) == 43
    assert await database.write(audience.report, "one", 5) == 40
    assert await database.write(audience.report, "two", 40) == 5


async def test_a_process_that_withdraws_is_not_counted(database: Database) -> None:
    """Its row is gone, and no other; withdrawing again does nothing, and reporting again counts."""
    for process in ("one", "two", "three"):
        await database.write(audience.report, process, 7)
    for _ in range(2):
        await database.write(audience.withdraw, "one")
        assert await database.write(audience.report, "two", 7) == 7
    assert await database.write(audience.report, "one", 1) == 14


@pytest.mark.parametrize(
    ("ago", "counted"),
    [
        (timedelta(seconds=20), True),
        (timedelta(seconds=31), False),
        (timedelta(days=2), False),
        (timedelta(minutes=-5), False),  # written by a clock that was wrong
    ],
)
async def test_a_silent_process_is_not_counted(database: Database, ago: timedelta, counted: bool) -> None:
    """A process counts if it has reported within 30 seconds, and again as soon as it does."""
    await database.write(audience.report, "silent", 9)
    await last_heard(database, "silent", ago)
    assert await database.write(audience.report, "other", 1) == (9 if counted else 0)
    assert await database.write(audience.report, "silent", 9) == 1
    assert await database.write(audience.report, "other", 1) == 9


async def test_the_rows_of_the_killed_are_deleted(database: Database) -> None:
    """Pruning deletes rows that are a day old, and leaves those of processes that may come back."""
    for process, ago in (("killed", timedelta(hours=25)), ("slow", timedelta(hours=1)), ("alive", timedelta(0))):
        await database.write(audience.report, process, 1)
        await last_heard(database, process, ago)
    await database.write(audience.prune)
    async with reading(database) as connection:
        assert set((await connection.execute(select(ROWS.c.process))).scalars()) == {"slow", "alive"}


async def test_nobody_has_fewer_viewers_than_none(database: Database) -> None:
    """The database refuses a negative number, from whichever program."""
    with pytest.raises(IntegrityError):
        await database.write(audience.report, "one", -1)
    async with reading(database) as connection:
        assert (await connection.execute(select(ROWS))).all() == []


async def test_the_time_is_the_databases(database: Database) -> None:
    """A row is dated by the database's clock on PostgreSQL, in one transaction with what it is compared with."""
    await database.write(audience.report, "one", 1)
    async with reading(database) as connection:
        seen_at = (await connection.execute(select(ROWS.c.seen_at))).scalar_one()
    assert abs(seen_at - datetime.now(UTC)) < timedelta(seconds=10)
