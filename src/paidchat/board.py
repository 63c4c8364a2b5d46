"""The board: reading its messages, and recording changes to it in one dense order."""

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from sqlalchemy.engine import Connection

from paidchat.domain import EntryKind, Gone, NotFound
from paidchat.records import BoardChange, LogEntry, LogRecord, MessageRecord, PaymentRecord, Posted, Removed, Restored
from paidchat.storage import queries
from paidchat.storage.database import Database
from paidchat.storage.tail import tail_of


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
        moderated=False,
        hidden=False,
    )


async def shown_message(database: Database, message_id: int) -> MessageRecord:
    """Return a message that is shown.

    Raises:
        NotFound: there was never one.
        Gone: it was removed; the error has the reason.
    """
    state = await database.read(queries.find_message, message_id)
    if state is None:
        raise NotFound("There is no such message.")
    if state.reason_hidden is not None:
        raise Gone(state.reason_hidden)
    return state.message
