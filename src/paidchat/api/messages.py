"""GET /api/messages, /api/messages/{id}, /api/pinned and /api/board: the board, and what a page needs to know."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from sqlalchemy.engine import Connection
from starlette.datastructures import Headers

from paidchat import wire
from paidchat.api.contract import examples
from paidchat.api.contract.responses import problems, success
from paidchat.api.deps import TheDatabase, TheServices
from paidchat.api.negotiation import is_not_modified
from paidchat.api.pinned import PINNED_PATH
from paidchat.api.problems import ApiError
from paidchat.api.ready import BOARD_PATH, PAGE_MESSAGES, PAGE_PATH, Ready, etags_of, page_etag
from paidchat.board import shown_message
from paidchat.storage import queries

router = APIRouter(tags=["board"])

LARGEST_ID = 2**31 - 1  # the column's maximum; a larger cursor means the same
MAX_INTEGER = 2**63 - 1

Before = Annotated[
    int | None,
    Query(ge=0, le=MAX_INTEGER, description="Only messages with smaller ids; the newest of them.", examples=[1024]),
]
After = Annotated[
    int | None,
    Query(ge=0, le=MAX_INTEGER, description="Only messages with greater ids; the oldest of them.", examples=[1024]),
]
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
IfNoneMatch = Annotated[
    str | None,
    Header(alias="If-None-Match", description="ETags that you have.", examples=[f'"{examples.EPOCH}-1027"']),
]
MessageId = Annotated[int, Path(ge=0, le=MAX_INTEGER, description="The message's `id`.", examples=[1024])]


@router.get(
    PAGE_PATH,
    operation_id="list_messages",
    summary="Read a page of the board",
    response_model=wire.MessagePage,
    responses={
        200: success("The page.", "ETag", "Cache-Control", example="page"),
        304: success("The page that you have is current.", "ETag", "Cache-Control"),
        **problems("invalid_request", "not_ready"),
    },
)
async def list_messages(
    request: Request,
    services: TheServices,
    limit: Limit = PAGE_MESSAGES,
    before: Before = None,
    after: After = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Read a page of the board, oldest first; without a cursor the newest page.

    Cursors are exclusive, and only one may be given. Removed messages are left out. `seq` is the log position at which
    the page was read: to merge it with the feed, upsert by id and let removals with a greater `seq` win.
    """
    del if_none_match  # only for the document: FastAPI would pass one of several lines
    if before is not None and after is not None:
        raise ApiError(422, "invalid_request", "Give before or after, not both.")
    if before is None and after is None and limit == PAGE_MESSAGES:
        return (await services.newest_page.read()).answer(request.headers)
    page = await services.database.read(_read_page, request.headers, limit, before=before, after=after)
    return page.answer(request.headers)


def _read_page(connection: Connection, headers: Headers, limit: int, *, before: int | None, after: int | None) -> Ready:
    """Return a page, without its body if the client has it already."""
    board = queries.read_board(connection)
    etag = page_etag(board.epoch, board.seq)
    if is_not_modified(headers.getlist("if-none-match"), *etags_of(etag)):
        return Ready(b"", etag, is_page=True)
    if after is not None:
        rows, has_more = queries.messages_after(connection, min(after, LARGEST_ID), limit)
    else:
        rows, has_more = queries.messages_before(connection, before and min(before, LARGEST_ID), limit)
    messages = [wire.Message.of(row) for row in rows]
    page = wire.MessagePage(messages=messages, seq=board.seq, epoch=board.epoch, has_more=has_more)
    return Ready(page.encode(), etag, is_page=True)


@router.get(
    "/api/messages/{message_id}",
    operation_id="get_message",
    summary="Read a message",
    response_model=wire.Message,
    responses={
        200: success("The message.", "Cache-Control", example="message"),
        **problems("not_found", "gone", "invalid_request", "not_ready"),
    },
)
async def read_message(message_id: MessageId, database: TheDatabase) -> Response:
    """Read one message. 410 means that it was on the board and has been removed."""
    row = await shown_message(database, min(message_id, LARGEST_ID))
    return Response(wire.Message.of(row).encode(), headers={"Cache-Control": "no-cache"}, media_type="application/json")


@router.get(
    PINNED_PATH,
    operation_id="list_pinned",
    summary="Read what is pinned",
    response_model=wire.PinnedPage,
    responses={
        200: success("The pinned messages.", "ETag", "Cache-Control", example="pinned"),
        304: success("The page that you have is current.", "ETag", "Cache-Control"),
        **problems("not_ready"),
    },
)
async def list_pinned(request: Request, services: TheServices, if_none_match: IfNoneMatch = None) -> Response:
    """Read what is pinned on top of the board now: the highest amount first, then the newest, at most 20.

    It changes with the board, and when a pin ends. A message that was removed is not in it; one that is restored comes
    back for as long as its `pinned_until` leaves it.
    """
    del if_none_match
    return (await services.pinned_page.read()).answer(request.headers)


@router.get(
    BOARD_PATH,
    operation_id="get_board",
    summary="Read about the board",
    response_model=wire.BoardInfo,
    responses={
        200: success("The board's settings.", "ETag", "Cache-Control", example="board"),
        304: success("The settings that you have are current.", "ETag", "Cache-Control"),
        **problems(),
    },
)
async def read_board(request: Request, services: TheServices, if_none_match: IfNoneMatch = None) -> Response:
    """Read what a page needs to know: the price, the limits, and whether real money is taken."""
    del if_none_match
    return services.board_info.answer(request.headers)
