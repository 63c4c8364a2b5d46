"""The counts of a client's payments, for the limits on starting more. None of these functions commits."""

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import ARRAY, Integer, Select, Text, bindparam, func, select
from sqlalchemy.engine import Connection

from paidchat.domain import PaymentStatus
from paidchat.storage import clock
from paidchat.storage.queries import payment


def _lock_clients() -> Select[None]:
    client = func.unnest(bindparam("clients", type_=ARRAY(Text))).column_valued("client")
    locks = select(func.hashtext(client).label("number")).distinct().order_by("number").subquery()
    return select(func.pg_advisory_xact_lock(locks.c.number))


_LOCK_CLIENTS: Final = _lock_clients()


def lock_clients(connection: Connection, clients: Collection[str]) -> None:
    """Block other transactions from starting payments for these clients until the commit; SQLite has only one writer.

    The locks are taken in the order of their numbers, so that two transactions cannot deadlock.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK_CLIENTS, {"clients": list(clients)})


@cache
def _payment_times(backend: str, period: timedelta) -> Select[datetime]:
    recent = clock.within(backend, payment.c.created_at, period)
    times = select(payment.c.created_at).where(payment.c.client == bindparam("client"), recent)
    return times.order_by(payment.c.created_at.desc()).limit(bindparam("most", type_=Integer))


def payment_times(connection: Connection, client: str, *, period: timedelta, limit: int) -> list[datetime]:
    """Return when this client started payments within the last `period`, the newest first."""
    times = _payment_times(connection.dialect.name, period)
    return list(connection.execute(times, {"client": client, "most": limit}).scalars())


@cache
def _open_payments(backend: str, longest: timedelta) -> Select[int, Any]:
    is_open = clock.in_force(backend, payment.c.expires_at, longest)
    return select(func.count(), func.min(payment.c.expires_at)).where(
        payment.c.status == PaymentStatus.PENDING, is_open
    )


@cache
def _open_payments_of_one(backend: str, longest: timedelta) -> Select[int, Any]:
    return _open_payments(backend, longest).where(payment.c.client == bindparam("client"))


def open_payments(
    connection: Connection, *, longest: timedelta, client: str | None = None
) -> tuple[int, datetime | None]:
    """Count the payments of one client or of all that can still be paid, and return when the first expires.

    `longest` is how long a payment can be open: an expiry beyond that was written by a wrong clock.
    """
    counted = (_open_payments if client is None else _open_payments_of_one)(connection.dialect.name, longest)
    count, earliest = connection.execute(counted, {} if client is None else {"client": client}).one()
    return count, earliest
