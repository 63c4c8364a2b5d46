"""The server: uvicorn, set up for many quiet WebSockets, with deadlines for slow clients and a seam for the feed."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.supervisors import Multiprocess
from websockets.http11 import Request

from paidchat.transports import reset

EXTENSION: Final = "paidchat.feed"  # in the ASGI scope's extensions: the transport, and a way to wait for it
MAX_FRAME: Final = 1024  # bytes a viewer may send at once
MAX_PONGS: Final = 64 * 1024  # bytes of answers to pings that may wait for who sends them
PING_INTERVAL_S: Final = 20
PING_TIMEOUT_S: Final = 8  # so a viewer that is gone without a word is dropped within 30 s, with some to spare
KEEP_ALIVE_S: Final = 5  # between a client's requests
# A proxy that sends on a connection just as we close it has a POST without an answer, which it must not repeat. So
# we keep them for longer than the usual ones do: nginx and load balancers 60 s, Caddy two minutes.
PROXY_KEEP_ALIVE_S: Final = 150
SHUTDOWN_S: Final = 5  # for requests under way; sockets are told at once
FAREWELL_S: Final = 2  # for a close frame to get out to somebody who may not be reading
HEAD_TIMEOUT_S: Final = 10  # from the first byte, or the connection, to the end of the headers
BODY_TIMEOUT_S: Final = 20
MAX_HEAD: Final = 32 * 1024  # bytes
MAX_UNHEARD: Final = 8 * 1024 * 1024  # bytes
USER_TIMEOUT_MS: Final = 25_000  # unacknowledged data ends a connection after this (RFC 5482)
BACKLOG: Final = 2048
START_TIMEOUT_S: Final = 30  # for a worker to come into service


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with deadlines: it has none of its own, and a slow client would hold its place."""

    _deadline: asyncio.TimerHandle | None = None
    _head = 0  # bytes of the headers so far; negative once they are complete
    _unheard = 0  # bytes of a body that came after the answer

    def _expect_within(self, seconds: float) -> None:
        self._relax()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Wait for a request."""
        super().connection_made(transport)
        self._expect_within(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._relax()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take data; headers without an end are cut off."""
        if self._head >= 0:
            self._head += len(data)
        super().data_received(data)
        if self._head > MAX_HEAD:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Wait for the rest of the headers."""
        super().on_message_begin()
        self._head = 0
        self._expect_within(HEAD_TIMEOUT_S)

    def on_headers_complete(self) -> None:
        """Wait for the body."""
        super().on_headers_complete()
        self._head = -1
        self._unheard = 0
        self._expect_within(BODY_TIMEOUT_S)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body. Of one that was refused a little is let go by, so that the answer is heard."""
        if self.cycle.response_complete:
            self._unheard += len(body)
            if self._unheard > MAX_UNHEARD:
                self.transport.abort()
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait no more; between requests uvicorn's own keep-alive deadline holds."""
        super().on_message_complete()
        self._relax()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the WebSocket protocol."""
        self._relax()
        super().handle_websocket_upgrade()


class FeedProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, offering its transport to the app.

    A frame for a thousand viewers is encoded once and written a thousand times; the way through ASGI would
    encode it for each. Who does not read is dropped: closing waits for the reader, aborting does not.
    """

    def handle_connect(self, event: Request) -> None:
        """Add the extension to the scope before the app runs (its task starts in the loop's next turn)."""
        super().handle_connect(event)
        if hasattr(self, "scope"):  # there is none if the handshake was refused
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = {"transport": self.transport, "drained": self.writable.wait}

    def handle_ping(self) -> None:
        """Answer a ping, unless the answers to the ones before are not being read."""
        if self.transport.get_write_buffer_size() > MAX_PONGS:
            reset(self.transport)
            return
        super().handle_ping()

    def keepalive_timeout(self) -> None:
        """Drop a viewer that answers no ping."""
        reset(self.transport)

    def shutdown(self) -> None:
        """Say goodbye, and do not wait long for it to be read."""
        super().shutdown()
        self.loop.call_later(FAREWELL_S, reset, self.transport)


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

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGHUP as on SIGTERM, unless it is ignored, as under nohup."""
        with super().capture_signals(), self._hangup_captured():
            yield

    @contextlib.contextmanager
    def _hangup_captured(self) -> Iterator[None]:
        in_main_thread = threading.current_thread() is threading.main_thread()  # signals are for no other
        if not in_main_thread or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            yield
            return
        before = signal.signal(signal.SIGHUP, self.handle_exit)
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, before)


class Workers(Multiprocess):
    """uvicorn's worker processes, calling back once all of them accept connections.

    SIGHUP replaces them one by one, each new one in service before an old one leaves.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], on_ready: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._on_ready = on_ready

    def init_processes(self) -> None:
        """Start the workers, and say when they are ready; one that fails to start is handled by the parent's loop."""
        super().init_processes()
        if all(process.wait_until_ready(START_TIMEOUT_S, self.should_exit) for process in self.processes):
            self._on_ready()


def server_config(app: FastAPI | str, *, trusted_proxies: tuple[str, ...] = (), **more: Any) -> uvicorn.Config:
    """Return uvicorn's configuration for the board; `more` are further settings of uvicorn's."""
    return uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=FeedProtocol,
        ws_max_size=MAX_FRAME,
        ws_per_message_deflate=False,  # costs a viewer three times the CPU and five times the memory
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PING_TIMEOUT_S,
        timeout_keep_alive=PROXY_KEEP_ALIVE_S if trusted_proxies else KEEP_ALIVE_S,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_graceful_shutdown=SHUTDOWN_S,
        backlog=BACKLOG,
        timeout_worker_healthcheck=START_TIMEOUT_S,
        server_header=False,
        access_log=False,  # the guard logs requests, without what an address gives away
        log_config=None,
        **more,
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address.

    Raises:
        OSError: somebody else has it, or it is not this machine's.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; every connection inherits it
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    listening.bind((host, port))
    return listening
