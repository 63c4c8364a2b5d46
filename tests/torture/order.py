"""The order for a run: its length, seed and database, and the safeguard to remove."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.torture.harness.processes import Launcher


@dataclass(frozen=True)
class Order:
    """The parameters of a run.

    Attributes:
        seed: of every random choice.
        short: a pass of a few seconds instead of the long run.
        count: the number of rounds, in runs that have rounds; None for the default of that length.
        database: the URL of a PostgreSQL server; None for SQLite.
        sabotage: the safeguard to remove, so that the run must turn red.
        story: only the stories of crash-points whose name contains it; None for all.
        processes: how many simulate at a time; None for one per processor.
        deadline: when to begin no more rounds, by `time.monotonic`; what was done until then is audited and reported.
        launcher: starts the run's processes, if several runs share one.
    """

    seed: int
    short: bool = False
    count: int | None = None
    database: str | None = None
    sabotage: str | None = None
    story: str | None = None
    processes: int | None = None
    deadline: float = math.inf
    launcher: Launcher | None = None

    @property
    def time_is_up(self) -> bool:
        """Whether no more rounds are to begin."""
        return time.monotonic() > self.deadline

    def rounds(self, count: int) -> Iterator[int]:
        """Yield the numbers of the rounds, from 1 to `count`, or until the time is up."""
        for number in range(1, count + 1):
            if self.time_is_up:
                return
            yield number

    @property
    def hooks(self) -> dict[str, Any]:
        """The hooks that every board of the run is started with."""
        return {} if self.sabotage is None else {"sabotage": self.sabotage}

    @property
    def settle_s(self) -> float:
        """How long the board may take to settle at the end of the run."""
        if self.sabotage is not None:
            return 5
        return 30 if self.short else 120
