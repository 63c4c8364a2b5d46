"""Query plans: frequent queries use an index, however long the board has existed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncConnection

from paidchat.storage import inbox, queries
from paidchat.storage.database import Database
from tests.support.rows import write_messages, write_payment, write_pinned
from tests.support.transactions import transaction

Ask = Callable[[AsyncConnection], Awaitable[Any]]
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def new_url(new_sqlite_url: Callable[[], str]) -> Callable[[], str]:
    """Only SQLite, because PostgreSQL's planner scans small tables."""
    return new_sqlite_url


@pytest.fixture
async def filled(database: Database) -> Database:
    """A database with some messages and payments."""
    await write_messages(database, 300)
    async with transaction(database) as connection:
        await write_payment(connection)
    return database


async def plans_of(database: Database, ask: Ask) -> list[str]:
    """Return SQLite's plan for every statement of a query function."""
    asked: list[tuple[str, Any]] = []

    def remember(*call: Any) -> None:
        asked.append((call[2], call[3]))

    async with transaction(database) as connection:
        event.listen(Engine, "before_cursor_execute", remember)
        try:
            await ask(connection)
        finally:
            event.remove(Engine, "before_cursor_execute", remember)
        explained = [
            (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)).all()
            for sql, parameters in asked
        ]
    return ["; ".join(row.detail for row in rows) for rows in explained]


QUESTIONS: list[tuple[str, Ask]] = [
    ("newest page", lambda connection: connection.run_sync(queries.messages_before, None, 50)),
    ("older page", lambda connection: connection.run_sync(queries.messages_before, 100, 50)),
    ("newer page", lambda connection: connection.run_sync(queries.messages_after, 100, 50)),
    ("log", lambda connection: connection.run_sync(queries.log_after, 100, 500)),
    ("payment", lambda connection: connection.run_sync(queries.find_payment, "p")),
    ("payments", lambda connection: connection.run_sync(queries.find_payments, ["p", "q"])),
    ("payment by key", lambda connection: connection.run_sync(queries.find_payment_by_key, "k")),
    ("payments to move", lambda connection: connection.run_sync(queries.lock_payments, {"p", "q"})),
    ("message", lambda connection: connection.run_sync(queries.find_message, 100)),
    ("event", lambda connection: connection.run_sync(inbox.find_verdicts, ["evt_1"])),
]


@pytest.mark.parametrize(("name", "ask"), QUESTIONS, ids=[name for name, _ in QUESTIONS])
async def test_no_question_scans_or_sorts(filled: Database, name: str, ask: Ask) -> None:
    """Pages, the log and every lookup are searched by a key; nothing reads or sorts a whole table."""
    for plan in await plans_of(filled, ask):
        # A virtual table is the list of ids that was asked for.
        allowed = ("USING INDEX", "VIRTUAL TABLE")
        scans = [step for step in plan.split("; ") if step.startswith("SCAN") and not any(map(step.count, allowed))]
        assert not scans, f"{name}: {plan}"
        assert "TEMP B-TREE" not in plan, f"{name}: {plan}"


async def test_pins_are_searched_by_their_end(filled: Database) -> None:
    """What is pinned is found in an index of the messages that ever were, by its end; only what is found is sorted."""
    await write_pinned(filled, [500] * 30, seconds=300)
    [plan] = await plans_of(filled, lambda connection: connection.run_sync(queries.pinned_messages, NOW, 21))
    assert plan == "SEARCH message USING INDEX message_pinned (pinned_until>?); USE TEMP B-TREE FOR ORDER BY"


@pytest.mark.parametrize("cursor", [None, 100])
async def test_pages_use_the_index_of_shown_messages(filled: Database, cursor: int | None) -> None:
    """A page is read from an index of visible messages only, so removed ones cost nothing."""
    [plan] = await plans_of(filled, lambda connection: connection.run_sync(queries.messages_before, cursor, 50))
    assert "message_shown" in plan
