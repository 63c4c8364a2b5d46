"""Moderation: an operator removes a message, with or without a refund, or restores it."""

from sqlalchemy.engine import Connection

from paidchat.board import record
from paidchat.domain import Conflict, NotFound, Reason
from paidchat.payments import refunds
from paidchat.payments.fulfilment import Fulfilment
from paidchat.records import MessageRecord, Removed, Restored
from paidchat.storage import clock, queries
from paidchat.storage.database import Database


async def remove_message(database: Database, message_id: int, *, refund_by: Fulfilment | None = None) -> None:
    """Remove a message as moderated. Idempotent.

    With `refund_by`, its payment is refunded too, unless it has been already or is disputed. The refund is stored in
    the removal's transaction and sent at once; the reconciler retries it if that fails.

    Raises:
        NotFound: there was never one.
    """
    payment_id = await database.write(_remove, message_id, refunds_it=refund_by is not None)
    if refund_by:
        await refund_by.send_refunds(payment_id)


def _remove(connection: Connection, message_id: int, *, refunds_it: bool) -> str:
    """Remove a message; returns the id of its payment."""
    found = queries.lock_message(connection, message_id)
    if found is None:
        raise NotFound("There is no such message.")
    message = found.message
    now = clock.read(connection)
    if refunds_it and not found.refunded and not found.disputed:
        payment = queries.lock_payments(connection, [message.payment_id])[message.payment_id]
        refunds.want_all(connection, payment, now)
    if not message.moderated:
        queries.update_message(connection, message_id, moderated=True)
    if not message.hidden:
        record(connection, [Removed(message_id, Reason.MODERATED)], now)
    return message.payment_id


async def restore_message(database: Database, message_id: int) -> MessageRecord:
    """Restore a moderated message and return it. Idempotent.

    Raises:
        NotFound: there was never one.
        Conflict: its payment was refunded or is disputed, so it stays off the board.
    """
    return await database.write(_restore, message_id)


def _restore(connection: Connection, message_id: int) -> MessageRecord:
    found = queries.lock_message(connection, message_id)
    if found is None:
        raise NotFound("There is no such message.")
    if found.refunded or found.disputed:
        state = "was refunded" if found.refunded else "is disputed"
        raise Conflict(f"The payment for this message {state}, so it stays off the board.")
    if found.message.moderated:
        queries.update_message(connection, message_id, moderated=False)
        record(connection, [Restored(message_id)], clock.read(connection))
    return found.message
