"""What the constraints alone forbid, whatever the code does."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Table, insert, update
from sqlalchemy.exc import IntegrityError

from paidchat.storage import inbox, queries
from paidchat.storage.database import Database
from tests.support.rows import payment_row, write_messages, write_payment
from tests.support.transactions import reading, transaction

NOW = datetime(2026, 1, 2, tzinfo=UTC)
# The words that both databases use in their errors.
UNIQUE = r"(?i)\bunique constraint"
CHECK = r"(?i)\bcheck constraint"
FOREIGN_KEY = r"(?i)\bforeign key constraint"
NOT_NULL = r"(?i)\bnot.null constraint"


def message_row(message_id: int, payment_id: str) -> dict[str, Any]:
    """The columns of a visible message."""
    return {
        "id": message_id,
        "payment_id": payment_id,
        "text": "Hello",
        "amount": 100,
        "currency": "usd",
        "posted_at": NOW,
        "moderated": False,
        "hidden": False,
    }


async def refused(database: Database, table: Table, row: dict[str, Any], by: str) -> None:
    """Check that the database itself refuses a row, and why."""
    with pytest.raises(IntegrityError, match=by):
        async with transaction(database) as connection:
            await connection.execute(insert(table), row)


async def test_a_payment_has_one_message(database: Database) -> None:
    """A second message for a payment is refused, whatever its id."""
    [posted] = await write_messages(database, 1)
    async with reading(database) as connection:
        message = await connection.run_sync(queries.find_message, posted)
    assert message is not None
    await refused(database, queries.message, message_row(posted + 1, message.message.payment_id), UNIQUE)


async def test_a_message_is_posted_once(database: Database) -> None:
    """A second posted entry for a message is refused at every seq."""
    [posted] = await write_messages(database, 1)
    again = {"kind": "posted", "message_id": posted, "reason": None, "at": NOW}
    await refused(database, queries.log_entry, {**again, "seq": posted}, UNIQUE)
    await refused(database, queries.log_entry, {**again, "seq": posted + 1}, f"{CHECK}.*posts_its_own_seq")


async def test_a_message_belongs_to_a_payment(database: Database) -> None:
    """A message of an unknown payment is refused."""
    await refused(database, queries.message, message_row(1, str(uuid.uuid4())), FOREIGN_KEY)


async def test_an_entry_belongs_to_a_message(database: Database) -> None:
    """A log entry about an unknown message is refused."""
    entry = {"seq": 1, "kind": "removed", "message_id": 1, "reason": "moderated", "at": NOW}
    await refused(database, queries.log_entry, entry, FOREIGN_KEY)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("hidden", None),
        ("removed", None),
        ("removed", ""),
        ("removed", "because"),
        ("restored", "moderated"),
        ("posted", "moderated"),
        ("POSTED", None),
    ],
)
async def test_the_log_knows_its_kinds_and_reasons(database: Database, kind: str, reason: str | None) -> None:
    """Only a removal has a reason, and only one of three; other kinds of entries are refused."""
    [posted] = await write_messages(database, 1)
    seq = 2 if kind != "posted" else posted
    entry = {"seq": seq, "kind": kind, "message_id": posted, "reason": reason, "at": NOW}
    await refused(database, queries.log_entry, entry, f"{CHECK}.*log_entry")


@pytest.mark.parametrize("status", ["", "paid", "PENDING", "unknown"])
async def test_a_payment_knows_its_statuses(database: Database, status: str) -> None:
    """A status that is not in the contract is refused on insert and on update."""
    await refused(database, queries.payment, payment_row(status=status), f"{CHECK}.*payment_status")
    async with transaction(database) as connection:
        payment_id = await write_payment(connection)
    with pytest.raises(IntegrityError, match=f"{CHECK}.*payment_status"):
        async with transaction(database) as connection:
            await connection.run_sync(queries.update_payment, payment_id, status=status)


@pytest.mark.parametrize(
    ("column", "wrong", "by"),
    [
        ("amount", 0, CHECK),
        ("amount", -1, CHECK),
        ("text", "", CHECK),
        ("text", None, NOT_NULL),
        ("currency", None, NOT_NULL),
    ],
)
async def test_a_payment_is_for_something_and_costs_something(
    database: Database, column: str, wrong: Any, by: str
) -> None:
    """An amount of zero and an empty text are refused."""
    await refused(database, queries.payment, payment_row(**{column: wrong}), by)


@pytest.mark.parametrize("column", ["id", "stripe_key", "session_id", "payment_intent", "idempotency_key"])
async def test_what_names_a_payment_names_one(database: Database, column: str) -> None:
    """No two payments share an id, a Stripe key, a session, a payment intent or an Idempotency-Key."""
    name = str(uuid.uuid4())
    async with transaction(database) as connection:
        await connection.execute(insert(queries.payment), payment_row(**{column: name}))
    await refused(database, queries.payment, payment_row(**{column: name}), UNIQUE)


async def test_there_is_one_board(database: Database) -> None:
    """A second row of the board, and thus a second counter, is refused."""
    await refused(database, queries.board, {"id": 2, "tag": "t", "epoch": "e", "seq": 0}, f"{CHECK}.*one_row")
    with pytest.raises(IntegrityError, match=f"{CHECK}.*board_seq"):
        async with transaction(database) as connection:
            await connection.execute(update(queries.board).values(seq=-1))


async def test_an_event_is_in_the_inbox_once(database: Database) -> None:
    """A second row for an event is refused."""
    row = {"id": "evt_1", "type": "t", "verdict": "applied", "received_at": NOW}
    async with transaction(database) as connection:
        await connection.execute(insert(inbox.stripe_event), row)
    await refused(database, inbox.stripe_event, row, UNIQUE)
    await refused(database, inbox.stripe_event, {**row, "id": "evt_2", "verdict": "whatever"}, f"{CHECK}.*verdict")


async def test_a_time_without_an_offset_is_refused(database: Database) -> None:
    """A naive time is refused, because it means another moment on another machine."""
    with pytest.raises(Exception, match="needs an offset"):
        async with transaction(database) as connection:
            await write_payment(connection, created_at=datetime(2026, 1, 2))  # noqa: DTZ001 - the point of the test


async def test_a_time_comes_back_as_it_went_in(database: Database) -> None:
    """Times are read in UTC, to the microsecond."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    async with transaction(database) as connection:
        payment_id = await write_payment(connection, created_at=moment)
        found = await connection.run_sync(queries.find_payment, payment_id)
    assert found is not None
    assert found.created_at == moment
    assert found.created_at.utcoffset() == moment.utcoffset()
