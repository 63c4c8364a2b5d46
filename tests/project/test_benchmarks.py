"""The benchmarks' table: what counts is the comparison within a round, and a missed target is printed as missed."""

from benchmarks import page
from benchmarks._figures import EXPRESS, FRAMES, IDLE_VIEWER, JUMP, PAIDCHAT, READ, WEBHOOK_ON_SQLITE
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


def test_more_is_better() -> None:
    """A target that is to be reached is met from its limit on; a limit of nothing is met by nothing alone."""
    records = Records(
        Record(name, PAIDCHAT, count=count, round=1) for name, count in ((FRAMES, 54.6), (JUMP, 0), ("another", 1))
    )
    assert list(targets(records)) == [(FRAMES, "54.6", "≥ 55", "missed"), (JUMP, "0", "≤ 0", "met")]


def test_the_page_is_measured_while_it_is_read() -> None:
    """The page's benchmark has a history to read back in, and posts at the rate that its figures name."""
    assert page.HISTORY > READ
    assert f"{page.POSTS_PER_S} posts a second" in FRAMES
