"""The board: reading its messages, and recording changes to it in one dense order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from sqlalchemy.engine import Connection

from paidchat.domain import EntryKind, Gone, NotFound
from paidchat.records import (
    BoardChange,
    LogEntry,
    LogRecord,
    MessageRecord,
    PaymentRecord,
    Posted,
    Removed,
    Restored,
)
from paidchat.storage import clock, queries
from paidchat.storage.clock import RunningClock
from paidchat.storage.database import Database
from paidchat.storage.tail import tail_of

PINNED_MESSAGES: Final = 20  # shown on top at most


def record(connection: Connection, changes: Sequence[BoardChange], now: datetime) -> list[int]:
    """Write the changes and return their places in the log. Call it last in a transaction.

    The feed is told of new messages; anything else it reads, since that needs the message as it is now.
    """
    if not changes:
        return []
    seqs = queries.take_seqs(connection, len(changes))
    posts, entries = [], []
    tail = tail_of(connection)
    for seq, change in zip(seqs, changes, strict=True):
        match change:
            case Posted(payment):
                message = _message(seq, payment, now)
                posts.append(message)
                tail.entries.append(LogRecord(seq=seq, kind=EntryKind.POSTED, reason=None, message=message))
                entries.append(LogEntry(seq=seq, kind=EntryKind.POSTED, message_id=seq, reason=None, at=now))
            case Removed(message_id, reason):
                queries.update_message(connection, message_id, hidden=True)
                entries.append(LogEntry(seq=seq, kind=EntryKind.REMOVED, message_id=message_id, reason=reason, at=now))
            case Restored(message_id):
                queries.update_message(connection, message_id, hidden=False)
                entries.append(LogEntry(seq=seq, kind=EntryKind.RESTORED, message_id=message_id, reason=None, at=now))
            case never:
                assert_never(never)
    if posts:
        queries.insert_messages(connection, posts)
    queries.insert_log_entries(connection, entries)
    return list(seqs)


def _message(seq: int, payment: PaymentRecord, now: datetime) -> MessageRecord:
    return MessageRecord(
        id=seq,
        payment_id=payment.id,
        text=payment.text,
        author=payment.author,
        amount=payment.amount,
        currency=payment.currency,
        posted_at=now,
        pinned_until=now + timedelta(seconds=payment.pinned_seconds) if payment.pinned_seconds else None,
        moderated=False,
        hidden=False,
    )


@dataclass(frozen=True, slots=True)
class Pins:
    """The pinned messages, highest amount first, then newest, as they were read; `clock` tells the time since then."""

    messages: list[MessageRecord]
    clock: RunningClock


def read_pins(connection: Connection, most: int) -> Pins:
    """Return what is pinned now: the first `most`."""
    now = clock.start_clock(connection)
    return Pins(queries.pinned_messages(connection, now.read_at, most), now)


def next_end(messages: Iterable[MessageRecord]) -> datetime | None:
    """Return when the first of these pins ends; None if none is pinned."""
    return min((message.pinned_until for message in messages if message.pinned_until), default=None)


async def shown_message(database: Database, message_id: int) -> MessageRecord:
    """Return a message that is shown.

    Raises:
        NotFound, Gone: as `find_shown` does.
    """
    return await database.read(find_shown, message_id)


def find_shown(connection: Connection, message_id: int) -> MessageRecord:
    """Return a message that is shown.

    Raises:
        NotFound: there was never one.
        Gone: it was removed; the error has the reason.
    """
    state = queries.find_message(connection, message_id)
    if state is None:
        raise NotFound("There is no such message.")
    if state.reason_hidden is not None:
        raise Gone(state.reason_hidden)
    return state.message
