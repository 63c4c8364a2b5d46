"""The report: what long runs did and found, stored in docs/torture.json and rendered as docs/torture.md."""

import fcntl
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.torture.table import Row

DOCS = Path(__file__).parents[2] / "docs"
KINDS = ("lost", "doubled", "unpaid_posted", "forged_accepted", "wrong")
INTRODUCTION = """\
# Torture

What the last long runs did and found. `./dev torture RUN --report` makes a run and updates its part of this page;
`./dev torture --list` describes the runs, and `./dev torture RUN --seed SEED` repeats one with the same random choices.
With `--minutes`, a run ends early, and its row says how much it did. Several runs may be made at the same time.
The column "found" counts messages lost / posted twice / posted unpaid / forged and accepted / anything else wrong.
"""
BY_RUN = """\
## Runs

| run | database | what was done | counts | found | seed | time | commit, day |
|---|---|---|---|---|---|---|---|
"""
BY_SABOTAGE = """\
## Sabotages

Each removes one safeguard; the run beside it must then fail.

| sabotage | run | database | noticed | seed | commit, day |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Made:
    """A run or a sabotage as a whole: its database, the commit that was tested, and the day."""

    run: str
    database: str
    program: str
    day: str


def made(run: str, database: str) -> Made:
    """Return the description of a run that begins now."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=DOCS, capture_output=True, text=True, check=False
    )
    return Made(run, database, done.stdout.strip() or "unknown", datetime.now(UTC).date().isoformat())


def keep(what: Made, rows: Sequence[Row], *, is_part: bool = False) -> None:
    """Replace the earlier rows of a run; if only a part of it was made, those about the same."""
    mine = [
        {
            **asdict(what),
            "done": row.done,
            "seed": row.seed,
            "found": [len(getattr(row, kind)) for kind in KINDS],
            "seconds": round(row.seconds),
            "counts": row.counts,
        }
        for row in rows
    ]
    done = {row.done for row in rows}
    with _changing() as results:
        others = [each for each in results["runs"] if not _is_of(each, what) or (is_part and each["done"] not in done)]
        results["runs"] = others + mine


def keep_sabotage(what: Made, sabotage: str, seed: int, *, noticed: bool) -> None:
    """Replace the earlier result of a sabotage."""
    mine = {**asdict(what), "sabotage": sabotage, "seed": seed, "noticed": noticed}
    with _changing() as results:
        others = [each for each in results["sabotages"] if not (_is_of(each, what) and each["sabotage"] == sabotage)]
        results["sabotages"] = [*others, mine]


def rendered(results: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    runs = sorted(results["runs"], key=lambda each: (each["database"] != "SQLite", each["run"]))
    by_run = (
        f"| {each['run']} | {each['database']} | {each['done']} | {_counted(each['counts'])} | "
        f"{' / '.join(map(str, each['found']))} | {each['seed']} | {each['seconds']} s | "
        f"{each['program']}, {each['day']} |"
        for each in runs
    )
    by_sabotage = (
        f"| {each['sabotage']} | {each['run']} | {each['database']} | {'yes' if each['noticed'] else 'NO'} | "
        f"{each['seed']} | {each['program']}, {each['day']} |"
        for each in sorted(results["sabotages"], key=lambda each: (each["database"] != "SQLite", each["sabotage"]))
    )
    parts = ((BY_RUN, by_run), (BY_SABOTAGE, by_sabotage))
    return "\n".join([INTRODUCTION, *(heading + "".join(f"{line}\n" for line in lines) for heading, lines in parts)])


def _counted(counts: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:,.10g}" for name, value in counts.items())


def _is_of(each: dict[str, Any], what: Made) -> bool:
    return (each["run"], each["database"]) == (what.run, what.database)


@contextmanager
def _changing() -> Iterator[dict[str, Any]]:
    """Yield the stored results, and store and render them at the end. Runs that end at the same time wait here."""
    with (DOCS / "torture.json").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        results: dict[str, Any] = json.loads(file.read() or '{"runs": [], "sabotages": []}')
        yield results
        file.truncate(0)
        file.write(json.dumps(results, indent=1) + "\n")
        (DOCS / "torture.md").write_text(rendered(results))
