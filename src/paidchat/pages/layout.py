"""The layout of a text in a picture: the largest size at which it fits, and its lines at that size."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

import regex
from msgspec import Struct

SIZES: Final = (96, 84, 74, 66, 58, 52, 46, 41, 37, 33, 30)  # px
LEADING: Final = 1.3  # of a line, in sizes
BREAKS_WORDS_UP_TO: Final = 46  # px; at larger sizes a smaller one is better than a broken word
ELLIPSIS: Final = "…"
_GRAPHEME: Final = regex.compile(r"\X")  # unicode.org/reports/tr29
_LINE_BREAKS: Final = re.compile("[\n\u2028\u2029]")
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL"})

Measure = Callable[[str, int], float]  # the width of a text at a size, in px


class Line(Struct, frozen=True):
    """A line of text, and whether its paragraph is written from right to left."""

    text: str
    is_right_to_left: bool


def is_right_to_left(text: str) -> bool:
    """Tell the direction of a paragraph: that of its first letter (UAX 9, rules P2 and P3)."""
    kinds = (unicodedata.bidirectional(char) for char in text)
    return next((kind in _RIGHT_TO_LEFT for kind in kinds if kind == "L" or kind in _RIGHT_TO_LEFT), False)


def fit(text: str, width: int, height: int, measure: Measure) -> tuple[int, Sequence[Line]]:
    """Return the largest size at which a text fits into a rectangle, and its lines; at the least size it is cut."""
    paragraphs = [paragraph for paragraph in _LINE_BREAKS.split(text) if paragraph.strip()]
    for size in SIZES:
        most = int(height / (size * LEADING))
        lines = _wrapped(paragraphs, width, size, most, measure)
        if lines is not None:
            return size, lines
    lines = _wrapped(paragraphs, width, size, None, measure) or []
    last = shortened(f"{lines[most - 1].text} {ELLIPSIS}", width, lambda words: measure(words, size))
    return size, [*lines[: most - 1], Line(last, lines[most - 1].is_right_to_left)]


def shortened(text: str, width: float, measure: Callable[[str], float]) -> str:
    """Return a line that is no wider than `width`: whole, or its beginning and an ellipsis."""
    if measure(text) <= width:
        return text
    kept = _GRAPHEME.findall(text.removesuffix(ELLIPSIS).rstrip())
    while kept and measure("".join(kept) + ELLIPSIS) > width:
        kept.pop()
    return "".join(kept).rstrip() + ELLIPSIS


def _wrapped(
    paragraphs: Sequence[str], width: int, size: int, most: int | None, measure: Measure
) -> Sequence[Line] | None:
    """Return the lines of some paragraphs; None if there are more than `most`, or a word is too long for the size."""
    lines: list[Line] = []
    space = measure(" ", size)
    for paragraph in paragraphs:
        direction = is_right_to_left(paragraph)
        words, used = [""], 0.0
        for word in paragraph.split():
            taken = measure(word, size)
            if taken > width and size > BREAKS_WORDS_UP_TO:
                return None
            for part, part_width in _parts(word, taken, width, lambda text: measure(text, size)):
                if words[-1] and used + space + part_width > width:
                    words.append("")
                used = used + space + part_width if words[-1] else part_width
                words[-1] = f"{words[-1]} {part}".lstrip()
        lines += [Line(text, direction) for text in words]
        if most is not None and len(lines) > most:
            return None
    return lines


def _parts(word: str, taken: float, width: int, measure: Callable[[str], float]) -> Sequence[tuple[str, float]]:
    """Return a word in parts that are no wider than a line, with their widths."""
    if taken <= width:
        return [(word, taken)]
    parts, part = [], ""
    for grapheme in _GRAPHEME.findall(word):
        if part and measure(part + grapheme) > width:
            parts.append((part, measure(part)))
            part = ""
        part += grapheme
    return [*parts, (part, measure(part))]
