"""The rules of text: what may be posted, and under what name. The page's `text.js` says the same."""

import unicodedata

from paidchat.domain import InvalidText

MAX_TEXT_LENGTH = 500  # code points, after NFC
MAX_TEXT_LINES = 20
MAX_AUTHOR_LENGTH = 50  # code points, after NFC
MAX_COMBINING_MARKS = 4  # on one base character

# Unicode's White_Space without the controls, which are refused and not trimmed. str.strip() knows others.
_SPACE = (
    "\n \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_LINE_BREAKS = frozenset("\n\u2028\u2029")
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")  # letters and a symbol that show nothing
_INVISIBLE = ("Z", "M", "Cc", "Cf", "Cs")


def clean_text(raw: str) -> str:
    """Return a message's text as it is stored and shown.

    CRLF becomes LF, white space around it goes, NFC; anything else that is wrong is refused, never mended.

    Raises:
        InvalidText: the field is `text`.
    """
    text = _clean("text", raw)
    if not text:
        raise InvalidText("text", "Write something first.")
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidText("text", f"At most {MAX_TEXT_LENGTH} characters; this has {len(text)}.")
    if sum(char in _LINE_BREAKS for char in text) >= MAX_TEXT_LINES:
        raise InvalidText("text", f"At most {MAX_TEXT_LINES} lines.")
    return text


def clean_author(raw: str | None) -> str | None:
    """Return an author's name as it is stored and shown; a blank one is None.

    Raises:
        InvalidText: the field is `author`.
    """
    author = _clean("author", raw or "")
    if not author:
        return None
    if len(author) > MAX_AUTHOR_LENGTH:
        raise InvalidText("author", f"At most {MAX_AUTHOR_LENGTH} characters; this has {len(author)}.")
    if not _LINE_BREAKS.isdisjoint(author):
        raise InvalidText("author", "A name is one line.")
    return author


def _clean(field: str, raw: str) -> str:
    text = raw.replace("\r\n", "\n")
    for char in text:
        category = unicodedata.category(char)
        if category == "Cs":
            raise InvalidText(field, "This is not valid Unicode text.")
        if category == "Cc" and char != "\n":
            raise InvalidText(field, "Tabs and other control characters are not allowed.")
        if char in _BIDI_CONTROLS:
            raise InvalidText(field, "Characters that turn the direction of text around are not allowed.")
    text = unicodedata.normalize("NFC", text.strip(_SPACE))
    if text and not any(_is_visible(char) for char in text):
        raise InvalidText(field, "There is nothing to see in this.")
    if _most_combining_marks(text) > MAX_COMBINING_MARKS:
        raise InvalidText(field, f"At most {MAX_COMBINING_MARKS} accents on a letter.")
    return text


def _is_visible(char: str) -> bool:
    # A character that this Python does not know yet is somebody's new emoji, unless it is never to be one.
    return char not in _BLANKS and not unicodedata.category(char).startswith(_INVISIBLE) and not _is_reserved(ord(char))


def _is_reserved(code_point: int) -> bool:
    """Tell whether it is a noncharacter, or kept for characters that show nothing (Default_Ignorable_Code_Point)."""
    return (
        code_point & 0xFFFE == 0xFFFE  # noqa: PLR2004 - the last two of each plane
        or 0xFDD0 <= code_point <= 0xFDEF  # noqa: PLR2004
        or 0xFFF0 <= code_point <= 0xFFF8  # noqa: PLR2004
        or 0xE0000 <= code_point <= 0xE0FFF  # noqa: PLR2004
        or code_point == 0x2065  # noqa: PLR2004
    )


def _most_combining_marks(text: str) -> int:
    most = run = 0
    for char in text:
        category = unicodedata.category(char)
        if category[0] == "M":
            run += 1
            most = max(most, run)
        elif category != "Cf":  # an invisible joiner is no new base
            run = 0
    return most
