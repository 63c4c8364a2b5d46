"""The server: uvicorn, configured for many idle WebSockets and with our protocols."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from paidchat.serving import descriptors, heap
from paidchat.serving.feed_protocol import FeedProtocol
from paidchat.serving.http_protocol import HttpProtocol
from paidchat.serving.seam import Multiprocess, supervisors
from paidchat.serving.transports import reset

KEEP_ALIVE_S: Final = 5  # between a client's requests
# A proxy that sends a POST on a connection just as we close it gets no response and must not retry. So we keep
# connections longer than the usual proxies do: nginx and load balancers 60 s, Caddy two minutes.
PROXY_KEEP_ALIVE_S: Final = 150
SHUTDOWN_S: Final = 5  # for requests in flight; WebSockets are closed at once
READING_S: Final = 4  # of them, for clients to read what they were sent
USER_TIMEOUT_MS: Final = 25_000  # unacknowledged data ends a connection after this (RFC 5482)
# The kernel buffers twice this of unread input (socket(7)), instead of up to tens of megabytes per connection. The
# largest body that we accept is half of it.
RECEIVE_BUFFER: Final = 128 * 1024
BACKLOG: Final = 2048
# Copies of the listening socket. For each, libuv accepts one connection in a turn of the event loop, and turns are long
# when thousands of clients keep it busy. Under ten times the load one waited for up to 42 s, now 7. Each costs 20 to
# 40 µs more.
LISTENERS: Final = 16
TICK_S: Final = 1
START_TIMEOUT_S: Final = 30  # for a worker to become ready


class Server(uvicorn.Server):
    """uvicorn's server that calls back once it accepts connections, and logs when it can't accept more.

    Its main loop waits to be told to stop. uvicorn's looks ten times a second: most of the times that an idle
    board woke up for, and up to 0.1 s more before it stops.
    """

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None] | None = None) -> None:
        self._is_to_stop = False
        self._stop: Callable[[], object] | None = None  # wakes the main loop, from any thread or signal handler
        super().__init__(config)
        self._on_ready = on_ready

    @property
    def should_exit(self) -> bool:
        """Whether the server is to stop."""
        return self._is_to_stop

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._is_to_stop = value
        if value and self._stop is not None:
            self._stop()

    async def startup(self, sockets: Any = None) -> None:
        """Start, accepting several connections in a turn of the event loop, and call back."""
        await super().startup(sockets and [each for one in sockets for each in _listeners(one)])
        if self.started and self._on_ready:
            # From the event loop's next turn on, the server is in its main loop and can be stopped.
            asyncio.get_running_loop().call_soon(self._on_ready)

    async def main_loop(self) -> None:
        """Run uvicorn's tick once a second, and check for free descriptors, until the server is to stop."""
        told = asyncio.Event()
        self._stop = partial(asyncio.get_running_loop().call_soon_threadsafe, told.set)
        try:
            while not await self.on_tick(0):
                descriptors.look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S):
                        await told.wait()
        finally:
            self._stop = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as uvicorn does, but reset connections whose clients do not read.

        uvicorn would leave them open, and log a traceback for each.
        """
        deadline = asyncio.get_running_loop().call_later(READING_S, self._reset_unread)
        try:
            await super().shutdown(sockets)
        finally:
            deadline.cancel()
        for connection in tuple(self.server_state.connections):
            reset(connection.transport, even_if_closing=True)
        await asyncio.sleep(0)  # they are closed in the loop's next turn

    def _reset_unread(self) -> None:
        for connection in tuple(self.server_state.connections):
            if connection.transport.get_write_buffer_size() > 0:
                reset(connection.transport, even_if_closing=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGHUP as on SIGTERM, unless it is ignored, as under nohup."""
        with super().capture_signals(), self._hangup_captured():
            yield

    @contextlib.contextmanager
    def _hangup_captured(self) -> Iterator[None]:
        in_main_thread = threading.current_thread() is threading.main_thread()  # only the main thread gets signals
        if not in_main_thread or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            yield
            return
        before = signal.signal(signal.SIGHUP, self.handle_exit)
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, before)


def _listeners(listening: socket.socket) -> list[socket.socket]:
    return [listening, *(listening.dup() for _ in range(LISTENERS - 1))]


class Worker(supervisors.Process):
    """A worker process, which runs our server instead of uvicorn's."""

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the server; it is made before the thread that answers the parent's pings asks for it."""
        self._server = Server(self.config, heap.settle)
        super().target(sockets)


class Workers(Multiprocess):
    """Worker processes, calling back once all of them accept connections.

    SIGHUP replaces them one by one, starting each new one before stopping an old one.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], on_ready: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._on_ready = on_ready
        supervisors.Process = Worker  # type: ignore[misc]  # which uvicorn makes in four places

    def init_processes(self) -> None:
        """Start the workers, and call back when they are ready; uvicorn's loop handles one that fails to start."""
        super().init_processes()
        if all(process.wait_until_ready(START_TIMEOUT_S, self.should_exit) for process in self.processes):
            self._on_ready()


def server_config(app: FastAPI | str, *, trusted_proxies: tuple[str, ...] = (), **more: Any) -> uvicorn.Config:
    """Return uvicorn's configuration for the board; `more` are additional settings of uvicorn."""
    return uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=FeedProtocol,
        ws_per_message_deflate=False,  # costs three times the CPU and five times the memory per connection
        ws_ping_interval=None,  # `OpenConnection` pings
        timeout_keep_alive=PROXY_KEEP_ALIVE_S if trusted_proxies else KEEP_ALIVE_S,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_graceful_shutdown=SHUTDOWN_S,
        backlog=BACKLOG,
        timeout_worker_healthcheck=START_TIMEOUT_S,
        server_header=False,
        access_log=False,  # the guard logs requests, without secrets in paths
        log_config=None,
        **more,
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address.

    Raises:
        OSError: the address is in use or not local.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; inherited by every connection
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)  # inherited as well
    listening.bind((host, port))
    return listening
