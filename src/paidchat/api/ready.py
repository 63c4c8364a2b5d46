"""Ready answers: pages and the board's settings, kept as bytes. Every visit asks for them."""

import asyncio
import gzip
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy.engine import Connection
from starlette.datastructures import Headers
from starlette.responses import Response

from paidchat import wire
from paidchat.api.negotiation import is_not_modified, prefers_gzip
from paidchat.feed.feed import Feed
from paidchat.settings import Settings
from paidchat.storage import queries
from paidchat.storage.database import Database, DatabaseUnavailable
from paidchat.text import MAX_AUTHOR_LENGTH, MAX_TEXT_LENGTH

PAGE_PATH, BOARD_PATH = "/api/messages", "/api/board"
PAGE_MESSAGES = 50  # on a page, unless a client asks for more or fewer
_VARIES = (b"vary", b"Accept-Encoding")
_GZIPPED = (b"content-encoding", b"gzip")


Fields = list[tuple[bytes, bytes]]


class Answer(ABC):
    """An answer that is kept."""

    __slots__ = ()

    @abstractmethod
    def choose(self, tags: Sequence[str], codings: Sequence[str]) -> tuple[int, Fields, bytes]:
        """Return status, headers and body for these lines of If-None-Match and Accept-Encoding: 200, or 304."""

    def answer(self, headers: Headers) -> Response:
        """Return the response to a request with these headers."""
        status, fields, body = self.choose(headers.getlist("if-none-match"), headers.getlist("accept-encoding"))
        response = Response(body, status)
        response.raw_headers = fields
        return response


class Ready(Answer):
    """An answer as bytes, JSON by default, and the ETag by which a client may already have it, if there is one.

    Pages are also kept compressed, from the first time that a client prefers that: with 50 messages, 1 KB instead of 10
    after 170 µs.
    """

    __slots__ = ("_body", "_compressed", "_etag", "_is_page", "_media_type", "_plain")

    def __init__(
        self, body: bytes, etag: str | None = None, *, is_page: bool = False, media_type: str = "application/json"
    ) -> None:
        self._body = body
        self._etag = etag
        self._is_page = is_page
        self._media_type = media_type
        self._plain = _Coded(body, etag, media_type, varies=is_page)
        self._compressed: _Coded | None = None

    def choose(self, tags: Sequence[str], codings: Sequence[str]) -> tuple[int, Fields, bytes]:
        """Return the answer in the coding that these lines prefer."""
        coded = self._gzipped() if self._is_page and prefers_gzip(codings) else self._plain
        if tags and self._etag is not None and is_not_modified(tags, *etags_of(self._etag)):
            return 304, coded.unchanged, b""
        return 200, coded.whole, coded.body

    def _gzipped(self) -> "_Coded":
        if self._compressed is None:
            body = gzip.compress(self._body, mtime=0)
            etag = self._etag and etags_of(self._etag)[1]
            self._compressed = _Coded(body, etag, self._media_type, varies=True, is_gzipped=True)
        return self._compressed


class _Coded:
    """An answer in one coding, with the headers of 200 and of 304."""

    __slots__ = ("body", "etag", "unchanged", "whole")

    def __init__(
        self, body: bytes, etag: str | None, media_type: str, *, varies: bool, is_gzipped: bool = False
    ) -> None:
        self.body = body
        self.etag = etag
        self.unchanged = [(b"etag", etag.encode()), (b"cache-control", b"no-cache")] if etag else []
        self.unchanged += [_VARIES] if varies else []
        length = (b"content-length", str(len(body)).encode())
        self.whole = [*self.unchanged, length, (b"content-type", media_type.encode())]
        self.whole += [_GZIPPED] if is_gzipped else []


def etags_of(etag: str) -> tuple[str, str]:
    """Return an answer's ETags, as it is and compressed: each coding has its own (RFC 9110, section 8.8.3.3).

    A client that has either one has the content, so both are answered with 304, whichever coding it asks for.
    """
    return etag, f'{etag[:-1]}-gzip"'


def page_etag(epoch: str, seq: int) -> str:
    """Return a page's ETag: it changes only when the log does, or the shape of an answer."""
    return f'"{epoch}-{seq}-{wire.VERSION}"'


def board_info(settings: Settings) -> wire.BoardInfo:
    """Return what a page needs to know about the board, which only a restart changes."""
    return wire.BoardInfo(
        title=settings.title,
        price=wire.Price(
            amount=settings.price.amount,
            currency=settings.price.currency,
            tiers=[wire.Tier(amount=tier.amount, pinned_seconds=tier.pinned_seconds) for tier in settings.price_tiers],
        ),
        tax_behavior=None if settings.automatic_tax == "off" else settings.automatic_tax,
        max_text_length=MAX_TEXT_LENGTH,
        max_author_length=MAX_AUTHOR_LENGTH,
        test_mode=not settings.livemode,
        terms_url=settings.terms_url,
        privacy_url=settings.privacy_url,
        contact=settings.contact,
        links=settings.links == "on",
    )


def ready_info(info: wire.BoardInfo) -> Ready:
    """Return that as a ready answer."""
    body = info.encode()
    return Ready(body, f'"{sha256(body).hexdigest()[:16]}-{wire.VERSION}"')


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer as it was read: where the log ended then, and until when it holds, by `time.monotonic`."""

    answer: Answer
    epoch: str
    seq: int
    until: float = math.inf


class KeptPage:
    """A page, read when it is asked for and kept until the board may have changed.

    It is not used after a transaction of this process has ended, nor once the feed has read further. So whoever got an
    answer from this process finds on the page what that answer said, however late the feed is.
    """

    def __init__(self, database: Database, feed: Feed, read: Callable[[Connection], Reading]) -> None:
        self._database = database
        self._feed = feed
        self._query = read
        self._reading: Reading | None = None
        self._transactions = 0  # of the database's, when the page was read
        self._one_reader = asyncio.Lock()
        self._reads = 0  # begun so far
        self._failure: DatabaseUnavailable | None = None  # of the last read

    def ready(self) -> Answer | None:
        """Return the page if it is known to be current."""
        found = self._reading
        if found is None or self._transactions != self._database.transactions:
            return None
        if found.epoch != self._feed.epoch or found.seq < self._feed.seq or time.monotonic() >= found.until:
            return None
        return found.answer

    async def read(self) -> Answer:
        """Return the page as it is now. Many who ask at once share a read that began after they had asked.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """
        asked = self._reads
        async with self._one_reader:
            if self._reads > asked and self._failure:
                raise DatabaseUnavailable(str(self._failure)) from self._failure
            if self._reads > asked and self._reading:
                return self._reading.answer
            return self.ready() or await self._read()

    async def _read(self) -> Answer:
        self._reads += 1
        transactions = self._database.transactions
        try:
            found = await self._database.read(self._query)
        except DatabaseUnavailable as error:
            self._failure = error
            raise
        self._failure = None
        self._reading, self._transactions = found, transactions
        return found.answer


def read_newest(connection: Connection) -> Reading:
    """Read the newest page."""
    board = queries.read_board(connection)
    rows, has_more = queries.messages_before(connection, None, PAGE_MESSAGES)
    messages = [wire.Message.of(row) for row in rows]
    page = wire.MessagePage(messages=messages, seq=board.seq, epoch=board.epoch, has_more=has_more)
    return Reading(Ready(page.encode(), page_etag(board.epoch, board.seq), is_page=True), board.epoch, board.seq)
