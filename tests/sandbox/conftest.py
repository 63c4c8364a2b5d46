"""Fixtures of the sandbox's tests: a real server, called with the real SDK, and a webhook endpoint."""

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp
from stripe.checkout import Session

from paidchat.sandbox import SandboxSettings, create_sandbox
from tests.support.served import free_port
from tests.support.shapes import Json

SECRET = "whsec_for_tests"
TOLERANCE_S = 300  # Stripe's default
CERTIFICATES = ssl.create_default_context()  # slow to load, so loaded once for all clients


class Server:
    """A uvicorn server on its own port, in its own thread."""

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(app, log_level="critical", ws="none", timeout_graceful_shutdown=3)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def start(self) -> None:
        """Return when it responds to requests."""
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server took too long to start"
            time.sleep(0.01)

    def stop(self) -> None:
        """Return when the server has stopped."""
        self._server.should_exit = True
        self._thread.join(timeout=20)
        assert not self._thread.is_alive(), "the server did not stop"
        self._socket.close()


@dataclass
class Arrival:
    """One delivery: the event, when it arrived, and the response."""

    event: Json
    signature: str
    at: float
    status: int


@dataclass
class Receiver:
    """A webhook endpoint that checks signatures with Stripe's SDK and responds as it is told."""

    answer: Callable[[Json], int] = lambda _event: 200
    delay_s: float = 0.0
    arrivals: list[Arrival] = field(default_factory=list)
    url: str = ""

    def receive(self, request: Request, body: bytes) -> int:
        """Check one delivery, record it, and return the status to respond with."""
        signature = request.headers["stripe-signature"]
        stripe.Webhook.construct_event(body, signature, SECRET)
        signed_at = int(signature.removeprefix("t=").split(",")[0])
        assert abs(time.time() - signed_at) < TOLERANCE_S, "the SDK lets a signature from the future pass"
        event = json.loads(body)
        status = self.answer(event)
        self.arrivals.append(Arrival(event, signature, time.monotonic(), status))
        return status

    def types(self) -> list[str]:
        """Return the types that arrived, in the order of arrival."""
        return [arrival.event["type"] for arrival in self.arrivals]

    def of(self, kind: str) -> list[Arrival]:
        """Return the deliveries of one type."""
        return [arrival for arrival in self.arrivals if arrival.event["type"] == kind]

    def wait_for(self, kind: str, count: int = 1, within_s: float = 8.0) -> list[Arrival]:
        """Return the deliveries of one type once there are `count` of them."""
        deadline = time.monotonic() + within_s
        while len(self.of(kind)) < count:
            assert time.monotonic() < deadline, f"{count} of {kind} expected, got {self.types()}"
            time.sleep(0.01)
        return self.of(kind)


@pytest.fixture(scope="session")
def listening() -> Iterator[Receiver]:
    """The webhook endpoint that all tests share, one after another."""
    listening = Receiver()

    async def endpoint(request: Request) -> Response:
        status = listening.receive(request, await request.body())
        await asyncio.sleep(listening.delay_s)
        return Response(status_code=status)

    server = Server(Starlette(routes=[Route("/hook", endpoint, methods=["POST"])]))
    server.start()
    listening.url = f"http://127.0.0.1:{server.port}/hook"
    yield listening
    server.stop()


@pytest.fixture
def receiver(listening: Receiver) -> Receiver:
    """The webhook endpoint without earlier deliveries; it responds 200 until told otherwise."""
    listening.answer = lambda _event: 200
    listening.delay_s = 0.0
    listening.arrivals = []
    return listening


