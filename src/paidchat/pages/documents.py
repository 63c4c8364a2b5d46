"""The board's documents, in each language: that of `/` and those of messages, kept as bytes until the board changes."""

from collections import OrderedDict
from functools import partial
from typing import Final

from sqlalchemy.engine import Connection

from paidchat.api.pinned import pins_etag, pins_hold_until
from paidchat.api.ready import Answer, KeptPage, Reading
from paidchat.domain import Gone, NotFound
from paidchat.feed.feed import Feed
from paidchat.pages.board_page import BoardPage
from paidchat.pages.document import Document
from paidchat.pages.languages import LANGUAGES, Language
from paidchat.pages.opening import read_opening
from paidchat.pages.site import Site
from paidchat.storage.database import Database

MOST_KEPT: Final = 50  # documents of messages; each has about 60 KiB in all codings


class BoardDocuments:
    """The documents, made when they are asked for. One that many ask for at once is made once."""

    def __init__(self, site: Site, database: Database, feed: Feed) -> None:
        self._site = site
        self._database = database
        self._feed = feed
        self._begin()

    def _begin(self) -> None:
        self._pages = {language: BoardPage(self._site, language) for language in LANGUAGES}
        self._fronts = {language: self._kept_page(language, None) for language in LANGUAGES}
        self._kept: OrderedDict[tuple[Language, int], KeptPage] = OrderedDict()  # the one asked for last at the end

    def _kept_page(self, language: Language, target_id: int | None) -> KeptPage:
        return KeptPage(self._database, self._feed, partial(self._read, language, target_id))

    def ready(self, language: Language) -> Answer | None:
        """Return the document of `/` if it is known to be current."""
        return self._find(language, None).ready()

    async def read(self, language: Language, target_id: int | None = None) -> Document:
        """Return a document as it is now: of `/`, or of a message.

        Raises:
            NotFound, Gone: there is no such message, or it has been removed.
            DatabaseUnavailable: it cannot be read; see `without_messages`.
        """
        try:
            document = await self._find(language, target_id).read()
        except (NotFound, Gone):
            self._kept.pop((language, target_id or 0), None)
            raise
        assert isinstance(document, Document)  # noqa: S101 - `_read` made it
        return document

    def without_messages(self, language: Language, target_id: int | None = None, status: int = 200) -> Document:
        """Return the document for when the database is unavailable, which is not stored."""
        return Document(self._pages[language].without_messages(target_id), language, status=status)

    def _find(self, language: Language, target_id: int | None) -> KeptPage:
        if self._site.refresh():
            self._begin()
        if target_id is None:
            return self._fronts[language]
        key = language, target_id
        page = self._kept[key] = self._kept.pop(key, self._kept_page(*key))
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return page

    def _read(self, language: Language, target_id: int | None, connection: Connection) -> Reading:
        opening = read_opening(connection, target_id)
        snapshot = opening.snapshot
        page = self._pages[language]
        etag = f'{pins_etag(snapshot.epoch, snapshot.seq, opening.pins)[:-1]}-{page.version}"'
        document = Document(page.render(opening), language, etag)
        return Reading(document, snapshot.epoch, snapshot.seq, pins_hold_until(opening.pins))
