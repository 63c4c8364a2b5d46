"""The board as a document: the settings, and the newest messages with what is pinned, in one template.

At its end stands what the script needs to go on from there, `<script type="application/json" id="opening">`:
`{"board": …, "snapshot": …}`, as `GET /api/board` has it and as the first frame of the feed is, or null if the database
is unavailable.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic_core import to_json

from paidchat import wire
from paidchat.pages.money import format_price

LANGUAGE: Final = "en"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# In JSON these only occur in strings; with them escaped, no text ends the script (HTML Standard, section 4.12.1.3).
_UNSAFE: Final = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})


def utc(time: datetime) -> str:
    """Return a time of day in words, such as `09:05 UTC`: every reader gets the same document."""
    return f"{time:%H:%M} UTC"


def day(time: datetime) -> str:
    """Return the day of a time, such as `Nov 3, 2026`, as it is in UTC."""
    return f"{_MONTHS[time.month - 1]} {time.day}, {time.year}"


def iso(time: datetime) -> str:
    """Return a time as it is written in JSON."""
    return to_json(time).decode().strip('"')


def spaceless(html: str) -> Markup:
    """Return HTML without white space between tags: in 300 rows, that would be 2,700 nodes of the document."""
    return Markup(re.sub(r">\s+<", "><", html))  # noqa: S704 - what is in it was escaped before


def script_data(json: bytes) -> Markup:
    """Return JSON as it may stand inside `<script>`."""
    return Markup(json.decode().translate(_UNSAFE))  # noqa: S704 - escaped just now


def weight(message: wire.Message, price: wire.Price) -> int:
    """Return the place of the highest tier that is not above the amount, counted from 0; the style grows with it.

    Amounts in another currency than the board's can't be compared, so they weigh nothing.
    """
    if message.currency != price.currency:
        return 0
    return max(0, sum(tier.amount <= message.amount for tier in price.tiers) - 1)


def _environment(price: wire.Price) -> Environment:
    templates = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(
        loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "utc": utc,
        "day": day,
        "spaceless": spaceless,
        "iso": iso,
        "price": _price,
        "author": _author,
    }
    environment.filters["weight"] = partial(weight, price=price)
    environment.globals["one_price"] = len(price.tiers) == 1  # then no message shows what it cost
    return environment


def _price(message: wire.Message) -> str:
    return format_price(message.amount, message.currency)


def _author(message: wire.Message) -> str:
    return "Anonymous" if message.author is None else message.author


@dataclass(frozen=True, slots=True)
class Opening:
    """What a document opens with, by whom it is read: people see the messages, the script goes on from the snapshot."""

    snapshot: wire.Snapshot | None  # None if the database is unavailable

    @property
    def messages(self) -> Sequence[wire.Message]:
        """The messages to show, oldest first."""
        return self.snapshot.messages if self.snapshot else []


class BoardPage:
    """The template of the board, filled with its settings."""

    def __init__(self, board: wire.BoardInfo) -> None:
        price = format_price(board.price.amount, board.price.currency)
        label = f"Pay {price} and send"
        self._board = board
        self._template = _environment(board.price).get_template("board.html")
        self._words = {
            "description": f"A live board: pay {price}, post a message.",
            "tagline": f"Each message costs {price}",
            "invitation": f"Nothing here yet. Be the first: {price} puts your words on the board.",
            "pay_label": f"{label} + tax" if board.tax_behavior == "exclusive" else label,
        }
        # Names all that the document is made of but the messages: settings, templates, language.
        self.version = f"{sha256(self.render(Opening(None)).encode()).hexdigest()[:16]}-{LANGUAGE}"

    def render(self, opening: Opening) -> str:
        """Return the document."""
        snapshot = opening.snapshot
        data = b'{"board":%s,"snapshot":%s}' % (self._board.encode(), snapshot.encode() if snapshot else b"null")
        return self._template.render(
            self._words,
            language=LANGUAGE,
            board=self._board,
            snapshot=snapshot,
            messages=opening.messages,
            pinned=snapshot.pinned if snapshot else [],
            placeholder="loading" if snapshot is None else "none" if snapshot.messages else "empty",
            opening=script_data(data),
        )
