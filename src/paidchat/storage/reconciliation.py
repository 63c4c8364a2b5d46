"""Queries of the reconciler: its lease, the payments to ask Stripe about, and pruning. None of them commits."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, or_, update
from sqlalchemy.engine import Connection

from paidchat.domain import UNSETTLED, PaymentStatus
from paidchat.records import PaymentRecord
from paidchat.storage import audience, clock
from paidchat.storage.inbox import stripe_event
from paidchat.storage.queries import insert_into, payment, select_payments, sweep
from paidchat.storage.rows import payment_record

LONG_AGO = datetime.fromtimestamp(0, UTC)


def hold_sweep(connection: Connection, holder: str, lease: timedelta) -> datetime | None:
    """Take or renew the lease on the sweep; returns since when to read events, or None if another process holds it."""
    backend = connection.dialect.name
    now = clock.moment(backend)
    first = insert_into(connection.dialect.name, sweep).values(id=1, held_until=now, events_since=now)
    connection.execute(first.on_conflict_do_nothing())
    free = or_(sweep.c.holder == holder, ~clock.in_force(backend, sweep.c.held_until, lease))
    mine = update(sweep).where(free).values(holder=holder, held_until=clock.moment(backend, lease))
    since: datetime | None = connection.execute(mine.returning(sweep.c.events_since)).scalar_one_or_none()
    return since


def release_sweep(connection: Connection, holder: str, *, events_since: datetime | None = None) -> None:
    """Release the lease on the sweep, and store how far the events were read if `events_since` is given."""
    values: dict[str, Any] = {"held_until": LONG_AGO}  # in the past by any clock, ours too once it is corrected
    if events_since is not None:
        values["events_since"] = events_since
    connection.execute(update(sweep).where(sweep.c.holder == holder).values(values))


def payments_to_ask_about(
    connection: Connection,
    intervals: Mapping[PaymentStatus, Sequence[tuple[timedelta, timedelta]]],
    *,
    claim_ttl: timedelta,
    limit: int,
) -> list[PaymentRecord]:
    """Return unsettled payments that are due to be asked about, the least recently asked first.

    `intervals` gives, for each status, pairs of a maximum age and the interval between questions up to that age, the
    youngest first. Payments that a request has claimed are left out.
    """
    backend = connection.dialect.name
    asked_at = case((payment.c.asked_at <= clock.moment(backend), payment.c.asked_at))  # NULL if it is in the future
    due = [
        and_(
            payment.c.status == status,
            payment.c.created_at > clock.moment(backend, -age),
            ~clock.within(backend, payment.c.asked_at, interval),
        )
        for status, by_age in intervals.items()
        for age, interval in by_age
    ]
    unclaimed = ~clock.in_force(backend, payment.c.claimed_until, claim_ttl)
    page = select_payments(backend).where(or_(*due), unclaimed).order_by(asked_at.asc().nulls_first()).limit(limit)
    return [payment_record(row) for row in connection.execute(page)]


def unsettled_payments(connection: Connection, *, after: str, limit: int) -> list[PaymentRecord]:
    """Return unsettled payments in the order of their ids, whenever they were last asked about."""
    page = select_payments(connection.dialect.name).where(payment.c.status.in_(UNSETTLED), payment.c.id > after)
    page = page.order_by(payment.c.id).limit(limit)
    return [payment_record(row) for row in connection.execute(page)]


def mark_asked(connection: Connection, payment_ids: Collection[str]) -> None:
    """Store that Stripe is being asked about these payments."""
    asked = update(payment).where(payment.c.id.in_(payment_ids))
    connection.execute(asked.values(asked_at=clock.moment(connection.dialect.name)))


def prune(connection: Connection, *, closed_kept: timedelta, unpaid_kept: timedelta, events_kept: timedelta) -> int:
    """Delete old payments that were never paid, and other old rows; returns the number of payments deleted.

    A payment is deleted `closed_kept` after Stripe said that no money will come, or if it has only expired by our
    clock, `unpaid_kept` after it was created.
    """
    backend = connection.dialect.name
    before: ColumnElement[bool] = or_(
        payment.c.closed_at < clock.moment(backend, -closed_kept),
        and_(payment.c.closed_at.is_(None), payment.c.created_at < clock.moment(backend, -unpaid_kept)),
    )
    unpaid = and_(~payment.c.paid, payment.c.status.in_((PaymentStatus.EXPIRED, PaymentStatus.FAILED)))
    gone = connection.execute(delete(payment).where(unpaid, before))
    old = stripe_event.c.received_at < clock.moment(backend, -events_kept)
    connection.execute(delete(stripe_event).where(old))
    audience.prune(connection)
    return gone.rowcount
