"""The report of the long runs: docs/torture.md is rendered from docs/torture.json, with one line per counter."""

import json
from pathlib import Path

import pytest

from tests.torture import report
from tests.torture.command import RUNS
from tests.torture.hooks.sabotages import SABOTAGES
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
    assert "| kills | SQLite | again | 1 / 0 / 0 / 0 / 2 | 3 |" in page
    assert "| kills | PostgreSQL | payments | 12345678 |" in page
    assert "| inbox | kills | SQLite | NO | 4 |" in page
