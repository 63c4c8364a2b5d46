"""The rules for texts and names. The page's `text.js` has the same.

Both use the same generated table of characters, so they don't depend on the Unicode version of Python or the browser.
Only NFC is the platform's: it never changes for an assigned character, but an older platform doesn't normalize
characters that were assigned later. Characters that are not in the table are accepted.
"""

import re
import unicodedata
from bisect import bisect
from itertools import pairwise
from typing import Final

from paidchat import unicode_ranges
from paidchat.domain import InvalidText

MAX_RAW_TEXT_LENGTH = 2_000  # code points as sent; bounds the work
MAX_RAW_AUTHOR_LENGTH = 200
MAX_TEXT_LENGTH = 500  # code points, after NFC
MAX_TEXT_LINES = 20
MAX_AUTHOR_LENGTH = 50  # code points, after NFC
MAX_STACKED_MARKS = 5  # per base character, after NFC
MAX_REPEATED_MARKS = 2  # of the same mark in a row
TOO_MANY_MARKS = f"At most {MAX_STACKED_MARKS} accents on a letter, the same one at most twice in a row."
MAX_IGNORABLE = 8  # default-ignorable characters in a row
# NFC is quadratic in the marks per base, so their number is bounded first. It merges at most four marks into one, and
# three into the base, so with more than this before NFC there are more than MAX_STACKED_MARKS after it.
MAX_RAW_MARKS = 4 * (MAX_STACKED_MARKS + 1) + 3

# Unicode's White_Space without the controls, which are refused, not trimmed. str.strip() uses another set.
_SPACE = (
    "\n \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_LINE_BREAKS = frozenset("\n\u2028\u2029")


_LAST_ASCII = 0x7F


class _Characters:
    """A set of characters from the generated table, kept as ranges: one by one, the 34,000 of all sets took 4.7 MiB."""

    def __init__(self, ranges: str) -> None:
        ends = [(first, last or first) for first, _, last in (span.partition("-") for span in ranges.split())]
        # Where a range begins, and where it has ended: a code point in a range comes after an odd number of them.
        self._bounds = [bound for first, last in ends for bound in (int(first, 16), int(last, 16) + 1)]

    def found_in(self, text: str) -> frozenset[str]:
        """Return those of these characters that a text has."""
        if text.isascii() and self._bounds[0] > _LAST_ASCII:
            return frozenset()
        bounds = self._bounds
        return frozenset(char for char in set(text) if bisect(bounds, ord(char)) % 2)


_CONTROLS: Final = _Characters(unicode_ranges.CONTROLS)
_NOT_TEXT: Final = _Characters(unicode_ranges.NOT_TEXT)
_DIRECTION_CONTROLS: Final = _Characters(unicode_ranges.DIRECTION_CONTROLS)
_ANNOTATIONS: Final = _Characters(unicode_ranges.ANNOTATIONS)
_TAGS: Final = _Characters(unicode_ranges.TAGS)
_DEFAULT_IGNORABLE: Final = _Characters(unicode_ranges.DEFAULT_IGNORABLE)
_VARIATION_SELECTORS: Final = _Characters(unicode_ranges.VARIATION_SELECTORS)
_STACKING_MARKS: Final = _Characters(unicode_ranges.STACKING_MARKS)
_BETWEEN_MARKS: Final = _Characters(unicode_ranges.BETWEEN_MARKS)
_INVISIBLE: Final = _Characters(unicode_ranges.INVISIBLE)
_MARKS: Final = _Characters(unicode_ranges.MARKS)
_RIGHT_TO_LEFT_LETTERS: Final = _Characters(unicode_ranges.RIGHT_TO_LEFT_LETTERS)
_JOINED_LETTERS: Final = _Characters(unicode_ranges.JOINED_LETTERS)
_JOINED_SYMBOLS: Final = _Characters(unicode_ranges.JOINED_SYMBOLS)

# Flags of regions (unicode.org/reports/tr51, emoji tag sequences): they show as their base, where one isn't known.
_TAG_SEQUENCE: Final = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,7}\U000e007f")
_TAG_BASE = "\U0001f3f4"
_DIRECTION_MARKS = frozenset("\u200e\u200f\u061c")  # LRM, RLM, ALM
_ZWNJ, _ZWJ = "\u200c", "\u200d"

_FORBIDDEN: Final = (
    (_CONTROLS, "Tabs and other control characters are not allowed."),
    (_NOT_TEXT, "This is not valid Unicode text."),
    (_DIRECTION_CONTROLS, "Characters that change the direction of text are not allowed."),
    (_ANNOTATIONS, "Annotation characters are not allowed."),
)


