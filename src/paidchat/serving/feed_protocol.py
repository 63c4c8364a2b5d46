"""Handshakes of the feed: uvicorn's WebSocket protocol, until the app takes the connection over."""

import asyncio
from typing import Any, Final

from paidchat.serving import heap
from paidchat.serving.open_connection import CLOSE_GRACE_S, CLOSING_S, OpenConnection
from paidchat.serving.seam import Request, WebSocketsSansIOProtocol
from paidchat.serving.transports import reset

EXTENSION: Final = "paidchat.feed"  # key in the ASGI scope's extensions: the function that takes the connection over
HANDSHAKE_TIMEOUT_S: Final = 10


class _Gone:
    """The transport of a protocol whose connection was taken over: uvicorn closes it when the app returns."""

    def close(self) -> None:
        """Do nothing."""


class FeedProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with a deadline, which lets the app take the connection over.

    FastAPI routes, checks and accepts. After that uvicorn would keep a task, a queue, timers and a parser for each
    viewer, and encode a frame for a thousand viewers a thousand times. So the app takes the connection, and returns.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._early = b""  # bytes received before the connection was taken over
        self._deadline: asyncio.TimerHandle | None = None

    def _end_within(self, seconds: float) -> None:
        """Close within so many seconds, whatever the client does."""
        self._relax()
        self._deadline = self.loop.call_later(seconds, self._end)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def _end(self) -> None:
        reset(self.transport, even_if_closing=True)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the handshake to be answered."""
        super().connection_made(transport)
        self._end_within(HANDSHAKE_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline."""
        self._relax()
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """Send the app's message: accept or refuse."""
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True  # also by a refusal
            self._end_within(CLOSING_S)

    def shutdown(self) -> None:
        """Refuse the handshake, and don't wait long for that to be read."""
        super().shutdown()
        self._end_within(CLOSE_GRACE_S)

    def handle_connect(self, event: Request) -> None:
        """Add the extension to the scope before the app runs (its task starts in the loop's next turn)."""
        super().handle_connect(event)
        if hasattr(self, "scope"):  # there is none if the handshake was refused
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self._hand_over

    def data_received(self, data: bytes) -> None:
        """Parse the handshake, and keep what follows it."""
        if not self.handshake_initiated:
            super().data_received(data)
            return
        self._early += data
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _hand_over(self) -> OpenConnection:
        """Return the accepted connection; from now on this object has no part in it."""
        self._relax()
        transport, self.transport = self.transport, _Gone()  # type: ignore[assignment]  # all that is still used
        self.connections.discard(self)
        connection = OpenConnection(transport, self.connections)
        transport.set_protocol(connection)  # type: ignore[arg-type]  # it has the methods of one
        heap.exempt(transport)
        if self._early and not transport.is_closing():
            # In the loop's next turn, after the app's first frame; reading stays paused until then.
            self.loop.call_soon(connection.hear_early, self._early)
        del self.scope["extensions"][EXTENSION]  # with this object it would be a cycle
        return connection
