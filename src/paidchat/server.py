"""The server: uvicorn, set up for many quiet WebSockets, and the seam through which the feed writes to them."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

EXTENSION: Final = "paidchat.feed"  # in the ASGI scope's extensions: the transport, and a way to wait for it
MAX_FRAME: Final = 1024  # bytes a viewer may send at once
PING_INTERVAL_S: Final = 20
PING_TIMEOUT_S: Final = 20
SHUTDOWN_S: Final = 5  # for requests under way; sockets are told at once
BACKLOG: Final = 2048


class FeedProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, offering its transport to the app.

    A frame for a thousand viewers is encoded once and written a thousand times; the way through ASGI would
    encode it for each. Everything else, the handshake, pings, closing, stays uvicorn's.
    """

    def handle_connect(self, event: Request) -> None:
        """Add the extension to the scope before the app runs (its task starts in the loop's next turn)."""
        super().handle_connect(event)
        if hasattr(self, "scope"):  # there is none if the handshake was refused
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = {"transport": self.transport, "drained": self.writable.wait}


class Server(uvicorn.Server):
    """uvicorn's server that calls back once it accepts connections."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None] | None = None) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: Any = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started and self._on_ready:
            # In the loop's next turn the server is in its main loop and stops when asked to.
            asyncio.get_running_loop().call_soon(self._on_ready)


def server_config(
    app: FastAPI | str, *, host: str, port: int, trusted_proxies: tuple[str, ...] = (), **more: Any
) -> uvicorn.Config:
    """Return uvicorn's configuration for the board."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        ws=FeedProtocol,
        ws_max_size=MAX_FRAME,
        ws_per_message_deflate=False,  # costs a viewer three times the CPU and five times the memory
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PING_TIMEOUT_S,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_graceful_shutdown=SHUTDOWN_S,
        backlog=BACKLOG,
        server_header=False,
        access_log=False,  # the guard logs requests, without what an address gives away
        log_config=None,
        **more,
    )