def clean_text(raw: str) -> str:
    """Return a message's text in the form that is stored and shown.

    CRLF becomes LF, surrounding white space is removed, and NFC applied; anything else that is invalid is refused,
    never changed. The work is linear and bounded, since the length as sent is checked first.

    Raises:
        InvalidText: the field is `text`.
    """
    text = _clean("text", raw, MAX_RAW_TEXT_LENGTH)
    if not text:
        raise InvalidText("text", "Write something first.")
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidText("text", f"At most {MAX_TEXT_LENGTH} characters; this has {len(text)}.")
    if sum(char in _LINE_BREAKS for char in text) >= MAX_TEXT_LINES:
        raise InvalidText("text", f"At most {MAX_TEXT_LINES} lines.")
    return text


def clean_author(raw: str | None) -> str | None:
    """Return an author's name in the form that is stored and shown; None if it is blank.

    Raises:
        InvalidText: the field is `author`.
    """
    author = _clean("author", raw or "", MAX_RAW_AUTHOR_LENGTH)
    if not author:
        return None
    if len(author) > MAX_AUTHOR_LENGTH:
        raise InvalidText("author", f"At most {MAX_AUTHOR_LENGTH} characters; this has {len(author)}.")
    if not _LINE_BREAKS.isdisjoint(author):
        raise InvalidText("author", "A name is one line.")
    if _has_hidden(author):
        raise InvalidText("author", "Invisible characters are not allowed in a name.")
    return author


def _clean(field: str, raw: str, most: int) -> str:
    if len(raw) > most:
        raise InvalidText(field, f"At most {most} characters before it is cleaned up; this has {len(raw)}.")
    text = raw.replace("\r\n", "\n")
    for characters, message in _FORBIDDEN:
        if characters.found_in(text):
            raise InvalidText(field, message)
    text = text.strip(_SPACE)
    if _longest_run(text, _STACKING_MARKS.found_in(text)) > MAX_RAW_MARKS:
        raise InvalidText(field, TOO_MANY_MARKS)
    text = unicodedata.normalize("NFC", text)
    if text and _INVISIBLE.found_in(text).issuperset(text):
        raise InvalidText(field, "There is nothing to see in this.")
    stacked, repeated = _marks(text)
    if stacked > MAX_STACKED_MARKS or repeated > MAX_REPEATED_MARKS:
        raise InvalidText(field, TOO_MANY_MARKS)
    if ignorable := _DEFAULT_IGNORABLE.found_in(text):
        _check_ignorable(field, text, ignorable)
    return text


def _marks(text: str) -> tuple[int, int]:
    """Return the largest number of marks on one base, and of the same mark in a row."""
    marks, between = _STACKING_MARKS.found_in(text), _BETWEEN_MARKS.found_in(text)
    if not marks:
        return 0, 0
    most_stacked = most_repeated = stacked = repeated = 0
    last = ""
    for char in text:
        if char in marks:
            stacked += 1
            repeated = repeated + 1 if char == last else 1
            most_stacked, most_repeated = max(most_stacked, stacked), max(most_repeated, repeated)
            last = char
        elif char not in between:
            stacked = 0
            last = ""
    return most_stacked, most_repeated


def _check_ignorable(field: str, text: str, ignorable: frozenset[str]) -> None:
    text = _TAG_SEQUENCE.sub(_TAG_BASE, text)
    if _TAGS.found_in(text):
        raise InvalidText(field, "Tag characters are only allowed in flags.")
    if _longest_run(text, _VARIATION_SELECTORS.found_in(text)) > 1:
        raise InvalidText(field, "At most one variation selector in a row.")
    if _longest_run(text, ignorable) > MAX_IGNORABLE:
        raise InvalidText(field, f"At most {MAX_IGNORABLE} invisible characters in a row.")


def _longest_run(text: str, characters: frozenset[str]) -> int:
    if not characters:
        return 0
    longest = run = 0
    for char in text:
        run = run + 1 if char in characters else 0
        longest = max(longest, run)
    return longest


def _has_hidden(author: str) -> bool:
    """Tell whether a name has default-ignorable characters that neither its script nor its emoji need."""
    ignorable = _DEFAULT_IGNORABLE.found_in(author)
    if not ignorable:
        return False
    selectors, marks = _VARIATION_SELECTORS.found_in(author), _MARKS.found_in(author)
    right_to_left = _RIGHT_TO_LEFT_LETTERS.found_in(author)
    joined_letters, joined_symbols = _JOINED_LETTERS.found_in(author), _JOINED_SYMBOLS.found_in(author)
    before_marks = ""  # the last character that is not a mark
    previous = ""
    for char, following in pairwise([*author, ""]):
        if char in ignorable and char not in selectors:
            if char in _DIRECTION_MARKS:
                needed = before_marks in right_to_left or following in right_to_left
            elif char in {_ZWNJ, _ZWJ} and {previous, following} <= joined_letters:
                needed = True
            else:
                needed = char == _ZWJ and {previous, following} <= joined_symbols
            if not needed:
                return True
        previous = char
        if char not in marks:
            before_marks = char
    return False
