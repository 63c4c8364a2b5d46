"""WS /api/feed: admits subscribers, and handles the one frame that they may send."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

import msgspec
import structlog
from fastapi import APIRouter, Request, Response, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from paidchat import wire
from paidchat.api.contract.responses import problems, success
from paidchat.api.deps import Services, TheServices
from paidchat.api.guard import is_own_origin
from paidchat.api.problems import problem
from paidchat.feed.entries import encode_frame
from paidchat.feed.subscriber import Subscriber
from paidchat.serving.feed_protocol import EXTENSION
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
_NONSENSE: Final = encode_frame(
    wire.FeedError(code="invalid_request", detail='Send {"type": "watch", "payment_id": "…"}, and nothing else.')
)


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
    after, epoch = _cursor(websocket), websocket.query_params.get("epoch")
    await services.feed.reach(after, epoch)
    with _ignoring_disconnect():
        await websocket.accept()
    if websocket.application_state is not WebSocketState.CONNECTED:
        return
    connection = websocket.scope["extensions"][EXTENSION]()
    client = services.connection_limit.admit(websocket.client.host if websocket.client else "")
    if client is None:
        connection.close(TRY_AGAIN_LATER, "too many viewers")
        return
    subscriber = Subscriber(connection)
    connection.owner = Conversation(subscriber, services, client)
    try:
        await services.feed.join(subscriber, after=after, epoch=epoch)
        services.audience.welcome(subscriber)
    except BaseException:
        subscriber.drop()
        raise


@contextmanager
def _ignoring_disconnect() -> Iterator[None]:
    """Ignore a lost connection: the client may leave at any moment, which is not an error."""
    try:
        yield
    except (OSError, WebSocketDisconnect):
        log.debug("feed.left")


def _cursor(websocket: WebSocket) -> int | None:
    after = websocket.query_params.get("after", "")
    return int(after) if after.isascii() and after.isdecimal() and len(after) <= MAX_CURSOR_DIGITS else None


class Conversation(msgspec.Struct, gc=False, eq=False):
    """What a subscriber says, from its admission to its end."""

    _subscriber: Subscriber
    _services: Services
    _client: str  # whose slot it holds
    _bad_frames: int = 0

    def heard(self, message: str | bytes) -> None:
        """Watch a payment, or say that the message is no watch."""
        try:
            watch = _decode_watch(message if isinstance(message, str) else b"")
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            self._heard_nonsense()
        else:
            self._services.feed.watch(self._subscriber, watch.payment_id)

    def _heard_nonsense(self) -> None:
        self._bad_frames += 1
        self._subscriber.send(_NONSENSE)
        if self._bad_frames == MAX_BAD_FRAMES:
            self._subscriber.connection.close(POLICY_VIOLATION, "three bad frames")

    def ended(self) -> None:
        """Leave the feed, and give the slot back."""
        self._services.feed.leave(self._subscriber)
        self._services.connection_limit.release(self._client)
