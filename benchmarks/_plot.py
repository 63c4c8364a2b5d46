"""A plot of the targets as plain SVG: a bar for each, and a line at what is allowed."""

from collections.abc import Iterator
from html import escape

from benchmarks._records import Records
from benchmarks._targets import TARGETS

WIDTH, ROW, LABEL, RIGHT, TOP = 860, 24, 390, 90, 34
LIMIT, CAP = 1.0, 3.0  # shares of what is allowed; a longer bar is cut
FONT = 'font-family="sans-serif" font-size="12"'
MET, MISSED = "#2f855a", "#c05621"


def plot(records: Records) -> str:
    """Return the plot of the targets that were measured."""
    measured = [(target, value) for target in TARGETS if (value := target.value(records)) is not None]
    height = TOP + ROW * len(measured) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" {FONT}>',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (target, value) in enumerate(measured):
        colour = MET if target.is_met(value) else MISSED
        lines += _bar(TOP + ROW * number, target.words, target.text_of(value), target.share(value), colour)
    lines += _limit(height)
    return "\n".join([*lines, "</svg>", ""])


def _x(share: float) -> float:
    return LABEL + min(max(share, 0), CAP) / CAP * (WIDTH - LABEL - RIGHT)


def _bar(y: int, words: str, value: str, share: float, colour: str) -> Iterator[str]:
    middle = y + ROW / 2 + 4
    yield f'<text x="{LABEL - 8}" y="{middle:g}" text-anchor="end">{escape(words)}</text>'
    yield f'<rect x="{LABEL}" y="{y + 4}" width="{_x(share) - LABEL:.1f}" height="{ROW - 8}" fill="{colour}"/>'
    yield f'<text x="{_x(share) + 6:.1f}" y="{middle:g}">{escape(value)}{" …" if share > CAP else ""}</text>'


def _limit(height: int) -> Iterator[str]:
    x = _x(LIMIT)
    yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 8}" stroke="black" stroke-dasharray="3 3"/>'
    yield f'<text x="{x:.1f}" y="{TOP - 14}" text-anchor="middle">allowed</text>'
