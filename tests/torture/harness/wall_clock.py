"""The wall clock of a simulated board, which jumps while Stripe's and PostgreSQL's clocks run on; and passing time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from paidchat import clock
from tests.torture.harness.records import Records
from tests.torture.hooks.patches import replace

TOLERATED = timedelta(seconds=300)  # docs.stripe.com/webhooks: signatures further off are refused
# Longer than the leases of a dead process and than the backoff of a refund after a few failures. Shorter than the
# clock's larger jumps, so that times which a jump has set in the future stay there. A lease's has no multiple within a
# minute of a sum of jumps: when a clock goes back by as much as has passed since, an old lease is in force once more.
PASSING = {"payment.claimed_until": 1100, "sweep.held_until": 1100, "refund.due_at": 1200}  # seconds


class WallClock:
    """A clock that is right at the start of each board's life.

    Attributes:
        jumps: how often it jumped in this life.
    """

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self.jumps = 0

    def begin(self) -> None:
        """Start a life with the right time."""
        self._ahead = timedelta(0)
        self.jumps = 0

    def jump(self, ahead: timedelta) -> None:
        """Set how far it is ahead of the right time from now on, across restarts; 0 corrects it."""
        self.jumps += ahead != self._ahead
        self._ahead = ahead

    @property
    def wrong(self) -> bool:
        """Whether it is so wrong that every webhook's signature is refused."""
        return abs(self._ahead) > TOLERATED

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Make every board in this process use this clock until the block ends."""
        right = clock.now
        replace(clock, "now", lambda now: lambda: now() + self._ahead)
        try:
            yield
        finally:
            replace(clock, "now", lambda _: right)


async def let_time_pass(records: Records) -> None:
    """Let enough time pass that everything postponed is due, and the leases of dead processes are over.

    This does not wait; it moves every stored time into the past.
    """
    statements = []
    for stored, seconds in PASSING.items():
        table, column = stored.split(".")
        on_sqlite = f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '-{seconds} seconds')"
        earlier = on_sqlite if records.file else f"{column} - INTERVAL '{seconds} seconds'"
        statements.append(f"UPDATE {table} SET {column} = {earlier}")  # noqa: S608 - our own names
    await records.change(*statements)
