"""WS /api/feed: admits subscribers, and handles the one frame that they may send."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec
import structlog
from fastapi import APIRouter, Request, Response, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from paidchat import wire
from paidchat.api.contract.responses import problems, success
from paidchat.api.deps import TheServices
from paidchat.api.guard import is_own_origin
from paidchat.api.problems import problem
from paidchat.feed.feed import Feed, Subscriber, encode_frame
from paidchat.serving.feed_protocol import EXTENSION, MISUSE
from paidchat.serving.heads import FEED_PATH

log = structlog.get_logger(__name__)
router = APIRouter(tags=["feed"])

MAX_BAD_FRAMES = 3
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013  # RFC 6455, section 7.4.1, and the IANA registry of close codes
MAX_CURSOR_DIGITS = 18
MAX_LOGGED_ORIGIN = 200  # characters


class Watch(msgspec.Struct, forbid_unknown_fields=True):
    """The one frame that a client may send: asks for the state of a payment."""

    type: Literal["watch"]
    payment_id: str


_decode_watch = msgspec.json.Decoder(Watch).decode


@router.get(
    FEED_PATH,
    operation_id="open_feed",
    summary="Open the feed, a WebSocket",
    status_code=426,
    response_class=Response,
    responses={
        101: success("The WebSocket is open.", "Upgrade", "Connection"),
        200: success("The WebSocket is open, by HTTP/2 (RFC 8441) through a proxy that translates it."),
        **problems("forbidden", "upgrade_required"),
    },
)
async def ask_for_upgrade(request: Request) -> Response:
    """Open the feed with a WebSocket client; asyncapi.json describes what is said there.

    Without a WebSocket handshake (RFC 6455) the answer is 426. A page of another origin than the board's own or a
    configured one is refused with 403. Pass `after` and `epoch` in the query to resume.
    """
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    return problem(
        request.state.request_id,
        426,
        "This address speaks WebSocket: connect with a WebSocket client.",
        headers=upgrade,
    )


@router.websocket(FEED_PATH)
async def follow(websocket: WebSocket, services: TheServices) -> None:
    """Subscribe to the board: a snapshot or what was missed, then every entry in order."""
    if not is_own_origin(websocket.scope, services.settings):
        log.warning("feed.origin_refused", origin=websocket.headers.get("origin", "")[:MAX_LOGGED_ORIGIN])
        refusal = problem(websocket.state.request_id, 403, "This page's origin may not follow the board.")
        with _ignoring_disconnect():
            await websocket.send_denial_response(refusal)
        return
    with _ignoring_disconnect():
        await websocket.accept()
    if websocket.application_state is not WebSocketState.CONNECTED:
        return
    client = websocket.client.host if websocket.client else ""
    with services.connection_limit.admitted(client) as admitted:
        if admitted:
            await _serve(websocket, services.feed)
        else:
            await _close(websocket, TRY_AGAIN_LATER, "too many viewers")


@contextmanager
def _ignoring_disconnect() -> Iterator[None]:
    """Ignore a lost connection: the client may leave at any moment, which is not an error."""
    try:
        yield
    except (OSError, WebSocketDisconnect):
        log.debug("feed.left")


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    with _ignoring_disconnect():
        await websocket.close(code, reason)


async def _serve(websocket: WebSocket, feed: Feed) -> None:
    connection = websocket.scope["extensions"][EXTENSION]
    subscriber = Subscriber(connection["transport"], connection["drained"])
    try:
        await feed.join(subscriber, after=_cursor(websocket), epoch=websocket.query_params.get("epoch"))
        await _listen(websocket, feed, subscriber)
    finally:
        feed.leave(subscriber)


def _cursor(websocket: WebSocket) -> int | None:
    after = websocket.query_params.get("after", "")
    return int(after) if after.isascii() and after.isdecimal() and len(after) <= MAX_CURSOR_DIGITS else None


async def _listen(websocket: WebSocket, feed: Feed, subscriber: Subscriber) -> None:
    bad_frames = 0
    while (message := await websocket.receive())["type"] != "websocket.disconnect":
        if misuse := message.get(MISUSE):
            await _close(websocket, POLICY_VIOLATION, misuse)
            return
        try:
            watch = _decode_watch(message.get("text") or b"")
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            bad_frames += 1
            detail = 'Send {"type": "watch", "payment_id": "…"}, and nothing else.'
            subscriber.send(encode_frame(wire.FeedError(code="invalid_request", detail=detail)))
            if bad_frames == MAX_BAD_FRAMES:
                await _close(websocket, POLICY_VIOLATION, "three bad frames")
                return
        else:
            feed.watch(subscriber, watch.payment_id)
