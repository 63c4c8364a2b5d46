"""The board's document: the template, the words in it, and what the page's script goes on from.

That is `<script type="application/json" id="opening">`, with

- `board`: as `GET /api/board` returns it;
- `snapshot`: a frame as the feed sends it first, or null if the database is unavailable. Its `now` is when the document
  was made, up to a minute ago, or earlier if the browser had kept it: the feed's first frame has the time;
- `target`: only at the address of a message: its id;
- `history`: only if that message is not in the snapshot: pages of messages around it, each `{"place": …, "page": …}`,
  the parameters and the answer of `GET /api/messages`.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from hashlib import sha256
from typing import Any, Final

from markupsafe import Markup
from pydantic_core import to_json

from paidchat import wire
from paidchat.excerpt import excerpt
from paidchat.pages import languages
from paidchat.pages.formats import duration
from paidchat.pages.languages import Language, words_in
from paidchat.pages.money import format_price
from paidchat.pages.opening import Opening
from paidchat.pages.site import Site

PAGE: Final = "main.js"
DESK: Final = "buying/desk.js"  # which the page loads when it is needed
TITLE_LENGTH: Final = 70  # code points of a message in the title; search engines show about as many
DESCRIPTION_LENGTH: Final = 200
# In JSON these only occur in strings; with them escaped, no text ends the script (HTML Standard, section 4.12.1.3).
_UNSAFE: Final = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})


class BoardPage:
    """Renders the board's document in a language."""

    def __init__(self, site: Site, language: Language) -> None:
        self._site = site
        self._language = language
        self._table = json_for_html(words_in(language))
        self._words = _words_of(site.board, language)
        self._amounts = _amounts_of(site.board, language)

    @cached_property
    def version(self) -> str:
        """What names all that it is made of but the messages: settings, template, assets and language."""
        return f"{sha256(self.without_messages().encode()).hexdigest()[:16]}-{self._language}"

    def render(self, opening: Opening) -> str:
        """Return the document."""
        snapshot, target = opening.snapshot, opening.target
        data: dict[str, Any] = {"board": self._site.board, "snapshot": snapshot}
        words = self._words
        if target is not None:
            data["target"] = target.id
            words = words | self._words_about(target)
        if target is not None and opening.around is not None:
            data["history"] = [
                {"place": {"before": target.id + 1}, "page": opening.around.until},
                {"place": {"after": target.id}, "page": opening.around.after},
            ]
        placeholder = "none" if snapshot.messages else "empty"
        return self._render(data, words, opening.rows(), snapshot.pinned, target, placeholder)

    def without_messages(self, target_id: int | None = None) -> str:
        """Return the document for when the database is unavailable: the script then goes on trying."""
        data: dict[str, Any] = {"board": self._site.board, "snapshot": None}
        if target_id is not None:
            data["target"] = target_id
        return self._render(data, self._words, [], [], None, "loading")

    def _render(
        self,
        data: dict[str, Any],
        words: dict[str, str],
        rows: Sequence[wire.Message | None],
        pinned: Sequence[wire.Message],
        target: wire.Message | None,
        placeholder: str,
    ) -> str:
        assets = self._site.assets
        modules = assets.modules(PAGE)
        return self._site.render(
            "board.html",
            self._language,
            **words,
            rows=rows,
            pinned=pinned,
            target=target,
            amounts=self._amounts,
            placeholder=placeholder,
            modules=modules,
            desk_modules=[module for module in assets.modules(DESK) if module not in modules],
            opening=json_for_html(data),
            table=self._table,
        )

    def _words_about(self, message: wire.Message) -> dict[str, str]:
        say = partial(languages.say, language=self._language)
        author = message.author or say("Anonymous")
        return {
            "page_title": f"{excerpt(message.text, TITLE_LENGTH)} · {self._site.board.title}",
            "heading": say("{author} on {board}", author=author, board=self._site.board.title),
            "description": excerpt(message.text, DESCRIPTION_LENGTH),
        }


def _words_of(board: wire.BoardInfo, language: Language) -> dict[str, str]:
    price = format_price(board.price.amount, board.price.currency, language)
    say = partial(languages.say, language=language, price=price)
    one_price, is_taxed = len(board.price.tiers) == 1, board.tax_behavior == "exclusive"
    return {
        "page_title": board.title,
        "heading": board.title,
        "description": say("A live board: pay {price}, post a message."),
        "tagline": say("Each message costs {price}") if one_price else say("Messages from {price}"),
        "invitation": say("Nothing here yet. Be the first: {price} puts your words on the board."),
        "pay_label": say("Pay {price} and send + tax") if is_taxed else say("Pay {price} and send"),
    }


def _amounts_of(board: wire.BoardInfo, language: Language) -> list[dict[str, str]]:
    """Return what there is to choose from, the lowest first: the amount, the price in words, and what it buys."""
    say = partial(languages.say, language=language)
    return [
        {
            "value": str(tier.amount),
            "price": format_price(tier.amount, board.price.currency, language),
            "buys": say("{time} on top", time=duration(tier.pinned_seconds, language))
            if tier.pinned_seconds
            else say("on the board"),
        }
        for tier in board.price.tiers
    ]


def json_for_html(value: Any) -> Markup:
    """Return a value as JSON that can stand in a script element."""
    return Markup(to_json(value).decode().translate(_UNSAFE))  # noqa: S704 - escaped just now
