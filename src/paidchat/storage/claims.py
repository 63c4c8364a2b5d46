"""Claims: the right to ask Stripe about one payment, which only one request has at a time."""

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.engine import Connection

from paidchat.domain import UNSETTLED
from paidchat.storage import clock
from paidchat.storage.queries import payment


def claim_payment(connection: Connection, payment_id: str, ttl: timedelta) -> datetime | None:
    """Claim the right to ask Stripe for this payment's session; returns when the claim expires, None if it is held."""
    mine = (
        update(payment)
        .where(payment.c.id == payment_id, ~clock.in_force(connection.dialect.name, payment.c.claimed_until, ttl))
        .values(claimed_until=clock.moment(connection.dialect.name, ttl))
        .returning(payment.c.claimed_until)
    )
    until: datetime | None = connection.execute(mine).scalar_one_or_none()
    return until


def release_claim(connection: Connection, payment_id: str, until: datetime) -> None:
    """Release the claim that expires at `until`, but not one that another request has taken since."""
    held = update(payment).where(payment.c.id == payment_id, payment.c.claimed_until == until)
    connection.execute(held.values(claimed_until=None))


def claim_question(connection: Connection, payment_id: str, interval: timedelta) -> bool:
    """Claim the right to ask Stripe about this unsettled payment; False if that was done within the interval."""
    due = ~clock.within(connection.dialect.name, payment.c.asked_at, interval)
    mine = (
        update(payment)
        .where(
            payment.c.id == payment_id,
            payment.c.status.in_(UNSETTLED),
            payment.c.session_id.is_not(None),
            due,
        )
        .values(asked_at=clock.moment(connection.dialect.name))
    )
    return connection.execute(mine).rowcount == 1
