"""Records of what was measured: written by each benchmark, and kept for the table of all."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / ".records"


@dataclass(frozen=True)
class Record:
    """One figure of one subject in one round, per request, delivery or whatever its name says."""

    name: str
    subject: str
    cpu: float | None = None  # µs, of the server's process alone
    wall: float | None = None  # µs
    kib: float | None = None  # of memory
    count: float | None = None
    round: int = 0


MEASURES = ("cpu", "wall", "kib", "count")


class Records:
    """The records of a run. They are compared round by round, because a machine is faster in one than in another."""

    def __init__(self, records: Iterable[Record], *, quick: bool = False) -> None:
        self._all = list(records)
        self.quick = quick  # whether some are of a quick run
        self.count = min(self._rounds_of_names().values(), default=0)

    def _rounds_of_names(self) -> dict[str, int]:
        return {name: max(each.round for each in self._all if each.name == name) for name in self.names()}

    def names(self) -> list[str]:
        """Return the figures' names, in the order in which they were measured."""
        return list(dict.fromkeys(record.name for record in self._all))

    def subjects(self, name: str) -> list[str]:
        """Return who has this figure."""
        return list(dict.fromkeys(record.subject for record in self._all if record.name == name))

    def rounds(self, name: str, subject: str, measure: str) -> dict[int, float]:
        """Return a figure by round."""
        found = (record for record in self._all if (record.name, record.subject) == (name, subject))
        return {each.round: getattr(each, measure) for each in found if getattr(each, measure) is not None}

    def median(self, name: str, subject: str, measure: str) -> float | None:
        """Return the median of the rounds; None if this was not measured."""
        values = self.rounds(name, subject, measure).values()
        return statistics.median(values) if values else None

    def ratio(self, name: str, subject: str, other: str, measure: str) -> float | None:
        """Return the median of the rounds' ratios of two subjects; None if this was not measured, or was 0."""
        ours, others = (self.rounds(name, each, measure) for each in (subject, other))
        ratios = [ours[number] / others[number] for number in ours if others.get(number)]
        return statistics.median(ratios) if ratios else None


def save(benchmark: str, records: Sequence[Record], *, quick: bool) -> None:
    """Keep a benchmark's records, in place of its earlier ones."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps({"quick": quick, "records": [asdict(record) for record in records]}, indent=1)
    (FOLDER / f"{benchmark}.json").write_text(text)


def load() -> Records:
    """Return the newest records of every benchmark."""
    runs = [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]
    records = (Record(**fields) for run in runs for fields in run["records"])
    return Records(records, quick=any(run["quick"] for run in runs))