@dataclass
class Bench:
    """A running sandbox, the SDK pointed at it, and a plain HTTP client for its page and controls."""

    settings: SandboxSettings
    server: Server
    stripe: stripe.StripeClient
    http: httpx.AsyncClient

    def stop(self) -> None:
        """Stop the sandbox's server."""
        self.server.stop()

    def start_again(self) -> None:
        """Start a new server on the same folder and port."""
        self.server = Server(create_sandbox(self.settings), self.server.port)
        self.server.start()

    async def create(self, **changes: Any) -> Session:
        """Create a session of one dollar, with some parameters changed; None removes one."""
        params = SESSION | changes
        given: Any = {name: value for name, value in params.items() if value is not None}
        return await self.stripe.v1.checkout.sessions.create_async(given)

    async def session(self, session_id: str, *expand: str) -> Json:
        """Return a session as plain JSON."""
        found = await self.stripe.v1.checkout.sessions.retrieve_async(session_id, {"expand": list(expand)})
        return dict(found.to_dict())

    async def do(self, session_id: str, verb: str, expect: int = 200) -> Json:
        """Apply a verb to a session and return the response."""
        answer = await self.http.post(f"/test/sessions/{session_id}/{verb}")
        assert answer.status_code == expect, answer.text
        return dict(answer.json())

    async def faults(self, **groups: Json) -> None:
        """Set faults."""
        answer = await self.http.put("/test/faults", json=groups)
        assert answer.status_code == 200, answer.text

    async def ledger(self) -> Json:
        """Return the ledger."""
        return dict((await self.http.get("/test/ledger")).json())

    async def attempts(self, count: int, within_s: float = 8.0) -> list[Json]:
        """Return the attempts that the sandbox has recorded, once there are `count` of them."""
        deadline = time.monotonic() + within_s
        while len(made := (await self.ledger())["deliveries"]) < count:
            assert time.monotonic() < deadline, f"{count} attempts expected, got {made}"
            await asyncio.sleep(0.01)
        return list(made)

    async def delivered(self, event_id: str, within_s: float = 8.0) -> None:
        """Wait until the sandbox has recorded that an event was accepted."""
        deadline = time.monotonic() + within_s
        while (await self.raw("GET", f"/events/{event_id}")).json()["pending_webhooks"]:
            assert time.monotonic() < deadline, f"{event_id} was not delivered"
            await asyncio.sleep(0.02)

    async def raw(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the API without the SDK."""
        headers = {"Authorization": "Bearer sk_test_x"} | options.pop("headers", {})
        return await self.http.request(method, f"/v1{path}", headers=headers, **options)


SESSION: Json = {
    "mode": "payment",
    "success_url": "http://board.example/?payment=p1&cs={CHECKOUT_SESSION_ID}",
    "cancel_url": "http://board.example/?cancelled=p1",
    "client_reference_id": "p1",
    "metadata": {"payment": "p1", "board": "b1"},
    "payment_intent_data": {"metadata": {"payment": "p1", "board": "b1"}},
    "line_items": [
        {
            "quantity": 1,
            "price_data": {"currency": "usd", "unit_amount": 100, "product_data": {"name": "A message"}},
        }
    ],
}


async def close(transport: stripe.HTTPXClient) -> None:
    """Close the SDK's connections."""
    closing: Callable[[], Awaitable[None]] = transport.close_async  # untyped in the SDK
    await closing()


@asynccontextmanager
async def running_bench(data: Path, receiver: Receiver) -> AsyncIterator[Bench]:
    """A sandbox on its own folder, delivering to the receiver."""
    port = free_port()
    settings = SandboxSettings(
        data=data,
        public_url=f"http://127.0.0.1:{port}",
        webhook_url=receiver.url,
        webhook_secret=SECRET,
    )
    server = Server(create_sandbox(settings), port)
    server.start()
    transport = stripe.HTTPXClient(timeout=4)
    client = stripe.StripeClient(
        "sk_test_x", base_addresses={"api": settings.public_url}, http_client=transport, max_network_retries=1
    )
    async with httpx.AsyncClient(
        base_url=settings.public_url, verify=CERTIFICATES, trust_env=False, timeout=15
    ) as http:
        made = Bench(settings, server, client, http)
        yield made
    await close(transport)
    made.stop()


@pytest.fixture
async def bench(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Bench]:
    """A new sandbox."""
    async with running_bench(tmp_path / "data", receiver) as made:
        yield made


@pytest.fixture(scope="session")
async def still_bench(tmp_path_factory: pytest.TempPathFactory, listening: Receiver) -> AsyncIterator[Bench]:
    """A sandbox for tests that don't change it, so that they can share it."""
    async with running_bench(tmp_path_factory.mktemp("still"), listening) as made:
        yield made


class Serve:
    """Serves applications that a test builds, until the test ends."""

    secret = SECRET
    free_port = staticmethod(free_port)
    close = staticmethod(close)

    def __init__(self) -> None:
        self._servers: list[Server] = []

    def __call__(self, app: ASGIApp, port: int) -> None:
        """Serve an application on a port and return when it responds."""
        server = Server(app, port)
        server.start()
        self._servers.append(server)

    def stop(self) -> None:
        """Stop all of them."""
        for server in self._servers:
            server.stop()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server for the test's own application."""
    serving = Serve()
    yield serving
    serving.stop()
