"""Tables of records: every figure of every subject, and the targets."""

from collections.abc import Iterable, Iterator, Sequence

from benchmarks._figures import OTHER, PAIDCHAT
from benchmarks._records import MEASURES, Records
from benchmarks._targets import TARGETS

FIGURES = ("figure", "subject", "CPU, µs", "wall, µs", "memory, KiB", "count")
CHECKED = ("target", "measured", "wanted", "")
COMPARED = ("paidchat / the other checkout", "CPU", "wall", "memory", "count")

Row = Sequence[str]


def figures(records: Records) -> Iterator[Row]:
    """Return the medians of every figure."""
    for name in records.names():
        for subject in records.subjects(name):
            yield (name, subject, *(_text(records.median(name, subject, measure)) for measure in MEASURES))


def targets(records: Records) -> Iterator[Row]:
    """Return the targets whose figures were measured, met or missed."""
    for target in TARGETS:
        value = target.value(records)
        if value is not None:
            verdict = "met" if target.is_met(value) else "missed"
            yield (target.words, target.text_of(value), target.bound, verdict)


def against_other(records: Records) -> Iterator[Row]:
    """Return the ratios to the other checkout, if one was measured."""
    for name in records.names():
        if OTHER in records.subjects(name):
            yield (name, *(_text(records.ratio(name, PAIDCHAT, OTHER, measure)) for measure in MEASURES))


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def in_columns(header: Row, rows: Iterable[Row]) -> Iterator[str]:
    """Return a table as lines for a terminal; none if it has no rows."""
    table = list(rows)
    widths = [max(len(row[column]) for row in [header, *table]) for column in range(len(header))]
    for row in [header, *table] if table else []:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip()


def in_markdown(header: Row, rows: Iterable[Row]) -> Iterator[str]:
    """Return a table as lines of Markdown."""
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def show(records: Records) -> None:
    """Print every table that has rows."""
    for header, rows in (
        (FIGURES, figures(records)),
        (COMPARED, against_other(records)),
        (CHECKED, targets(records)),
    ):
        for line in in_columns(header, rows):
            print(line)
        print()
