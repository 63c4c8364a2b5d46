"""The refund queue: refunds that are wanted, with when they are due. The functions don't commit."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import and_, or_, select, update
from sqlalchemy.engine import Connection

from paidchat.domain import RefundStatus
from paidchat.records import RefundRecord
from paidchat.storage import clock
from paidchat.storage.queries import insert_into
from paidchat.storage.rows import columns_of, refund_record
from paidchat.storage.tables import Refund, table

refund = table(Refund)


def want_refund(connection: Connection, wanted: RefundRecord) -> None:
    """Store that an intent must be refunded. A refund that Stripe refused before becomes due again."""
    new = insert_into(connection.dialect.name, refund).values(columns_of(wanted))
    again = {name: new.excluded[name] for name in ("status", "stripe_key", "attempts", "due_at")}
    unwanted = refund.c.status != RefundStatus.WANTED
    connection.execute(new.on_conflict_do_update(index_elements=["payment_intent"], set_=again, where=unwanted))


def due_refunds(
    connection: Connection, delays: Sequence[timedelta], *, payment_id: str | None = None, limit: int = 100
) -> list[RefundRecord]:
    """Return the refunds that are due; for one payment, all that have not been sent.

    `delays` are the delays after the first, second, … attempt, the last one for all later attempts. A refund that seems
    to be postponed for longer than its delay is due.
    """
    last = len(delays) - 1
    put_off = or_(
        *(
            and_(
                refund.c.attempts >= attempts if attempts == last else refund.c.attempts == attempts,
                clock.in_force(connection.dialect.name, refund.c.due_at, delay),
            )
            for attempts, delay in enumerate(delays)
        )
    )
    due = refund.c.payment_id == payment_id if payment_id else ~put_off
    wanted = select(refund).where(refund.c.status == RefundStatus.WANTED, due).order_by(refund.c.due_at).limit(limit)
    return [refund_record(row) for row in connection.execute(wanted)]


def postpone_refund(
    connection: Connection, payment_intent: str, delay: timedelta, *, attempts: int, stripe_key: str
) -> None:
    """Postpone a refund."""
    put_off = update(refund).where(refund.c.payment_intent == payment_intent)
    due_at = clock.moment(connection.dialect.name, delay)
    connection.execute(put_off.values(due_at=due_at, attempts=attempts, stripe_key=stripe_key))


def set_refund_status(connection: Connection, payment_intent: str, status: RefundStatus) -> None:
    """Store the status of a refund."""
    connection.execute(update(refund).where(refund.c.payment_intent == payment_intent).values(status=status))
