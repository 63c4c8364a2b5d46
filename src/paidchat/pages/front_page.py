"""GET /: the board, with the newest messages in it, for readers, crawlers and the script that follows it live."""

from dataclasses import dataclass

import structlog
from fastapi import APIRouter, Request, Response
from sqlalchemy.engine import Connection

from paidchat import wire
from paidchat.api.pinned import pins_etag, pins_hold_until
from paidchat.api.ready import PAGE_MESSAGES, KeptPage, Reading
from paidchat.board import PINNED_MESSAGES, read_pins
from paidchat.feed.feed import Feed
from paidchat.pages.board_page import BoardPage, Opening
from paidchat.pages.document import Document
from paidchat.storage import queries
from paidchat.storage.database import Database, DatabaseUnavailable

log = structlog.get_logger(__name__)

FRONT_PATH = "/"
RETURN_PARAMETERS = frozenset({"payment", "cancelled"})  # with which checkout sends a payer back

router = APIRouter(include_in_schema=False)


class FrontPage:
    """The board as a document, kept until it changes or a pin ends."""

    def __init__(self, page: BoardPage, database: Database, feed: Feed) -> None:
        self._page = page
        self.kept = KeptPage(database, feed, self._read)

    def _read(self, connection: Connection) -> Reading:
        board, pins = queries.read_board(connection), read_pins(connection, PINNED_MESSAGES + 1)
        rows, has_more = queries.messages_before(connection, None, PAGE_MESSAGES)
        snapshot = wire.Snapshot(
            epoch=board.epoch,
            seq=board.seq,
            messages=[wire.Message.of(row) for row in rows],
            has_more=has_more,
            pinned=[wire.Message.of(row) for row in pins.messages[:PINNED_MESSAGES]],
            now=pins.clock.read_at,
        )
        etag = f'{pins_etag(board.epoch, board.seq, pins)[:-1]}-{self._page.version}"'
        document = Document(self._page.render(Opening(snapshot)), etag)
        return Reading(document, board.epoch, board.seq, pins_hold_until(pins))

    async def document(self) -> Document:
        """Return the document; without messages if the database is unavailable: the script then goes on trying."""
        try:
            found = await self.kept.read()
        except DatabaseUnavailable as error:
            log.error("page.without_messages", error=str(error))
            return Document(self._page.render(Opening(None)))
        assert isinstance(found, Document)  # noqa: S101 - `_read` made it
        return found


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of a running app, built by its lifespan."""

    front: FrontPage


def pages_of(request: Request) -> Pages:
    """Return the pages of the app that serves this request."""
    pages = request.scope["state"]["pages"]
    assert isinstance(pages, Pages)  # noqa: S101 - the lifespan put it there
    return pages


@router.get(FRONT_PATH)
async def front_page(request: Request) -> Response:
    """Return the board. For a payer back from checkout it is not stored, since the address names the payment."""
    document = await pages_of(request).front.document()
    if RETURN_PARAMETERS.intersection(request.query_params):
        document = document.not_stored()
    return document.answer(request.headers)
