"""Excerpts: the beginning of a text, cut between graphemes so that no emoji or accented letter is split.

A grapheme is what a reader takes for one character. The rules are those of Unicode's UAX 29, section 3.1.1, but for the
conjuncts of Indic scripts and characters that only precede others.
"""

import unicodedata
from collections.abc import Iterator
from typing import Final

ELLIPSIS: Final = "…"
_JOINER: Final = "\u200d"
_MARKS: Final = frozenset({"Mn", "Me", "Mc", "Cf"})  # Cf: joiners, direction marks, tags
_JOINED: Final = frozenset("\u0e33\u0eb3")  # vowels of Thai and Lao that follow their letter
_SKIN_TONES: Final = range(0x1F3FB, 0x1F3FF + 1)
_FLAG_LETTERS: Final = range(0x1F1E6, 0x1F1FF + 1)
_HANGUL: Final = (range(0x1100, 0x1200), range(0xA960, 0xA980), range(0xAC00, 0xD800))
_HANGUL_PARTS: Final = (range(0x1160, 0x1200), range(0xD7B0, 0xD800))  # vowels and final consonants


def graphemes(text: str) -> Iterator[str]:
    """Yield the graphemes of a text."""
    start, flag_letters = 0, 0
    for index, char in enumerate(text):
        is_flag_letter = ord(char) in _FLAG_LETTERS
        if index and not (_extends(text[index - 1], char) or (is_flag_letter and flag_letters % 2)):
            yield text[start:index]
            start = index
        flag_letters = flag_letters + 1 if is_flag_letter else 0
    if text:
        yield text[start:]


def excerpt(text: str, most: int) -> str:
    """Return a text in one line: whole if it has at most this many code points, else its beginning and an ellipsis."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    kept = ""
    for grapheme in graphemes(line):
        if len(kept) + len(grapheme) + len(ELLIPSIS) > most:
            break
        kept += grapheme
    return kept.rstrip() + ELLIPSIS


def _extends(before: str, char: str) -> bool:
    """Tell whether a character belongs to the grapheme of the one before it."""
    code = ord(char)
    if (before == _JOINER and code > 0xFFFF) or unicodedata.category(char) in _MARKS:  # noqa: PLR2004 - emoji
        return before != "\n"
    if char in _JOINED or code in _SKIN_TONES:
        return True
    return any(code in part for part in _HANGUL_PARTS) and any(ord(before) in part for part in _HANGUL)
