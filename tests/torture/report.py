"""The report: what long runs did and found, kept in docs/torture.json and written out as docs/torture.md."""

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

What the long runs did and found. `./dev torture RUN --report` makes a run and writes its part of this page anew;
`./dev torture --list` says what each run does, `./dev torture RUN --seed SEED` makes one again with the same choices.
Found: lost / doubled / posted unpaid / forged and accepted / otherwise wrong.
"""
BY_RUN = """\
## Runs

| run | database | what was done | found | seed | time | program, day |
|---|---|---|---|---|---|---|
"""
BY_COUNTER = """\
## What was counted

| run | database | counter | value |
|---|---|---|---|
"""
BY_SABOTAGE = """\
## Sabotages

Each takes one safeguard away; the run beside it must turn red.

| sabotage | run | database | noticed | seed | program, day |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Made:
    """What is said of a run or a sabotage as a whole: on which database, with which program, and when."""

    run: str
    database: str
    program: str
    day: str


def made(run: str, database: str) -> Made:
    """Describe a run that is made now."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=DOCS, capture_output=True, text=True, check=False
    )
    return Made(run, database, done.stdout.strip() or "unknown", datetime.now(UTC).date().isoformat())


def keep(what: Made, rows: Sequence[Row]) -> None:
    """Put the rows of a run in the place of its earlier ones."""
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
    """Put what became of a sabotage in the place of the earlier one."""
    results = _read()
    others = [each for each in results["sabotages"] if not (_is_of(each, what) and each["sabotage"] == sabotage)]
    mine = {**asdict(what), "sabotage": sabotage, "seed": seed, "noticed": noticed}
    results["sabotages"] = [*others, mine]
    _write(results)


def rendered(results: dict[str, Any]) -> str:
    """Return the page."""
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
    """Return what tells a row from the other ones of its run."""
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
