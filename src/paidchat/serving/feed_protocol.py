"""WebSocket connections: uvicorn's protocol, with a budget of frames, a deadline in every phase, and its transport."""

import asyncio
import time
from typing import Any, Final

from paidchat.serving.seam import Frame, Request, WebSocketsSansIOProtocol
from paidchat.serving.transports import reset

EXTENSION: Final = "paidchat.feed"  # in the ASGI scope's extensions: the transport, and a way to wait for it
MISUSE: Final = "paidchat.misuse"  # in an ASGI message: what a viewer did that ends the connection
MAX_FRAME: Final = 1024  # bytes a viewer may send at once
PING_INTERVAL_S: Final = 20
PING_TIMEOUT_S: Final = 8  # so a viewer that is gone without a word is dropped within 30 s, with some to spare
FRAME_BURST, FRAMES_PER_S = 64, 1  # frames of any kind; who only reads sends one in 20 s
FRAMES_AFTER_CLOSE: Final = 4  # of a viewer's that may still be under way, and its own close frame
SLICE: Final = 512  # bytes that are parsed before it is asked again whether there is any budget left
HANDSHAKE_TIMEOUT_S: Final = 10
CLOSE_GRACE_S: Final = 2  # for a close frame to reach a viewer that may not be reading, at shutdown
CLOSING_S: Final = 4  # from our last word to the end: within five, with some to spare


class FrameBudget:
    """How much a follower may say: a burst, and then a frame a second."""

    def __init__(self) -> None:
        self._left: float = FRAME_BURST
        self._at = time.monotonic()

    def admits(self) -> bool:
        """Take one frame off the budget; False when there is none left."""
        now = time.monotonic()
        self._left = min(FRAME_BURST, self._left + (now - self._at) * FRAMES_PER_S) - 1
        self._at = now
        return self._left >= 0

    def shrink(self, left: int) -> None:
        """Leave no more than this."""
        self._left = min(self._left, left)


class FeedProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, offering its transport to the app.

    A frame for a thousand viewers is encoded once and written a thousand times; the way through ASGI would
    encode it for each. A viewer that does not read is dropped: closing waits for the reader, aborting does not.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.close_timeout = CLOSING_S - 1  # for the other side's close frame
        self._budget = FrameBudget()
        self._early = b""  # what came before the handshake was answered
        self._deaf = False  # whether nothing that comes is looked at any more
        self._deadline: asyncio.TimerHandle | None = None

    # --- phases -------------------------------------------------------------------------------------

    def _end_within(self, seconds: float) -> None:
        """Be gone by then, whatever the other side does."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._end)

    def _end(self) -> None:
        reset(self.transport, even_if_closing=True)

    def _closing(self) -> None:
        self._budget.shrink(FRAMES_AFTER_CLOSE)
        self._end_within(CLOSING_S)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the handshake to be answered."""
        super().connection_made(transport)
        self._end_within(HANDSHAKE_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """Send what the app says: that it accepts, refuses, or closes."""
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True  # by a refusal, too
            self._closing()
        elif message["type"] == "websocket.accept" and self._deadline is not None:
            self._deadline.cancel()
            self._hear_early()

    def handle_parser_exception(self) -> None:
        """Close for what is no WebSocket frame."""
        self._deaf = True
        super().handle_parser_exception()
        self._closing()

    def keepalive_timeout(self) -> None:
        """Drop a viewer that answers no ping."""
        reset(self.transport)

    def shutdown(self) -> None:
        """Say goodbye, and do not wait long for it to be read."""
        super().shutdown()
        self._end_within(CLOSE_GRACE_S)

    # --- what comes ---------------------------------------------------------------------------------

    def handle_connect(self, event: Request) -> None:
        """Add the extension to the scope before the app runs (its task starts in the loop's next turn)."""
        super().handle_connect(event)
        if hasattr(self, "scope"):  # there is none if the handshake was refused
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = {"transport": self.transport, "drained": self.writable.wait}

    def data_received(self, data: bytes) -> None:
        """Look at what came, in slices: a frame has two bytes at least, and each costs something."""
        if self.handshake_initiated and not self.handshake_complete:
            self._early += data
            if not self.transport.is_closing():
                self.transport.pause_reading()
            return
        for start in range(0, len(data), SLICE):
            if self._deaf:
                return
            super().data_received(data[start : start + SLICE])

    def _hear_early(self) -> None:
        if self._early:
            early, self._early = self._early, b""
            if not self.transport.is_closing():
                self.transport.resume_reading()
            self.data_received(early)

    def _turn_deaf(self) -> None:
        """Hear nothing any more; what is still sent stays in the kernel, and costs nothing to drop."""
        self._deaf = True
        if not self.read_paused and not self.transport.is_closing():
            self.transport.pause_reading()
        self.read_paused = False  # so that nobody lets it go on

    def _admits(self) -> bool:
        """Count a frame, whatever its kind; False when it is not to be looked at."""
        if self._deaf:
            return False
        if self._budget.admits():
            return True
        self._turn_deaf()
        if not self.close_sent:
            # The app says goodbye, because it may be writing frames at this moment.
            misuse: Any = {"type": "websocket.receive", "text": "", MISUSE: "too many frames"}
            self.queue.put_nowait(misuse)
            self._end_within(CLOSING_S)
        return False

    def handle_text(self, event: Frame) -> None:
        """Take a text frame."""
        if self._admits():
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Take a binary frame."""
        if self._admits():
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment."""
        if self._admits():
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping."""
        if self._admits():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Take an answer to a ping, or an unasked one."""
        if self._admits():
            super().handle_pong(event)

    def handle_close(self, event: Frame) -> None:
        """Answer a close frame, or take the answer to ours."""
        super().handle_close(event)
        self._closing()
