"""The wall clock of a simulated board, which jumps while Stripe's and PostgreSQL's go on, and time that passes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from paidchat import clock
from tests.torture.harness.records import Records
from tests.torture.hooks.patches import replace

TOLERATED = timedelta(seconds=300)  # docs.stripe.com/webhooks: a signature that is older, or newer, is refused
# More than what a dead process held lasts, and than a refund is put off for after a few failures. Less than the
# clock's larger jumps, so that what a jump has moved into the future stays there.
PASSING = {"payment.claimed_until": 120, "sweep.held_until": 120, "refund.due_at": 1200}  # seconds


class WallClock:
    """The right time at first, for each board's life.

    Attributes:
        jumps: how often it jumped in this life.
    """

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self.jumps = 0

    def begin(self) -> None:
        """Begin a life with the right time."""
        self._ahead = timedelta(0)
        self.jumps = 0

    def jump(self, ahead: timedelta) -> None:
        """Be so far ahead of the right time from now on, restarts or not; 0 sets it right."""
        self.jumps += ahead != self._ahead
        self._ahead = ahead

    @property
    def wrong(self) -> bool:
        """Whether it is so far off that every webhook's signature is refused."""
        return abs(self._ahead) > TOLERATED

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Have every board of this process read this clock until the block ends."""
        right = clock.now
        replace(clock, "now", lambda now: lambda: now() + self._ahead)
        try:
            yield
        finally:
            replace(clock, "now", lambda _: right)


async def let_time_pass(records: Records) -> None:
    """Let so much time pass that whatever was put off is due, and what the dead held is free.

    No waiting: every stored time moves into the past by as much.
    """
    statements = []
    for stored, seconds in PASSING.items():
        table, column = stored.split(".")
        on_sqlite = f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '-{seconds} seconds')"
        earlier = on_sqlite if records.file else f"{column} - INTERVAL '{seconds} seconds'"
        statements.append(f"UPDATE {table} SET {column} = {earlier}")  # noqa: S608 - our own names
    await records.change(*statements)
