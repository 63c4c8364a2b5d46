"""Excerpts: a text in one line, short enough for a place that has little room."""

from typing import Final

import regex

# unicode.org/reports/tr29: what a person takes for one character, such as a flag or a letter with its accents. The
# package takes 14 ms of CPU and 0.9 MiB at a start; `re` has no such rule.
_GRAPHEME: Final = regex.compile(r"\X")
_ELLIPSIS = "…"


def excerpt(text: str, most: int) -> str:
    """Return a text in one line of at most `most` code points, white space folded.

    A longer one is cut between graphemes, and ends with an ellipsis. The text must have something visible; if not even
    the first grapheme fits, only the ellipsis is left.
    """
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    end = 0
    for grapheme in _GRAPHEME.finditer(line):
        if grapheme.end() > most - len(_ELLIPSIS):
            break
        end = grapheme.end()
    return line[:end].rstrip() + _ELLIPSIS
