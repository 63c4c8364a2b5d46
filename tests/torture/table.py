"""The table: one row for each run, with what was done, what was found and whether it held."""

from collections.abc import Sequence
from dataclasses import dataclass, field

WIDEST_FINDING = 400  # characters
MOST_FINDINGS = 20


@dataclass
class Row:
    """What one run did and found.

    Attributes:
        name: the run's.
        done: what was done, in words.
        seed: repeats it.
        counts: how often, by name.
        lost: paid for, or acknowledged, and not there.
        doubled: posted more than once.
        unpaid_posted: shown without money that stays.
        forged_accepted: taken from somebody who is not Stripe.
        wrong: everything else that is not as it must be: a gap in the log, a damaged file, a slow answer.
        seconds: how long it took.
        details: lines that are printed below the row.
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
        """Everything that was found, each with its kind in front."""
        kinds = ("lost", "doubled", "unpaid_posted", "forged_accepted", "wrong")
        return [f"{kind.replace('_', ' ')}: {what}" for kind in kinds for what in getattr(self, kind)]

    @property
    def green(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        """Return the row as it is printed, its findings below it."""
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
