"""Stripe's clock, as read from the `Date` header of its responses, and how far ours is off."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import structlog
from msgspec import Struct

from paidchat import clock
from paidchat.observability import Throttle

log = structlog.get_logger(__name__)

TOLERABLE: Final = timedelta(seconds=60)  # a difference above this is reported
LOG_EVERY_S: Final = 60
# A Date header has whole seconds (RFC 9110 section 5.6.7), and servers update it about once a second.
RESOLUTION: Final = timedelta(seconds=2)
BELIEVABLE_YEARS: Final = range(2020, 2200)


class _Reading(Struct, frozen=True):
    """One `Date` header with the monotonic time it arrived at, because our wall clock may be set meanwhile."""

    earliest: datetime  # Stripe's time when the response arrived is between these two
    latest: datetime
    received: float  # time.monotonic()


class StripeClock:
    """Compares Stripe's clock with ours, and logs a difference at most once a minute."""

    def __init__(self) -> None:
        self._reading: _Reading | None = None
        self._differs = Throttle(LOG_EVERY_S)
        self._stale = Throttle(LOG_EVERY_S)

    def learn(self, date: str | None, asked: float) -> None:
        """Read the `Date` header of a response to a request that was sent when time.monotonic() was `asked`.

        Anything that is not a date is ignored.
        """
        stamp = _parse(date)
        if stamp is None:
            return
        received = time.monotonic()
        # The header was written at some moment between request and response, and has whole seconds.
        took = timedelta(seconds=received - asked)
        self._reading = _Reading(stamp, stamp + RESOLUTION + took, received)
        offset = self.offset or timedelta(0)
        if abs(offset) > TOLERABLE and self._differs.admits():
            log.error("clock.differs", stripe_minus_ours_s=round(offset.total_seconds()))

    @property
    def offset(self) -> timedelta | None:
        """How far Stripe's clock is ahead of ours; negative if it is behind. None before the first response.

        Zero if they may agree, that is, if the request's duration and the header's whole second explain the difference.
        """
        if self._reading is None:
            return None
        passed = timedelta(seconds=time.monotonic() - self._reading.received)
        earliest, latest, ours = self._reading.earliest + passed, self._reading.latest + passed, clock.now()
        if earliest <= ours <= latest:
            return timedelta(0)
        return earliest + (latest - earliest) / 2 - ours

    def now(self) -> datetime:
        """Return the time by Stripe's clock, in UTC; by ours before the first response."""
        return clock.now() + (self.offset or timedelta(0))

    def report_stale_signature(self, skew_s: int) -> None:
        """Log a webhook whose valid signature is `skew_s` seconds old by our clock; negative if in the future."""
        if not self._stale.admits():
            return
        offset = self.offset
        log.error(
            "webhook.stale_signature",
            problem=f"correctly signed, but {abs(skew_s)} s {'old' if skew_s > 0 else 'ahead'} by this server's clock",
            skew_s=skew_s,
            stripe_minus_ours_s=None if offset is None else round(offset.total_seconds()),
        )


def _parse(date: str | None) -> datetime | None:
    try:
        stamp = parsedate_to_datetime(date or "")
        stamp = stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return stamp if stamp.year in BELIEVABLE_YEARS else None
