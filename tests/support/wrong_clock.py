"""Boards whose clock is wrong, in this process and in others, while Stripe's and the database's stay right."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from paidchat import clock

HOOK = """
import os
from datetime import timedelta
from paidchat import clock
right, ahead = clock.now, timedelta(seconds=float(os.environ["CLOCK_AHEAD_S"]))
clock.now = lambda: right() + ahead
"""


class BoardClock:
    """The clock of every board in this process: right until `ahead` is set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta(0)
        self._right = clock.now
        patch.setattr(clock, "now", self._now)

    def _now(self) -> datetime:
        return self._right() + self.ahead

    def set_right(self) -> None:
        """Set it right."""
        self.ahead = timedelta(0)


def ahead_by(seconds: int, folder: Path) -> dict[str, str]:
    """Return the environment of a process whose clock is ahead; Python runs a `sitecustomize` that it finds first."""
    (folder / "sitecustomize.py").write_text(HOOK)
    return {"PYTHONPATH": str(folder), "CLOCK_AHEAD_S": str(seconds)}
