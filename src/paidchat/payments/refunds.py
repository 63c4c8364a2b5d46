"""Refunds: stored together with their reason, then sent to Stripe and retried until it has them."""

import uuid
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.engine import Connection

from paidchat.domain import Conflict, RefundCause, RefundStatus
from paidchat.records import PaymentRecord, RefundRecord
from paidchat.storage import refund_queue
from paidchat.storage.database import Database, DatabaseUnavailable
from paidchat.stripe.gateway import AccessDenied, AttemptFailed, OutcomeUnknown, RequestRefused, StripeGateway

log = structlog.get_logger(__name__)

# The delays after the first, second, … attempt; the last one also for all later attempts.
DELAYS: Final = (timedelta(0), *(timedelta(seconds=10 * 2**attempts) for attempts in range(9)), timedelta(hours=1))
# After this long Stripe may have pruned the key, but by then it rejects a refund of money that is back already.
ALREADY_BACK = frozenset({"charge_already_refunded"})


def want(
    connection: Connection,
    payment_intent: str,
    payment_id: str,
    cause: RefundCause,
    now: datetime,
) -> None:
    """Store that an intent must be refunded; idempotent."""
    new = RefundRecord(
        payment_intent=payment_intent,
        payment_id=payment_id,
        cause=cause,
        status=RefundStatus.WANTED,
        stripe_key=str(uuid.uuid4()),
        attempts=0,
        due_at=now,
        created_at=now,
    )
    refund_queue.want_refund(connection, new)


def want_all(connection: Connection, payment: PaymentRecord, now: datetime) -> None:
    """Store that a payment must be refunded, unless it has been.

    Raises:
        Conflict: it was not paid, or is disputed.
    """
    if payment.refunded:
        return
    if not payment.paid or payment.payment_intent is None:
        raise Conflict("This payment was not paid, so there is nothing to send back.")
    if payment.disputed:
        raise Conflict("The payer disputes this payment; the bank decides who gets the money.")
    want(connection, payment.payment_intent, payment.id, RefundCause.OPERATOR, now)


async def send_due(database: Database, gateway: StripeGateway, *, payment_id: str | None = None) -> list[str]:
    """Send the refunds that are due, or all of one payment; returns the intents that were refunded."""
    due = await database.read(refund_queue.due_refunds, DELAYS, payment_id=payment_id)
    sent = []
    for refund in due:
        try:
            if await _send(database, gateway, refund):
                sent.append(refund.payment_intent)
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("refund.failed", payment_id=refund.payment_id)  # the others are still sent
    return sent


async def _send(database: Database, gateway: StripeGateway, refund: RefundRecord) -> bool:
    try:
        await gateway.create_refund(refund.payment_intent, refund.stripe_key)
        status = RefundStatus.SENT
    except RequestRefused as error:
        status = RefundStatus.SENT if error.code in ALREADY_BACK else RefundStatus.REFUSED
        if status is RefundStatus.REFUSED:
            log.error("refund.refused", payment_id=refund.payment_id, error=str(error))
    except (OutcomeUnknown, AttemptFailed, AccessDenied) as error:
        write = log.error if isinstance(error, AccessDenied) else log.warning
        write("refund.postponed", payment_id=refund.payment_id, error=str(error))
        await _postpone(database, refund, new_key=isinstance(error, AttemptFailed))
        return False
    await database.write(refund_queue.set_refund_status, refund.payment_intent, status)
    return status is RefundStatus.SENT


async def _postpone(database: Database, refund: RefundRecord, *, new_key: bool) -> None:
    attempts = refund.attempts + 1
    delay = DELAYS[min(attempts, len(DELAYS) - 1)]
    key = str(uuid.uuid4()) if new_key else refund.stripe_key
    await database.write(refund_queue.postpone_refund, refund.payment_intent, delay, attempts=attempts, stripe_key=key)
