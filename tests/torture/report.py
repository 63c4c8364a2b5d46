"""The report: what long runs did and found, stored in docs/torture.json and rendered as docs/torture.md."""

import json
import subprocess
from collections.abc import Sequence
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
The column "found" counts messages lost / posted twice / posted unpaid / forged and accepted / anything else wrong.
"""
BY_RUN = """\
## Runs

| run | database | what was done | found | seed | time | commit, day |
|---|---|---|---|---|---|---|
"""
BY_COUNTER = """\
## Counters

| run | database | counter | value |
|---|---|---|---|
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
    """Return the description of a run made now."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=DOCS, capture_output=True, text=True, check=False
    )
    return Made(run, database, done.stdout.strip() or "unknown", datetime.now(UTC).date().isoformat())


def keep(what: Made, rows: Sequence[Row]) -> None:
    """Replace the earlier rows of a run."""
    results = _read()
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
    results["runs"] = [each for each in results["runs"] if not _is_of(each, what)] + mine
    _write(results)


def keep_sabotage(what: Made, sabotage: str, seed: int, *, noticed: bool) -> None:
    """Replace the earlier result of a sabotage."""
    results = _read()
    others = [each for each in results["sabotages"] if not (_is_of(each, what) and each["sabotage"] == sabotage)]
    mine = {**asdict(what), "sabotage": sabotage, "seed": seed, "noticed": noticed}
    results["sabotages"] = [*others, mine]
    _write(results)


def rendered(results: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    runs = sorted(results["runs"], key=lambda each: (each["database"] != "SQLite", each["run"]))
    by_run = (
        f"| {each['run']} | {each['database']} | {each['done']} | {' / '.join(map(str, each['found']))} | "
        f"{each['seed']} | {each['seconds']} s | {each['program']}, {each['day']} |"
        for each in runs
    )
    by_counter = (
        f"| {each['run']} | {each['database']} | {_of(each, runs)}{name} | {value:.10g} |"
        for each in runs
        for name, value in each["counts"].items()
    )
    by_sabotage = (
        f"| {each['sabotage']} | {each['run']} | {each['database']} | {'yes' if each['noticed'] else 'NO'} | "
        f"{each['seed']} | {each['program']}, {each['day']} |"
        for each in sorted(results["sabotages"], key=lambda each: (each["database"] != "SQLite", each["sabotage"]))
    )
    parts = ((BY_RUN, by_run), (BY_COUNTER, by_counter), (BY_SABOTAGE, by_sabotage))
    return "\n".join([INTRODUCTION, *(heading + "".join(f"{line}\n" for line in lines) for heading, lines in parts)])


def _of(row: dict[str, Any], runs: Sequence[dict[str, Any]]) -> str:
    """Return a prefix that tells a row from the other rows of its run; empty if there is only one."""
    of_run = [each for each in runs if (each["run"], each["database"]) == (row["run"], row["database"])]
    return f"{row['done']}: " if len(of_run) > 1 else ""


def _is_of(each: dict[str, Any], what: Made) -> bool:
    return (each["run"], each["database"]) == (what.run, what.database)


def _read() -> dict[str, Any]:
    file = DOCS / "torture.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"runs": [], "sabotages": []}
    return results


def _write(results: dict[str, Any]) -> None:
    (DOCS / "torture.json").write_text(json.dumps(results, indent=1) + "\n")
    (DOCS / "torture.md").write_text(rendered(results))
