"""A miniature: a board and its sandbox in one event loop, cheap enough to make and discard thousands of them.

The board talks to the sandbox over real HTTP, and viewers use real WebSockets. The simulation's own requests go
straight into the two ASGI applications, to save the time on sockets.
"""

import asyncio
import json
import logging
import shutil
import socket
import sqlite3
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import stripe
import structlog
import uvicorn
from sqlalchemy.pool import StaticPool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paidchat.api.deps import Services
from paidchat.app import create_app
from paidchat.payments import reconciler
from paidchat.payments.reconciler import Findings, Reconciler
from paidchat.payments.sessions import CheckoutSessions
from paidchat.sandbox import SandboxSettings, create_sandbox
from paidchat.sandbox.application import running
from paidchat.serving.server import Server, listen, server_config
from paidchat.settings import Settings
from paidchat.storage.database import Database
from paidchat.storage.schema import migrate
from paidchat.stripe.gateway import StripeGateway
from tests.support.served import SECRET
from tests.support.shapes import Json
from tests.torture.harness.records import Records, copied, new_database
from tests.torture.harness.wall_clock import WallClock
from tests.torture.harness.world import ADMIN_TOKEN

NEVER_S = 30 * 24 * 3600
# Nothing here must survive the machine, and disks are slow.
IN_MEMORY = "/dev/shm" if Path("/dev/shm").exists() else None  # noqa: S108


@dataclass(frozen=True)
class Answer:
    """A response of an application."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self.body)


class QuietServer(Server):
    """A server that does not handle signals, and stops as soon as it is told to, not at the next tick."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None] | None = None) -> None:
        super().__init__(config, on_ready)
        self._told = asyncio.Event()

    def leave(self) -> None:
        """Make it stop."""
        self.should_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        """Wait until it is told to stop."""
        await self.on_tick(0)
        await self._told.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals."""
        yield


class Switch:
    """An application that can be replaced while it is served."""

    def __init__(self) -> None:
        self.app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the current application."""
        await self.app(scope, receive, send)


