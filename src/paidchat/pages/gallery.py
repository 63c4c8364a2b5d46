"""The gallery: pictures, drawn one at a time in a thread of their own, and the latest of them kept."""

import asyncio
import time
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from typing import Final

import msgspec

from paidchat.pages.money import format_price
from paidchat.pages.picture import VERSION, Artist, Card, Sign
from paidchat.records import MessageRecord
from paidchat.settings import Settings

MOST_WAITING: Final = 16  # pictures to draw; the last of them waits for a second or two
MOST_KEPT: Final = 64  # pictures of 10 to 40 KB

Subject = Card | Sign


class Busy(Exception):
    """As many pictures as may wait are waiting to be drawn."""


class Gallery:
    """The pictures of one board. After each one the thread rests as long as it drew, so they take half a core at most.

    Attributes:
        sign: the subject of the board's own picture, which is shown in place of one that can't be drawn.
    """

    def __init__(self, settings: Settings) -> None:
        price = format_price(settings.price_amount, settings.price_currency)
        self.sign = Sign(settings.title, f"A live board: pay {price}, post a message.")
        self._title = settings.title
        self._currency = settings.price_currency
        self._amounts = [tier.amount for tier in settings.price_tiers]
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="paidchat-pictures")
        self._artist: asyncio.Future[Artist] | None = None
        self._drawing: dict[Subject, asyncio.Future[bytes]] = {}
        self._kept: dict[Subject, bytes] = {}  # the one that was used last is last
        self._rested_at = 0.0

    def close(self) -> None:
        """Draw no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def subject(self, message: MessageRecord) -> Subject:
        """Return what to draw for a message: the board's own picture if the fonts can't show it."""
        card = Card(
            title=self._title,
            text=message.text,
            author=message.author,
            price=format_price(message.amount, message.currency),
            weight=self._weight(message),
        )
        return card if (await self._artist_ready()).shows(card) else self.sign

    def _weight(self, message: MessageRecord) -> float:
        """Return the weight of a message: that of the highest tier not above its amount."""
        highest = len(self._amounts) - 1
        if highest == 0 or message.currency != self._currency:
            return 0
        return max(0, bisect_right(self._amounts, message.amount) - 1) / highest

    def kept(self, subject: Subject) -> bytes | None:
        """Return a picture that was drawn before and is still there."""
        if body := self._kept.pop(subject, None):
            self._kept[subject] = body
        return body

    async def draw(self, subject: Subject) -> bytes:
        """Return a picture as PNG. Many who ask for the same one at once share it.

        Raises:
            Busy: too many others are waiting. That never happens to the board's own.
        """
        await self._artist_ready()
        if subject is not self.sign and self.kept(self.sign) is None:
            self._begin(self.sign)  # so that it is there when it is needed
        if body := self.kept(subject):
            return body
        if subject is not self.sign and subject not in self._drawing and len(self._drawing) > MOST_WAITING:
            raise Busy
        return await asyncio.shield(self._begin(subject))

    def _begin(self, subject: Subject) -> asyncio.Future[bytes]:
        drawing = self._drawing.get(subject)
        if drawing is None:
            drawing = asyncio.get_running_loop().run_in_executor(self._thread, self._draw, subject)
            self._drawing[subject] = drawing
            drawing.add_done_callback(partial(self._keep, subject))
        return drawing

    def _keep(self, subject: Subject, drawing: asyncio.Future[bytes]) -> None:
        del self._drawing[subject]
        if drawing.cancelled() or drawing.exception():
            return
        self._kept[subject] = drawing.result()
        while len(self._kept) > MOST_KEPT:
            oldest = next(each for each in self._kept if each is not self.sign)
            del self._kept[oldest]

    def _draw(self, subject: Subject) -> bytes:
        """Draw a picture, in the thread."""
        time.sleep(max(0, self._rested_at - time.monotonic()))
        began = time.monotonic()
        assert self._artist is not None  # noqa: S101 - `draw` waited for it
        body = self._artist.result().draw(subject)
        ended = time.monotonic()
        self._rested_at = ended + (ended - began)
        return body

    async def _artist_ready(self) -> Artist:
        """Return the artist, with its fonts, prepared in the thread."""
        if self._artist is None or (self._artist.done() and self._artist.exception()):
            self._artist = asyncio.get_running_loop().run_in_executor(self._thread, Artist)
        return await asyncio.shield(self._artist)


def etag_of(subject: Subject) -> str:
    """Return a picture's ETag, without drawing it. It is weak: another version of Pillow may compress otherwise."""
    kind = type(subject).__name__.lower()
    return f'W/"{kind}-{sha256(msgspec.json.encode(subject)).hexdigest()[:32]}-{VERSION}"'
