"""The table: one row for each run, with what was done, what was found, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, field

WIDEST_FINDING = 400  # characters
MOST_FINDINGS = 20


@dataclass
class Row:
    """What one run did and found.

    Attributes:
        name: of the run.
        done: a description of what was done.
        seed: repeats the run.
        counts: counters, by name.
        lost: paid for, or acknowledged, but missing.
        doubled: posted more than once.
        unpaid_posted: shown although it was not paid, or the money went back.
        forged_accepted: accepted although it did not come from Stripe.
        wrong: everything else that is wrong, such as a gap in the log, a damaged file, a slow response.
        seconds: how long the run took.
        details: lines to print below the row.
    """

    name: str
    done: str
    seed: int
    counts: dict[str, float] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unpaid_posted: list[str] = field(default_factory=list)
    forged_accepted: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    details: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        """Everything that was found, each prefixed with its kind."""
        kinds = ("lost", "doubled", "unpaid_posted", "forged_accepted", "wrong")
        return [f"{kind.replace('_', ' ')}: {what}" for kind in kinds for what in getattr(self, kind)]

    @property
    def green(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        """Return the row as it is printed, with its findings below it."""
        counts = ", ".join(f"{name} {value:g}" for name, value in self.counts.items())
        verdict = "GREEN" if self.green else "RED"
        head = (
            f"{self.name} | {self.done} | {counts} | lost {len(self.lost)} | doubled {len(self.doubled)} | "
            f"unpaid posted {len(self.unpaid_posted)} | forged accepted {len(self.forged_accepted)} | "
            f"wrong {len(self.wrong)} | seed {self.seed} | {self.seconds:.1f} s | {verdict}"
        )
        findings = [finding[:WIDEST_FINDING] for finding in self.findings[:MOST_FINDINGS]]
        return "\n    ".join([head, *findings, *self.details])


HEADING = (
    "run | what was done | counts | lost | doubled | unpaid posted | forged accepted | wrong | seed | time | verdict"
)


def table(rows: Sequence[Row]) -> str:
    """Return rows under their heading."""
    return "\n".join([HEADING, *map(str, rows)])