class Miniature:
    """One board and one sandbox; `fresh` starts new ones, and the board can be restarted on the same files."""

    def __init__(self, folder: Path, server: str | None) -> None:
        self._folder = folder
        self._server_url = server
        self._template: str
        self._boards = listen("127.0.0.1", 0)
        self._sandboxes = listen("127.0.0.1", 0)
        self._stripe = Switch()
        self._server: QuietServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._made = 0
        self._life: Path  # the folder of the current board and sandbox
        self.url = _url(self._boards)
        self.clock = WallClock()  # the board's own
        self.gateway: StripeGateway  # the simulation's own gateway to Stripe
        self.settings: Settings
        self.records: Records  # direct access to the board's database

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve the sandboxes, one at a time."""
        config = uvicorn.Config(self._stripe, lifespan="off", log_config=None, access_log=False)
        server = QuietServer(config)
        serving = asyncio.create_task(server.serve(sockets=[self._sandboxes]))
        try:
            async with new_database(self._folder, self._server_url) as self._template:
                await _make_schema(self._template)
                self.gateway = StripeGateway(self._settings(self._template))
                yield
                await self.gateway.close()
        finally:
            server.leave()
            await serving
            self._boards.close()

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[None]:
        """Run a new sandbox that delivers no events, and a new board, until the block ends."""
        self._made += 1
        self.clock.begin()
        self._life = folder = self._folder / str(self._made)
        folder.mkdir()
        address = _url(self._sandboxes)
        sandbox = create_sandbox(
            SandboxSettings(
                data=folder, public_url=address, webhook_url=f"{self.url}/stripe/webhook", webhook_secret=SECRET
            )
        )
        self._stripe.app = sandbox
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(copied(self._template, folder))
            self.settings = self._settings(url)
            self.records = Records(url, pool=StaticPool)
            stack.push_async_callback(self.records.close)
            await stack.enter_async_context(running(sandbox))
            await self.stripe("PUT", "/test/faults", {"webhook": {"delay_s": NEVER_S, "drop": "all"}})
            await self.start_board()
            stack.push_async_callback(self.stop_board)
            yield
        shutil.rmtree(folder)

    def _settings(self, database_url: str) -> Settings:
        return Settings(
            database_url=database_url,
            public_url=self.url,
            stripe_secret_key="sk_test_of_the_tests",
            stripe_webhook_secrets=SECRET,
            stripe_api_base=_url(self._sandboxes),
            admin_token=ADMIN_TOKEN,
            rate_limit="off",
            _env_file=None,
        )

    @property
    def feed_url(self) -> str:
        """The URL of the board's WebSocket."""
        return f"ws{self.url.removeprefix('http')}/api/feed"

    async def start_board(self) -> None:
        """Start the stopped board on the existing files."""
        accepting = asyncio.Event()
        config = server_config(create_app(self.settings))
        self._server = QuietServer(config, accepting.set)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._boards.dup()]))
        await accepting.wait()

    async def stop_board(self) -> None:
        """Stop the board, as SIGTERM would."""
        assert self._server is not None
        assert self._serving is not None
        self._server.leave()
        await self._serving

    @property
    def services(self) -> Services:
        """The parts of the running board."""
        assert self._server is not None
        services = self._server.lifespan.state["services"]
        assert isinstance(services, Services)
        return services

    async def sweep(self, *, full: bool) -> Findings | None:
        """Run a pass of the reconciler, which the board would do every half minute."""
        parts = self.services
        sessions, tag = CheckoutSessions(parts.database, self.gateway, parts.background), parts.fulfilment._board_tag
        reconciler = Reconciler(
            parts.database, self.gateway, parts.fulfilment, sessions, parts.metrics, tag, period_s=NEVER_S
        )
        return await reconciler.sweep(full=full)

    async def sweep_twice_at_once(self, *, full: bool) -> list[Findings]:
        """Run two passes at once, as two processes would; returns what was found by those that held the sweep.

        Raises:
            Exception: what the first of the passes that failed has raised, after both have ended.
        """
        passes = await asyncio.gather(self.sweep(full=full), self.sweep(full=full), return_exceptions=True)
        for each in passes:
            if isinstance(each, BaseException):
                raise each
        return [each for each in passes if isinstance(each, Findings)]

    async def board(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """Make a request to the board; a body that is not bytes is sent as JSON. Waits for background tasks."""
        assert self._server is not None
        return await _ask(
            self._server.config.app, method, target, body, headers, state=dict(self._server.lifespan.state)
        )

    async def stripe(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """Make a request to the sandbox."""
        return await _ask(self._stripe.app, method, target, body, headers, state={})

    def events_after(self, count: int) -> list[Json]:
        """Return the sandbox's events after the first `count`, oldest first, from its file: calls use up faults."""
        connection = sqlite3.connect(self._life / "sandbox.db")
        try:
            written = "SELECT body FROM objects WHERE kind = 'event' ORDER BY seq LIMIT -1 OFFSET ?"
            return [json.loads(row[0]) for row in connection.execute(written, (count,))]
        finally:
            connection.close()


@asynccontextmanager
async def miniature(server: str | None = None) -> AsyncIterator[Miniature]:
    """Yield a miniature in which only the simulation causes anything, on SQLite or a PostgreSQL server."""
    with ExitStack() as stack:
        # The first sweep would come half a second after every start; the SDK would wait as long to ask again.
        stack.enter_context(_changed(reconciler, FIRST_DELAY_S=NEVER_S))
        stack.enter_context(_changed(stripe.HTTPClient, INITIAL_DELAY=0.001, MAX_DELAY=0.001))
        # Nothing here uses TLS, and reading the certificates takes each client 5 ms.
        stack.enter_context(_changed(ssl, create_default_context=cache(ssl.create_default_context)))
        stack.enter_context(_silence())
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=IN_MEMORY, prefix="paidchat-"))
        made = Miniature(Path(folder), server)
        stack.enter_context(made.clock.installed())
        async with made.open():
            yield made


@contextmanager
def _changed(owner: Any, **values: Any) -> Iterator[None]:
    """Set attributes until the block ends."""
    before = {name: getattr(owner, name) for name in values}
    try:
        for name, value in values.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


@contextmanager
def _silence() -> Iterator[None]:
    """Log nothing until the block ends; logging would take half the time of a simulation."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        structlog.configure(**before)


async def _make_schema(url: str) -> None:
    async with Database(url) as database:
        await migrate(database)


def _url(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


async def _ask(app: Any, method: str, target: str, body: Any, headers: dict[str, str], *, state: Json) -> Answer:
    """Make one request of an ASGI application."""
    path, _, query = target.partition("?")
    payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    fields = {"content-type": "application/json", "content-length": str(len(payload)), "host": "127.0.0.1"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": state,
    }
    sent: list[Message] = [{"type": "http.request", "body": payload, "more_body": False}]
    status, chunks = 0, []

    async def receive() -> Message:
        return sent.pop() if sent else await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            chunks.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, b"".join(chunks))
