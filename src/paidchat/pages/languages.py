"""Languages: which one a reader wants, and sentences in it. Pages are written in English, which tables translate."""

import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Literal, get_args

from paidchat.api.negotiation import qualities

Language = Literal["en", "de"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)  # the first for whoever wants none of them
_TABLES: Final = Path(__file__).parent / "words"
_LONGEST: Final = 200  # characters of Accept-Language that are remembered; the longest of a browser has about 60


def preferred_language(lines: Sequence[str]) -> Language:
    """Return the language to send to whoever sent these lines of Accept-Language (RFC 9110, section 12.5.4).

    A range asks for its language whatever follows: `de-AT` for `de` (RFC 4647, section 3.4). Of two that are wanted as
    much, the one named first is sent, as browsers list them.
    """
    field = ",".join(lines)
    return _preferred(field) if len(field) <= _LONGEST else _choose(field)


def _choose(field: str) -> Language:
    wanted: dict[str, tuple[float, int]] = {}
    for place, (asked, quality) in enumerate(qualities(field).items()):
        language = asked.partition("-")[0]
        wanted[language] = max(wanted.get(language, (0, 0)), (quality, -place))
    others = wanted.get("*", (0, 0))
    return max(LANGUAGES, key=lambda language: wanted.get(language, others))


_preferred = lru_cache(maxsize=256)(_choose)  # 10 µs; a board hears few different fields


@cache
def words_in(language: Language) -> Mapping[str, str]:
    """Return the table of a language: what English sentences are in it. That of English is empty."""
    table = _TABLES / f"{language}.json"
    words: dict[str, str] = json.loads(table.read_bytes()) if language != "en" else {}
    return words


def say(english: str, language: Language, **values: object) -> str:
    """Return a sentence in a language, with these values in place of its braces.

    One that has no translation stays English; a test finds it, if it is a literal.
    """
    return words_in(language).get(english, english).format(**values)
