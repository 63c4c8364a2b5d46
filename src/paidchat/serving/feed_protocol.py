"""WebSocket connections: uvicorn's protocol, with a frame budget and a deadline in every phase."""

import asyncio
import time
from typing import Any, Final

from paidchat.serving.seam import Frame, Request, WebSocketsSansIOProtocol
from paidchat.serving.transports import reset

EXTENSION: Final = "paidchat.feed"  # key in the ASGI scope's extensions: the transport, and how to drain it
MISUSE: Final = "paidchat.misuse"  # key in an ASGI message: the misuse that ends the connection
MAX_FRAME: Final = 1024  # bytes in one frame of a client
PING_INTERVAL_S: Final = 20
PING_TIMEOUT_S: Final = 8  # with the ping interval, this drops a dead connection within 30 s, with a margin
FRAME_BURST, FRAMES_PER_S = 64, 1  # frames of any kind; a client that only reads sends one pong in 20 s
FRAMES_AFTER_CLOSE: Final = 4  # that may still be in flight, and the client's close frame
SLICE: Final = 512  # bytes that are parsed between two checks of the budget
HANDSHAKE_TIMEOUT_S: Final = 10
CLOSE_GRACE_S: Final = 2  # at shutdown, for the close frame to reach a client that may not be reading
CLOSING_S: Final = 4  # from our close frame to the end; the contract says within five


class FrameBudget:
    """How many frames a client may send: a burst, then one a second."""

    def __init__(self) -> None:
        self._left: float = FRAME_BURST
        self._at = time.monotonic()

    def admits(self) -> bool:
        """Take one frame from the budget; returns False if it is used up."""
        now = time.monotonic()
        self._left = min(FRAME_BURST, self._left + (now - self._at) * FRAMES_PER_S) - 1
        self._at = now
        return self._left >= 0

    def shrink(self, left: int) -> None:
        """Reduce what is left to at most this."""
        self._left = min(self._left, left)


class FeedProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which gives the app access to its transport.

    A frame for a thousand subscribers is encoded once and written a thousand times; through ASGI it would be encoded
    for each. A subscriber that does not read is aborted, because closing would wait for it.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.close_timeout = CLOSING_S - 1  # for the other side's close frame
        self._budget = FrameBudget()
        self._early = b""  # bytes received before the handshake was answered
        self._is_ignoring = False  # whether input is ignored from now on
        self._deadline: asyncio.TimerHandle | None = None

    # --- phases -------------------------------------------------------------------------------------

    def _end_within(self, seconds: float) -> None:
        """Close within so many seconds, whatever the client does."""
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
        """Cancel the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """Send the app's message: accept, refuse or close."""
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True  # also by a refusal
            self._closing()
        elif message["type"] == "websocket.accept" and self._deadline is not None:
            self._deadline.cancel()
            self._hear_early()

    def handle_parser_exception(self) -> None:
        """Close after a malformed frame."""
        self._is_ignoring = True
        super().handle_parser_exception()
        self._closing()

    def keepalive_timeout(self) -> None:
        """Drop a client that doesn't answer a ping."""
        reset(self.transport)

    def shutdown(self) -> None:
        """Send a close frame, and don't wait long for it to be read."""
        super().shutdown()
        self._end_within(CLOSE_GRACE_S)

    # --- input --------------------------------------------------------------------------------------

    def handle_connect(self, event: Request) -> None:
        """Add the extension to the scope before the app runs (its task starts in the loop's next turn)."""
        super().handle_connect(event)
        if hasattr(self, "scope"):  # there is none if the handshake was refused
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = {"transport": self.transport, "drained": self.writable.wait}

    def data_received(self, data: bytes) -> None:
        """Parse input in slices, since as little as two bytes are a frame, which costs CPU time."""
        if self.handshake_initiated and not self.handshake_complete:
            self._early += data
            if not self.transport.is_closing():
                self.transport.pause_reading()
            return
        for start in range(0, len(data), SLICE):
            if self._is_ignoring:
                return
            super().data_received(data[start : start + SLICE])

    def _hear_early(self) -> None:
        if self._early:
            early, self._early = self._early, b""
            if not self.transport.is_closing():
                self.transport.resume_reading()
            self.data_received(early)

    def _stop_reading(self) -> None:
        """Stop reading; the kernel buffers what still arrives and drops it at no cost."""
        self._is_ignoring = True
        if not self.read_paused and not self.transport.is_closing():
            self.transport.pause_reading()
        self.read_paused = False  # so that nothing resumes it

    def _admits(self) -> bool:
        """Count a frame of any kind; returns whether to process it."""
        if self._is_ignoring:
            return False
        if self._budget.admits():
            return True
        self._stop_reading()
        if not self.close_sent:
            # The app sends the close frame, because it may be writing frames at this moment.
            misuse: Any = {"type": "websocket.receive", "text": "", MISUSE: "too many frames"}
            self.queue.put_nowait(misuse)
            self._end_within(CLOSING_S)
        return False

    def handle_text(self, event: Frame) -> None:
        """Handle a text frame."""
        if self._admits():
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Handle a binary frame."""
        if self._admits():
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Handle a fragment."""
        if self._admits():
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping."""
        if self._admits():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Handle a pong, solicited or not."""
        if self._admits():
            super().handle_pong(event)

    def handle_close(self, event: Frame) -> None:
        """Answer a close frame, or handle the answer to ours."""
        super().handle_close(event)
        self._closing()
