"""The benchmarks' table: what counts is the comparison within a round, and a missed target is printed as missed."""

from benchmarks._figures import EXPRESS, IDLE_VIEWER, PAIDCHAT, WEBHOOK_ON_SQLITE
from benchmarks._records import Record, Records
from benchmarks._table import targets


def test_rounds_are_compared_before_the_median() -> None:
    """A round on a slow moment of the machine slows both, and doesn't move the ratio."""
    ours, theirs = (1_000, 9_000, 1_000), (3_000, 27_000, 3_000)
    records = Records(
        Record(WEBHOOK_ON_SQLITE, subject, cpu, None, None, number)
        for subject, values in ((PAIDCHAT, ours), (EXPRESS, theirs))
        for number, cpu in enumerate(values, 1)
    )
    assert list(targets(records)) == [("webhooks on SQLite per CPU-second / Express", "3.00", "≥ 2.00", "met")]


def test_missed() -> None:
    """A target that is not reached is printed as missed; what was not measured is left out."""
    records = Records([Record(IDLE_VIEWER, PAIDCHAT, kib=33, round=1)])
    assert list(targets(records)) == [("memory of an idle viewer", "33.0 KiB", "≤ 6.0 KiB", "missed")]
