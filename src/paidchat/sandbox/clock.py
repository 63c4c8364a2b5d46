"""Clock: wall time for timestamps, and a clock that can be advanced for deadlines."""

import time

from paidchat.sandbox.store import Store

_SETTING = "clock_advance_s"


class Clock:
    """Two clocks.

    `stamp` is wall time, because clients compare `created` and `expires_at` with their own clocks. `now` is
    wall time plus the advance, and is used only for deadlines (expiry, retries, settlements). So advancing by
    three days makes everything that is due happen, and a session created after that still works.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.advance_s = 0.0  # seconds by which this clock is ahead of wall time

    def load(self) -> None:
        """Load the stored advance."""
        self.advance_s = float(self._store.setting(_SETTING, 0.0))

    def stamp(self) -> int:
        """Whole seconds since the epoch, wall time."""
        return int(time.time())

    def now(self) -> float:
        """Seconds since the epoch, for comparing with deadlines."""
        return time.time() + self.advance_s

    def advance(self, seconds: float) -> None:
        """Advance by `seconds`; kept across restarts."""
        self.advance_s += seconds
        self._store.set_setting(_SETTING, self.advance_s)
