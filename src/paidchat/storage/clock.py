"""The clock that stored times are compared with.

On PostgreSQL it is the database's, so that processes whose own clocks differ agree on who holds a claim or a lease.
On SQLite it is the process's. Either may jump, so a stored time counts only within its own span: a claim of 30 s that
ends in an hour was written by a wrong clock, and is ignored.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, literal, select
from sqlalchemy.engine import Connection

from paidchat import clock
from paidchat.storage.tables import UTCDateTime

AT_ONCE = timedelta(0)


def moment(backend: str, after: timedelta = AT_ONCE) -> ColumnElement[datetime]:
    """Return an SQL expression for the time `after` from when it is executed; negative for the past."""
    if backend == "sqlite":
        return bindparam(None, callable_=partial(_from_now, after), type_=UTCDateTime())
    now = func.clock_timestamp(type_=UTCDateTime())
    return now + literal(after) if after else now


def _from_now(after: timedelta) -> datetime:
    return clock.now() + after


def read(connection: Connection) -> datetime:
    """Return the time now."""
    if connection.dialect.name == "sqlite":
        return clock.now()
    found: datetime = connection.execute(select(moment(connection.dialect.name))).scalar_one()
    return found


@dataclass(frozen=True, slots=True)
class RunningClock:
    """The time as it was read once, which goes on by the monotonic clock.

    Attributes:
        read_at: the time that was read.
        began: when reading it began, by `time.monotonic`; so it is never slow.
    """

    read_at: datetime
    began: float

    def now(self) -> datetime:
        """Return the time now."""
        return self.read_at + timedelta(seconds=time.monotonic() - self.began)

    def monotonic(self, moment: datetime) -> float:
        """Return what `time.monotonic` will be at a time."""
        return self.began + (moment - self.read_at).total_seconds()


def start_clock(connection: Connection) -> RunningClock:
    """Read the time, and let it run."""
    began = time.monotonic()
    return RunningClock(read(connection), began)


def in_force(backend: str, until: ColumnElement[Any], span: timedelta) -> ColumnElement[bool]:
    """Tell whether a claim or lease for `span` that ends at `until` is still in force. NULL is not."""
    return and_(until.is_not(None), until > moment(backend), until <= moment(backend, span))


def within(backend: str, since: ColumnElement[Any], span: timedelta) -> ColumnElement[bool]:
    """Tell whether `since` is within the last `span`. NULL is not, nor is a time in the future."""
    return and_(since.is_not(None), since > moment(backend, -span), since <= moment(backend))
