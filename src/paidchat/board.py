"""What is on the board: posting, taking off, putting back. Each crossing is one log entry, in one dense order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from paidchat import refunds
from paidchat.domain import Conflict, Gone, NotFound, Reason
from paidchat.storage import clock, queries
from paidchat.storage.database import Database


@dataclass(frozen=True, slots=True)
class Crossing:
    """A message that comes onto the board or leaves it.

    `payment` is the row that is posted, `message_id` the message that is removed or restored.
    """

    kind: Literal["posted", "removed", "restored"]
    payment: Row[Any] | None = None
    message_id: int | None = None
    reason: Reason | None = None


async def record(connection: AsyncConnection, crossings: Sequence[Crossing], now: datetime) -> list[int]:
    """Write the crossings and return their places in the log. Call it last in a transaction."""
    if not crossings:
        return []
    seqs = await queries.take_seqs(connection, len(crossings))
    posts, entries = [], []
    for seq, crossing in zip(seqs, crossings, strict=True):
        if crossing.payment is not None:
            posts.append(_message(seq, crossing.payment, now))
        message_id = seq if crossing.message_id is None else crossing.message_id
        entries.append(
            {
                "seq": seq,
                "kind": crossing.kind,
                "message_id": message_id,
                "reason": crossing.reason,
                "at": now,
            }
        )
    if posts:
        await queries.insert_messages(connection, posts)
    for crossing in crossings:
        if crossing.message_id is not None:
            await queries.update_message(connection, crossing.message_id, hidden=crossing.kind == "removed")
    await queries.insert_log_entries(connection, entries)
    return list(seqs)


def _message(seq: int, payment: Row[Any], now: datetime) -> dict[str, Any]:
    return {
        "id": seq,
        "payment_id": payment.id,
        "text": payment.text,
        "author": payment.author,
        "amount": payment.amount,
        "currency": payment.currency,
        "posted_at": now,
        "moderated": False,
        "hidden": False,
    }


def reason_hidden(row: Row[Any]) -> Reason | None:
    """Return why a message (with its payment's `refunded` and `disputed`) is off the board; None if it is on it."""
    if row.moderated:
        return Reason.MODERATED
    if row.refunded:
        return Reason.REFUNDED
    return Reason.DISPUTED if row.disputed else None


async def shown_message(database: Database, message_id: int) -> Row[Any]:
    """Return a message that is on the board.

    Raises:
        NotFound: there never was one.
        Gone: it was taken off; the reason is on the error.
    """
    async with database.reading() as connection:
        row = await queries.find_message(connection, message_id)
    if row is None:
        raise NotFound("There is no such message.")
    if (reason := reason_hidden(row)) is not None:
        raise Gone(reason)
    return row


async def remove_message(database: Database, message_id: int, *, refund: bool = False) -> str:
    """Take a message off the board as moderated and return its payment's id; a repeat does nothing.

    With `refund`, that its money is to go back is on disk at the same moment, unless it is back or held already.

    Raises:
        NotFound: there never was one.
    """
    async with database.transaction() as connection:
        row = await queries.lock_message(connection, message_id)
        if row is None:
            raise NotFound("There is no such message.")
        now = await clock.read(connection)
        if refund and not row.refunded and not row.disputed:
            payment = (await queries.lock_payments(connection, [row.payment_id]))[row.payment_id]
            await refunds.want_all(connection, payment, now)
        if not row.moderated:
            await queries.update_message(connection, message_id, moderated=True)
        if not row.hidden:
            await record(connection, [Crossing("removed", message_id=message_id, reason=Reason.MODERATED)], now)
        return str(row.payment_id)


async def restore_message(database: Database, message_id: int) -> Row[Any]:
    """Lift the moderation of a message and return it; a repeat returns it again.

    Raises:
        NotFound: there never was one.
        Conflict: its payment was refunded or is disputed, so it stays off the board.
    """
    async with database.transaction() as connection:
        row = await queries.lock_message(connection, message_id)
        if row is None:
            raise NotFound("There is no such message.")
        if row.refunded or row.disputed:
            state = "was refunded" if row.refunded else "is disputed"
            raise Conflict(f"The payment for this message {state}, so it stays off the board.")
        if row.moderated:
            await queries.update_message(connection, message_id, moderated=False)
            await record(connection, [Crossing("restored", message_id=message_id)], await clock.read(connection))
        return row
