"""Rounds: each subject in turn, several times over, the first time only to warm up."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from benchmarks import _table as table
from benchmarks._processes import LOAD_CORE
from benchmarks._records import Record, Records, save
from benchmarks._subjects import Subject, other

ROUNDS = 5
QUICK = 4  # times less of everything
Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Options:
    """How a benchmark was asked to run."""

    rounds: int
    quick: bool
    against: Path | None
    messages: int

    def amount(self, of: int) -> int:
        """Return how many to do."""
        return of // QUICK if self.quick else of

    def with_other(self, subjects: Sequence[Subject]) -> list[Subject]:
        """Add the other checkout, if one was given."""
        return [*subjects, *([other(self.against)] if self.against else [])]


def options() -> Options:
    """Read the command line, and move this process to the load's core."""
    parser = argparse.ArgumentParser(prog=f"./dev bench {Path(sys.argv[0]).stem}")
    parser.add_argument("--rounds", type=int, help=f"how often each subject is measured (default: {ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="one round, with less of everything")
    parser.add_argument("--against", type=Path, help="another checkout of paidchat, measured in the same run")
    parser.add_argument("--messages", type=int, default=10**5, help="on the large board of `growth`")
    given = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    against = given.against.resolve() if given.against else None
    return Options(given.rounds or (1 if given.quick else ROUNDS), given.quick, against, given.messages)


def measure(how: Options, subjects: Sequence[Measured], run: Callable[[Measured], Iterable[Record]]) -> list[Record]:
    """Measure the subjects in turns, each other round in the other order."""
    kept: list[Record] = []
    for number in range(how.rounds + 1):
        for subject in subjects if number % 2 else reversed(subjects):
            records = [replace(record, round=number) for record in run(subject)]
            if number:
                kept += records
        print(f"round {number} of {how.rounds}" if number else "warmed up", file=sys.stderr, flush=True)
    return kept


def keep(benchmark: str, how: Options, records: Sequence[Record]) -> None:
    """Keep a benchmark's records, and print them."""
    save(benchmark, records, quick=how.quick)
    table.show(Records(records))
