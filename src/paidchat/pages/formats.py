"""Formats: times, prices, names and weights as documents show them. Times are the same for every reader, so in UTC.

What takes a context is written in its language.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from pydantic_core import to_json

from paidchat import wire
from paidchat.pages.languages import Language, say
from paidchat.pages.money import format_price

# As `Intl.DateTimeFormat` abbreviates them.
_MONTHS: Final[Mapping[Language, str]] = {
    "en": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "de": "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
}

# As `Intl.NumberFormat` abbreviates them: by length in seconds, one of it and several.
_UNITS: Final[Mapping[Language, Mapping[int, tuple[str, str]]]] = {
    "en": {86_400: ("day", "days"), 3_600: ("hr", "hr"), 60: ("min", "min"), 1: ("sec", "sec")},
    "de": {86_400: ("Tg.", "Tg."), 3_600: ("Std.", "Std."), 60: ("Min.", "Min."), 1: ("Sek.", "Sek.")},
}

# What is no character in XML 1.0 (section 2.2), and controls, which it discourages. The rules for texts refuse these,
# but the title comes from the settings, and a row may be older than the rules.
_NOT_XML: Final = re.compile("[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def utc(time: datetime) -> str:
    """Return a time of day in words, such as `09:05 UTC`."""
    return f"{time:%H:%M} UTC"


@pass_context
def day(context: Context, time: datetime) -> str:
    """Return the day of a time in words, such as `Nov 3, 2026` or `3. Nov. 2026`."""
    language: Language = context["language"]
    month = _MONTHS[language].split()[time.month - 1]
    return f"{time.day}. {month} {time.year}" if language == "de" else f"{month} {time.day}, {time.year}"


def duration(seconds: int, language: Language) -> str:
    """Return a duration in at most two units, such as `5 min`, `1 hr 30 min` or `1 Std. 30 Min.`."""
    parts: list[str] = []
    rest = seconds
    for length, (one, several) in _UNITS[language].items():
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {one if count == 1 else several}")
    return " ".join(parts[:2])


def iso(time: datetime) -> str:
    """Return a time as it is written in JSON."""
    return to_json(time).decode().strip('"')


@pass_context
def price_of(context: Context, message: wire.Message) -> str:
    """Return what was paid for a message."""
    return format_price(message.amount, message.currency, context["language"])


@pass_context
def author_of(context: Context, message: wire.Message) -> str:
    """Return the name that a message bears."""
    return say("Anonymous", context["language"]) if message.author is None else message.author


def weight_of(message: wire.Message, price: wire.Price) -> int:
    """Return the place of the highest tier that is not above the amount, counted from 0; the style grows with it.

    Amounts in another currency than the board's can't be compared, so they weigh nothing.
    """
    if message.currency != price.currency:
        return 0
    return max(0, sum(tier.amount <= message.amount for tier in price.tiers) - 1)


def spaceless(html: str) -> Markup:
    """Return HTML without white space between tags, which would be nine nodes of the document in each message."""
    return Markup(re.sub(r">\s+<", "><", html))  # noqa: S704 - what is in it was escaped before


def xml_text(text: str) -> str:
    """Return a text with U+FFFD in place of what XML can't have."""
    return _NOT_XML.sub("\ufffd", text)
