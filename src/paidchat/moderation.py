"""Moderation: an operator takes a message off the board, with or without its money, and puts it back."""

from typing import Any

from sqlalchemy import Row

from paidchat.board import Crossing, record
from paidchat.domain import Conflict, NotFound, Reason
from paidchat.payments import refunds
from paidchat.payments.checkout import Checkout
from paidchat.storage import clock, queries
from paidchat.storage.database import Database


async def remove_message(database: Database, message_id: int, *, refund_by: Checkout | None = None) -> None:
    """Take a message off the board as moderated. Idempotent.

    With `refund_by`, its money goes back too, unless it is back already or a dispute holds it. That it is to go back
    commits together with the removal; it is sent at once, and again by the reconciler if that fails.

    Raises:
        NotFound: there never was one.
    """
    async with database.transaction() as connection:
        row = await queries.lock_message(connection, message_id)
        if row is None:
            raise NotFound("There is no such message.")
        now = await clock.read(connection)
        if refund_by and not row.refunded and not row.disputed:
            payment = (await queries.lock_payments(connection, [row.payment_id]))[row.payment_id]
            await refunds.want_all(connection, payment, now)
        if not row.moderated:
            await queries.update_message(connection, message_id, moderated=True)
        if not row.hidden:
            await record(connection, [Crossing("removed", message_id=message_id, reason=Reason.MODERATED)], now)
    if refund_by:
        await refund_by.send_refunds(row.payment_id)


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
