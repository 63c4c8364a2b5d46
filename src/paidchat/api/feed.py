"""WS /api/feed: who may follow the board, and the little a follower may say."""

import time
from typing import Literal

import msgspec
import structlog
from fastapi import APIRouter, WebSocket

from paidchat import wire
from paidchat.api.deps import Running
from paidchat.api.guard import is_own_origin
from paidchat.api.problems import problem
from paidchat.feed import Feed, Subscriber, encode_frame
from paidchat.server import EXTENSION

log = structlog.get_logger(__name__)
router = APIRouter()

MAX_BAD_FRAMES = 3
FRAME_BURST, FRAMES_PER_S = 64, 1
MISUSE, TRY_AGAIN_LATER = 1008, 1013  # RFC 6455, section 7.4.1, and the IANA registry of close codes
MAX_CURSOR_DIGITS = 18


class Watch(msgspec.Struct, forbid_unknown_fields=True):
    """The one thing a follower may say: tell me how this payment stands."""

    type: Literal["watch"]
    payment_id: str


class FrameBudget:
    """How much a follower may say: a burst, and then a frame a second."""

    def __init__(self) -> None:
        self._left: float = FRAME_BURST
        self._at = time.monotonic()

    def admits(self, now: float) -> bool:
        """Take one frame off the budget; False when there is none left."""
        self._left = min(FRAME_BURST, self._left + (now - self._at) * FRAMES_PER_S) - 1
        self._at = now
        return self._left >= 0


_decode_watch = msgspec.json.Decoder(Watch).decode


@router.websocket("/api/feed")
async def follow(websocket: WebSocket, services: Running) -> None:
    """Follow the board: a snapshot or what was missed, then every entry in order."""
    if not is_own_origin(websocket.scope, services.settings):
        refusal = problem(websocket.state.request_id, 403, "This page's origin may not follow the board.")
        await websocket.send_denial_response(refusal)
        return
    await websocket.accept()
    client = websocket.client.host if websocket.client else ""
    with services.viewers.admitted(client) as admitted:
        if not admitted:
            await websocket.close(TRY_AGAIN_LATER, "too many viewers")
            return
        await _serve(websocket, services.feed)


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
    bad_frames, budget = 0, FrameBudget()
    while (message := await websocket.receive())["type"] != "websocket.disconnect":
        if not budget.admits(time.monotonic()):
            await websocket.close(MISUSE, "too many frames")
            return
        try:
            watch = _decode_watch(message.get("text") or b"")
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            bad_frames += 1
            detail = 'Send {"type": "watch", "payment_id": "…"}, and nothing else.'
            subscriber.send(encode_frame(wire.FeedError(code="invalid_request", detail=detail)))
            if bad_frames == MAX_BAD_FRAMES:
                await websocket.close(MISUSE, "three bad frames")
                return
        else:
            feed.watch(subscriber, watch.payment_id)
