"""The board: reading a message on it, and recording what comes onto it and leaves it, in one dense order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from paidchat.domain import Gone, NotFound, Reason
from paidchat.storage import queries
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
