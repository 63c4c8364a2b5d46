"""The pictures of messages and of the board, for link previews: 1200 by 630 pixels, as Open Graph wants them (ogp.me).

Pillow is imported when the first one is drawn: it takes more memory than a board that nobody shares should need.
"""

import re
import unicodedata
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from paidchat.pages.glyphs import characters_of
from paidchat.pages.layout import LEADING, Line, fit, is_right_to_left, shortened

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

VERSION: Final = 1  # of how they look: after a change nobody keeps an old one
WIDTH, HEIGHT = 1200, 630
ANONYMOUS: Final = "Anonymous"
_FONTS: Final = Path(__file__).parent / "fonts"
_REGULAR, _BOLD = "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"
_MARGIN: Final = 80
_BASELINES: Final = (104, 556)  # of the title, and of the author and the price
_TEXT: Final = (150, 470)  # top and bottom
_COLORS: Final = 64  # of the palette: with anti-aliasing, a picture has a few hundred
_VARIATION_SELECTORS: Final = re.compile("[\ufe00-\ufe0f]")
_OTHER_SPACE: Final = re.compile(r"[^\S\n\u2028\u2029]")  # than line breaks
Color = tuple[int, int, int]
_PAPER, _INK, _FADED, _RULE = (245, 242, 234), (30, 28, 23), (99, 93, 79), (200, 192, 174)
_MONEY, _GOLD = (11, 107, 79), (255, 222, 120)  # of style.css, the marker somewhat stronger


class Card(Struct, frozen=True):
    """What the picture of a message shows.

    Attributes:
        title: the board's.
        price: what was paid, in words.
        weight: from 0, for the lowest tier or if there is only one, to 1 for the highest.
    """

    title: str
    text: str
    author: str | None
    price: str
    weight: float


class Sign(Struct, frozen=True):
    """What the picture of the board shows."""

    title: str
    invitation: str


class Artist:
    """Draws pictures. Its fonts are not safe to use from two threads."""

    def __init__(self) -> None:
        from PIL import features  # noqa: PLC0415

        regular, bold = (characters_of((_FONTS / name).read_bytes()) for name in (_REGULAR, _BOLD))
        self._characters = regular & bold
        # Shapes letters and orders them from right to left. Without fribidi on the machine, Pillow's wheels do without.
        self._has_raqm = bool(features.check("raqm"))
        self._font = lru_cache(maxsize=32)(self._load)

    def shows(self, card: Card) -> bool:
        """Tell whether the fonts can show a card: they have every letter, and can order those from right to left."""
        return all(self.can_write(text) for text in (card.text, card.author or "", card.price))

    def can_write(self, text: str) -> bool:
        """Tell whether the fonts can show a text."""
        written = "".join(_visible(text).split())
        if any(ord(char) not in self._characters for char in written):
            return False
        return self._has_raqm or not any(unicodedata.bidirectional(char) in {"R", "AL", "AN"} for char in written)

    def draw(self, subject: Card | Sign) -> bytes:
        """Return a picture as PNG. What of the board's title can't be shown is left out."""
        from PIL import Image, ImageDraw  # noqa: PLC0415

        weight = subject.weight if isinstance(subject, Card) else 0
        image = Image.new("RGB", (WIDTH, HEIGHT), _mixed(_PAPER, _GOLD, weight))
        sheet = _Sheet(ImageDraw.Draw(image), self._font, writes_both_ways=self._has_raqm)
        title = subject.title if self.can_write(subject.title) else ""
        if isinstance(subject, Card):
            sheet.draw_message(subject, title)
        else:
            sheet.draw_sign(subject, title)
        body = BytesIO()
        # With a palette it takes half the bytes, and with this method less time than without: 18 ms instead of 29.
        palette = Image.Quantize.FASTOCTREE
        image.quantize(_COLORS, method=palette, dither=Image.Dither.NONE).save(body, "PNG")
        return body.getvalue()

    def _load(self, name: str, size: int) -> "FreeTypeFont":
        from PIL import ImageFont  # noqa: PLC0415

        engine = ImageFont.Layout.RAQM if self._has_raqm else ImageFont.Layout.BASIC
        return ImageFont.truetype(_FONTS / name, size, layout_engine=engine)


