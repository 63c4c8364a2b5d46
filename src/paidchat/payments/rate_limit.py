"""The limits on starting payments, counted in the database so that they hold across processes."""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.engine import Connection

from paidchat.domain import LONGEST_OPEN, RateLimited
from paidchat.storage import clock, limits

_LIMIT = re.compile(r"(?P<count>\d+)/(?P<times>\d*)(?P<unit>second|minute|hour|day)")
OPEN_PER_COUNT: Final = 10  # open payments per client, as a multiple of the rate's count


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` payments per client in any `period`."""

    count: int
    period: timedelta

    @classmethod
    def parse(cls, limit: str) -> "Rate | None":
        """Parse a valid setting such as `10/minute`; returns None for `off`."""
        found = _LIMIT.fullmatch(limit)
        if found is None:
            return None
        period = timedelta(**{f"{found['unit']}s": int(found["times"] or 1)})
        return cls(int(found["count"]), period)


@dataclass(frozen=True, slots=True)
class PaymentLimits:
    """How fast one client may start payments, and how many may be open per client and in total."""

    rate: Rate | None
    most_open: int

    def lock(self, connection: Connection, clients: Collection[str]) -> None:
        """Block others from starting payments for these clients until the commit; call it before `admit`."""
        if self.rate is not None:
            limits.lock_clients(connection, clients)

    def admit(self, connection: Connection, client: str) -> None:
        """Check that a client may start one more payment, in the transaction that inserts it.

        Raises:
            RateLimited: with the whole seconds until the next one is admitted.
        """
        if self.rate is not None:
            _check_rate(connection, client, self.rate)
            _check_open(connection, self.rate.count * OPEN_PER_COUNT, client)
        _check_open(connection, self.most_open)


def _check_rate(connection: Connection, client: str, rate: Rate) -> None:
    times = limits.payment_times(connection, client, period=rate.period, limit=rate.count)
    if len(times) == rate.count:
        raise RateLimited(_seconds_until(connection, times[-1] + rate.period))


def _check_open(connection: Connection, most: int, client: str | None = None) -> None:
    count, earliest = limits.open_payments(connection, longest=LONGEST_OPEN, client=client)
    if count >= most and earliest is not None:
        whose = "from here " if client else ""
        detail = f"Too many payments {whose}are waiting to be paid. Please pay one, or wait until one expires."
        raise RateLimited(_seconds_until(connection, earliest), detail)


def _seconds_until(connection: Connection, then: datetime) -> int:
    return max(1, math.ceil((then - clock.read(connection)).total_seconds()))
