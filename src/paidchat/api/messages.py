"""GET /api/messages, /api/messages/{id} and /api/board: the board as pages, and what a page needs to know."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response

from paidchat import wire
from paidchat.api.deps import TheDatabase, TheSettings
from paidchat.api.negotiation import is_not_modified
from paidchat.api.problems import ApiError, responses
from paidchat.board import shown_message
from paidchat.storage import queries
from paidchat.text import MAX_AUTHOR_LENGTH, MAX_TEXT_LENGTH

router = APIRouter(tags=["board"])

LARGEST_ID = 2**31 - 1  # of the column; a cursor beyond it means the same as this
MAX_INTEGER = 2**63 - 1

Cursor = Annotated[int | None, Query(ge=0, le=MAX_INTEGER)]


@router.get("/api/messages", response_model=wire.MessagePage, responses=responses(422, 503))
async def list_messages(
    request: Request,
    database: TheDatabase,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    before: Cursor = None,
    after: Cursor = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Read a page of the board, oldest first; without a cursor the newest. Cursors are exclusive."""
    del if_none_match  # for the document; FastAPI would give one line of several
    if before is not None and after is not None:
        raise ApiError(422, "invalid_request", "Give before or after, not both.")
    async with database.reading() as connection:
        board = await queries.read_board(connection)
        # A page changes only when the log moves, so where the log stands names it.
        headers = {"ETag": f'"{board.epoch}-{board.seq}"', "Cache-Control": "no-cache"}
        if is_not_modified(request.headers, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if after is not None:
            rows, has_more = await queries.messages_after(connection, min(after, LARGEST_ID), limit)
        else:
            rows, has_more = await queries.messages_before(connection, before and min(before, LARGEST_ID), limit)
    messages = [wire.Message.of(row) for row in rows]
    page = wire.MessagePage.model_construct(messages=messages, seq=board.seq, epoch=board.epoch, has_more=has_more)
    return Response(page.encode(), headers=headers, media_type="application/json")


@router.get("/api/messages/{message_id}", response_model=wire.Message, responses=responses(404, 410, 422, 503))
async def read_message(message_id: Annotated[int, Path(ge=0, le=MAX_INTEGER)], database: TheDatabase) -> Response:
    """Read one message; 410 says that it was on the board and why it is not any more."""
    row = await shown_message(database, min(message_id, LARGEST_ID))
    return Response(wire.Message.of(row).encode(), headers={"Cache-Control": "no-cache"}, media_type="application/json")


@router.get("/api/board", response_model=wire.BoardInfo, responses=responses())
async def read_board(settings: TheSettings) -> Response:
    """Read what a page needs to know: the price, the limits, and whether money is real here."""
    info = wire.BoardInfo(
        title=settings.title,
        price=wire.Price(amount=settings.price_amount, currency=settings.price_currency),
        tax_behavior=None if settings.automatic_tax == "off" else settings.automatic_tax,
        max_text_length=MAX_TEXT_LENGTH,
        max_author_length=MAX_AUTHOR_LENGTH,
        test_mode=not settings.livemode,
    )
    return Response(info.encode(), headers={"Cache-Control": "no-cache"}, media_type="application/json")
