"""Moderation: an operator removes a message, with or without a refund, or restores it."""

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
    async with database.transaction() as connection:
        found = await connection.run_sync(queries.lock_message, message_id)
        if found is None:
            raise NotFound("There is no such message.")
        message = found.message
        now = await connection.run_sync(clock.read)
        if refund_by and not found.refunded and not found.disputed:
            payment = (await connection.run_sync(queries.lock_payments, [message.payment_id]))[message.payment_id]
            await connection.run_sync(refunds.want_all, payment, now)
        if not message.moderated:
            await connection.run_sync(queries.update_message, message_id, moderated=True)
        if not message.hidden:
            await connection.run_sync(record, [Removed(message_id, Reason.MODERATED)], now)
    if refund_by:
        await refund_by.send_refunds(message.payment_id)


async def restore_message(database: Database, message_id: int) -> MessageRecord:
    """Restore a moderated message and return it. Idempotent.

    Raises:
        NotFound: there was never one.
        Conflict: its payment was refunded or is disputed, so it stays off the board.
    """
    async with database.transaction() as connection:
        found = await connection.run_sync(queries.lock_message, message_id)
        if found is None:
            raise NotFound("There is no such message.")
        if found.refunded or found.disputed:
            state = "was refunded" if found.refunded else "is disputed"
            raise Conflict(f"The payment for this message {state}, so it stays off the board.")
        if found.message.moderated:
            await connection.run_sync(queries.update_message, message_id, moderated=False)
            await connection.run_sync(record, [Restored(message_id)], await connection.run_sync(clock.read))
        return found.message
