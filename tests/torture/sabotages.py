"""Sabotages: each unplugs one safeguard of a board's process, to prove that a run would notice its absence."""

from collections.abc import Callable
from dataclasses import dataclass

from paidchat.reconciler import Reconciler
from tests.torture.patches import replace


@dataclass(frozen=True)
class Sabotage:
    """One safeguard unplugged.

    Attributes:
        unplug: does it, in the process where it is called.
        run: the run that must turn red.
        what: in words.
    """

    unplug: Callable[[], None]
    run: str
    what: str


def _sweep() -> None:
    async def never(reconciler: Reconciler) -> None:
        del reconciler

    replace(Reconciler, "run", lambda _: never)


SABOTAGES: dict[str, Sabotage] = {
    "sweep": Sabotage(_sweep, "kills", "nobody asks Stripe about what it did not tell"),
}


def unplug(name: str) -> None:
    """Unplug a safeguard in this process."""
    SABOTAGES[name].unplug()
