"""Clock: wall time for what is written down, and a clock that can be advanced for what is waited for."""

import time

from paidchat.sandbox.store import Store

_SETTING = "clock_advance_s"


class Clock:
    """Two readings of time.

    `stamp` is wall time: clients compare `created` and `expires_at` with their own clocks. `now` is wall time
    plus whatever was advanced, and only deadlines (expiry, retries, settlements) are measured with it. So
    "three days later" makes waiting things happen, and a session created after that still works.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.advance_s = 0.0  # how far this clock runs ahead of the wall

    def load(self) -> None:
        """Take over what the store has kept."""
        self.advance_s = float(self._store.setting(_SETTING, 0.0))

    def stamp(self) -> int:
        """Whole seconds since the epoch, wall time."""
        return int(time.time())

    def now(self) -> float:
        """Seconds since the epoch by which deadlines are judged."""
        return time.time() + self.advance_s

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass for everything that waits; kept across restarts."""
        self.advance_s += seconds
        self._store.set_setting(_SETTING, self.advance_s)