class _Sheet:
    """A picture that is being drawn."""

    def __init__(
        self, draw: "ImageDraw", font: "Callable[[str, int], FreeTypeFont]", *, writes_both_ways: bool
    ) -> None:
        self._draw = draw
        self._font = font
        self._writes_both_ways = writes_both_ways

    def draw_message(self, card: Card, title: str) -> None:
        """Draw the title, the text as large as it fits, and a line of the ledger: who paid how much."""
        self._draw.rectangle((0, 0, 16 + round(32 * card.weight), HEIGHT), fill=_MONEY)
        self._write_title(title)
        top, bottom = _TEXT
        size, lines = fit(_visible(card.text), WIDTH - 2 * _MARGIN, bottom - top, partial(self._length, _REGULAR))
        height = size * LEADING
        baseline = top + (bottom - top - height * len(lines)) / 2 + size
        for number, line in enumerate(lines):
            self._write(line, baseline + number * height, _REGULAR, size, _INK)
        self._write_ledger(card, is_mirrored=is_right_to_left(card.text))

    def draw_sign(self, sign: Sign, title: str) -> None:
        """Draw the board's title, large, and what the board is."""
        self._draw.rectangle((0, 0, WIDTH, 24), fill=_MONEY)
        size, lines = fit(_visible(title), WIDTH - 2 * _MARGIN, 260, partial(self._length, _BOLD)) if title else (0, [])
        height = size * LEADING
        for number, line in enumerate(lines):
            self._write(line, 330 - height * (len(lines) - 1 - number), _BOLD, size, _INK)
        self._draw.line((_MARGIN, 390, WIDTH - _MARGIN, 390), fill=_RULE, width=3)
        self._write(Line(sign.invitation, is_right_to_left=False), 470, _REGULAR, 44, _MONEY)

    def _write_title(self, title: str) -> None:
        line = shortened(_visible(title), WIDTH - 2 * _MARGIN, lambda text: self._length(_BOLD, text, 36))
        self._write(Line(line, is_right_to_left(line)), _BASELINES[0], _BOLD, 36, _FADED)

    def _write_ledger(self, card: Card, *, is_mirrored: bool) -> None:
        """Write the author, a dotted leader and the price; from right to left if the text is."""
        size, baseline = 52 + round(28 * card.weight), _BASELINES[1]
        price_width = self._length(_BOLD, card.price, size)
        name = shortened(
            _visible(card.author or ANONYMOUS),
            WIDTH - 2 * _MARGIN - price_width - 120,
            lambda text: self._length(_BOLD, text, 40),
        )
        name_width = self._length(_BOLD, name, 40)
        author, price = Line(name, is_right_to_left(name)), Line(card.price, is_right_to_left=False)
        self._put(author, baseline, _BOLD, 40, _INK if card.author else _FADED, at_right=is_mirrored)
        self._put(price, baseline, _BOLD, size, _MONEY, at_right=not is_mirrored)
        left, right = (price_width, name_width) if is_mirrored else (name_width, price_width)
        for x in range(_MARGIN + round(left) + 20, WIDTH - _MARGIN - round(right) - 20, 14):
            self._draw.ellipse((x, baseline - 5, x + 4, baseline - 1), fill=_FADED)

    def _write(self, line: Line, baseline: float, font: str, size: int, color: Color) -> None:
        self._put(line, baseline, font, size, color, at_right=line.is_right_to_left)

    def _put(self, line: Line, baseline: float, font: str, size: int, color: Color, *, at_right: bool) -> None:
        where = (WIDTH - _MARGIN if at_right else _MARGIN, baseline)
        anchor = "rs" if at_right else "ls"
        direction = ("rtl" if line.is_right_to_left else "ltr") if self._writes_both_ways else None
        self._draw.text(where, line.text, fill=color, font=self._font(font, size), anchor=anchor, direction=direction)

    def _length(self, font: str, text: str, size: int) -> float:
        return float(self._font(font, size).getlength(text))


def _mixed(one: Color, other: Color, weight: float) -> Color:
    red, green, blue = (round(a + (b - a) * weight) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _visible(text: str) -> str:
    """Return a text without variation selectors, as the fonts have one form of a character, and with plain spaces."""
    return _OTHER_SPACE.sub(" ", _VARIATION_SELECTORS.sub("", text))
