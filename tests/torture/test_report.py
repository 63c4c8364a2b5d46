"""The report of the long runs: docs/torture.md is rendered from docs/torture.json, with one line per counter."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path

import pytest

from tests.torture import report
from tests.torture.checks.oracle import Finding
from tests.torture.command import RUNS
from tests.torture.hooks.sabotages import SABOTAGES
from tests.torture.order import Order
from tests.torture.table import Row


def test_the_committed_report_is_the_rendered_one() -> None:
    """The page is exactly what the runs wrote, and every run and sabotage in it exists."""
    results = json.loads((report.DOCS / "torture.json").read_text())
    assert (report.DOCS / "torture.md").read_text() == report.rendered(results)
    assert {each["run"] for each in results["runs"]} <= set(RUNS)
    assert {each["sabotage"] for each in results["sabotages"]} <= set(SABOTAGES)


def test_a_run_takes_the_place_of_its_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeating a run replaces only its own rows; the page has each counter and the number of findings."""
    monkeypatch.setattr(report, "DOCS", tmp_path)
    first, second = report.made("kills", "SQLite"), report.made("kills", "PostgreSQL")
    report.keep(first, [Row("kills", "the first time", 1, {"kills": 3})])
    report.keep(second, [Row("kills", "elsewhere", 2, {"kills": 4, "payments": 12_345_678})])
    report.keep(first, [Row("kills", "again", 3, {"kills": 5}, lost=["one"], wrong=["two", "three"])])
    report.keep_sabotage(first, "inbox", 4, noticed=False)
    page = (tmp_path / "torture.md").read_text()
    assert "the first time" not in page
    assert "| kills | SQLite | again | kills 5 | 1 / 0 / 0 / 0 / 2 | 3 |" in page
    assert "| kills | PostgreSQL | elsewhere | kills 4, payments 12,345,678 |" in page
    assert "| inbox | kills | SQLite | NO | 4 |" in page


def test_a_part_of_a_run_leaves_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of some stories replaces the rows about these alone."""
    monkeypatch.setattr(report, "DOCS", tmp_path)
    made = report.made("crash-points", "SQLite")
    report.keep(made, [Row("crash-points", done, 1) for done in ("together", "paid, in order", "create, in order")])
    report.keep(made, [Row("crash-points", done, 2) for done in ("paid, in order", "paid, reversed")], is_part=True)
    kept = {each["done"]: each["seed"] for each in json.loads((tmp_path / "torture.json").read_text())["runs"]}
    assert kept == {"together": 1, "create, in order": 1, "paid, in order": 2, "paid, reversed": 2}


def test_runs_that_end_at_once_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs side by side, such as one for each database, don't overwrite each other's results."""
    monkeypatch.setattr(report, "DOCS", tmp_path)
    names = [f"run {number}" for number in range(40)]

    def keep(name: str) -> None:
        report.keep(report.Made(name, "SQLite", "abc", "today"), [Row(name, "something", 1)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(keep, names))
    kept = json.loads((tmp_path / "torture.json").read_text())["runs"]
    assert sorted(each["run"] for each in kept) == sorted(names)


def test_no_round_begins_when_the_time_is_up() -> None:
    """A run has as many rounds as were asked for, or those that began in time."""
    assert list(Order(1).rounds(3)) == [1, 2, 3]
    rounds = Order(1, deadline=time.monotonic() + 0.2).rounds(1_000)
    begun = 0
    for _ in rounds:
        time.sleep(0.05)
        begun += 1
    assert 0 < begun < 10
    assert list(Order(1, deadline=time.monotonic() - 1).rounds(3)) == []


def test_a_finding_comes_back_from_another_process() -> None:
    """A broken promise that another process found arrives with its kind and its words."""
    arrived = copy(Finding("lost", "a message"))  # takes it apart as sending does
    assert (arrived.kind, arrived.what, str(arrived)) == ("lost", "a message", "lost: a message")
