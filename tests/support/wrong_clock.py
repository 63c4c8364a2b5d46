"""Boards with a wrong clock, in this process and in others, while Stripe's and the database's clocks are right."""

from datetime import datetime, timedelta

import pytest

from paidchat import clock
from tests.support.forking import CLOCK_AHEAD_S


class BoardClock:
    """The clock of every board in this process, which is right until `ahead` is set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta(0)
        self._right = clock.now
        patch.setattr(clock, "now", self._now)

    def _now(self) -> datetime:
        return self._right() + self.ahead

    def set_right(self) -> None:
        """Correct the clock."""
        self.ahead = timedelta(0)


def ahead_by(seconds: int) -> dict[str, str]:
    """Return the environment of a forked process whose clock is ahead."""
    return {CLOCK_AHEAD_S: str(seconds)}
