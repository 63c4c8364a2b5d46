"""The order for a run: how much of it, with which seed, on which database, and what to unplug."""

from dataclasses import dataclass
from typing import Any

from tests.torture.harness.processes import Launcher


@dataclass(frozen=True)
class Order:
    """What is asked of a run.

    Attributes:
        seed: everything random follows from it.
        short: a pass of seconds, in place of the long run.
        count: how often, where a run counts; None: as often as the length asks for.
        database: the URL of a PostgreSQL server; None: SQLite.
        sabotage: the name of a safeguard that is unplugged, so that the run must turn red.
        launcher: starts the run's processes, where several runs share one.
    """

    seed: int
    short: bool = False
    count: int | None = None
    database: str | None = None
    sabotage: str | None = None
    launcher: Launcher | None = None

    @property
    def hooks(self) -> dict[str, Any]:
        """What every board of the run is started with."""
        return {} if self.sabotage is None else {"sabotage": self.sabotage}

    @property
    def settle_s(self) -> float:
        """How long the board may take to put everything in order when all is over."""
        if self.sabotage is not None:
            return 5
        return 30 if self.short else 120
