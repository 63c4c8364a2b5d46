"""Errors as documented: each operation returns exactly the codes that openapi.json lists for it."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from paidchat.app import create_app
from paidchat.serving import http_protocol
from tests.support.board_client import act, http_client, post, start, stripe_session
from tests.support.contract import OPERATIONS, Operation, check, check_frame, documented_errors, operation_of
from tests.support.network.raw_http import RawHttp, handshake
from tests.support.postgres import Postgres
from tests.support.rows import opened, write_payment
from tests.support.served import Served, databases, free_port, served_board
from tests.support.transactions import transaction
from tests.support.webhooks import completed, deliver, event, paid

pytestmark = pytest.mark.any_database

Answered = set[tuple[str, str]]  # operations and codes
TOKEN = "token-of-the-contract"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
# They depend on nothing that could fail: only a bug in the layers around them could cause a 500 here.
INFALLIBLE = {("get_health", "internal_error"), ("open_feed", "internal_error")}


class Recorder(httpx.AsyncClient):
    """A client that records which operation returned which code."""

    def __init__(self, answered: Answered, url: str = "http://board", **options: Any) -> None:
        super().__init__(base_url=url, trust_env=False, timeout=20, **options)
        self._answered = answered

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request, and check the response against the document."""
        response = await super().send(request, **options)
        operation = operation_of(request.method, request.url.path)
        if operation is not None:
            code = check(operation, response.status_code, response.headers, response.content)
            self._answered |= {(operation.id, code)} if code else set()
        return response


def address(operation: Operation, message_id: int = 1) -> str:
    """A path of an operation."""
    return operation.path.format(payment_id=uuid.uuid4(), message_id=message_id)


async def ask_badly(served: Served, answered: Answered) -> None:
    """Send each operation requests that no server can accept."""

    async def ask(operation: Operation, *fields: str, ends: bool = True) -> None:
        lines = [f"{operation.method} {address(operation)} HTTP/1.1", "Host: board", *fields]
        connection = await RawHttp.connect(served)
        connection.send("\r\n".join(lines).encode() + (b"\r\n\r\n" if ends else b"\r\n"))
        answer = await connection.answer()
        connection.close()
        answered.add((operation.id, check(operation, answer.status, answer.headers, answer.body)))

    await asyncio.gather(
        *(ask(operation, ends=False) for operation in OPERATIONS),
        *(ask(operation, "Content-Length: 1", "Content-Length: 2") for operation in OPERATIONS),
        *(ask(operation, "Content-Length: 200000000") for operation in OPERATIONS),
        *(ask(operation, f"X-Long: {'a' * 9000}") for operation in OPERATIONS),
    )


async def ask_a_broken_app(served: Served, answered: Answered) -> None:
    """Send requests to an app that was never started, so that everything it needs is missing."""
    transport = httpx.ASGITransport(create_app(served.settings), raise_app_exceptions=False)
    async with Recorder(answered, transport=transport) as client:
        for operation in OPERATIONS:
            body = {"text": "Hello"} if operation.id == "create_payment" else None
            headers = {"Stripe-Signature": "t=1,v1=a", **AUTHORIZED}
            await client.request(operation.method, address(operation), json=body, headers=headers)


async def ask_for_payments(client: httpx.AsyncClient, served: Served) -> None:
    """Make all mistakes that are possible with payments."""
    await client.get(f"/api/payments/{uuid.uuid4()}")
    await client.post("/api/payments", content=b"text=Hello")
    await client.post("/api/payments", json={"text": ""})
    claimed, key = ({"Idempotency-Key": str(uuid.uuid4())} for _ in range(2))
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        digest = hashlib.sha256(claimed["Idempotency-Key"].encode()).hexdigest()
        later = datetime.now(UTC) + timedelta(seconds=20)
        await write_payment(connection, idempotency_key=digest, claimed_until=later)  # as another process would now
    await client.post("/api/payments", json={"text": "Hello"}, headers=claimed)
    await client.post("/api/payments", json={"text": "Hello"}, headers=key)
    await client.post("/api/payments", json={"text": "Another"}, headers=key)
    for more in ({}, {"Content-Encoding": "gzip"}):
        await client.post("/stripe/webhook", content=b"{}", headers={"Stripe-Signature": "t=1,v1=a", **more})


async def ask_for_messages(client: httpx.AsyncClient, served: Served) -> None:
    """Make all mistakes that are possible with messages, as a reader and as the operator."""
    await client.get("/api/messages?limit=0")
    await client.get("/api/messages/first")
    await client.get("/api/messages/999999")
    message = await post(client)
    restore = ("POST", f"/api/admin/messages/{message['id']}/restore")
    remove = ("DELETE", f"/api/admin/messages/{message['id']}")
    for method, path in (remove, restore):
        await client.request(method, path)
        for wrong in ("999999", "first"):
            await client.request(method, path.replace(str(message["id"]), wrong), headers=AUTHORIZED)
    assert (await client.request(*remove, headers=AUTHORIZED)).status_code == 204
    await client.get(f"/api/messages/{message['id']}")
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        await connection.execute(text("UPDATE payment SET payment_intent = NULL"))
    await client.request(*remove, params={"refund": "true"}, headers=AUTHORIZED)
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        await connection.execute(text("UPDATE payment SET refunded = true"))
    await client.request(*restore, headers=AUTHORIZED)


async def ask_for_the_feed(served: Served, answered: Answered) -> None:
    """Request the feed without a handshake, and from a page with a forbidden origin."""
    operation = operation_of("GET", "/api/feed")
    assert operation is not None
    plain = b"GET /api/feed HTTP/1.1\r\nHost: board\r\n\r\n"
    for request in (plain, handshake(Origin="https://elsewhere.example.com"), handshake(Sec_WebSocket_Version="8")):
        connection = await RawHttp.connect(served)
        connection.send(request)
        answer = await connection.answer()
        connection.close()
        answered.add((operation.id, check(operation, answer.status, answer.headers, answer.body)))


async def ask_without_stripe(data: Path, answered: Answered) -> None:
    """Pay too often, and while Stripe does not respond."""
    closed = f"http://127.0.0.1:{free_port()}"
    with served_board(data, rate_limit="1/hour", stripe_api_base=closed) as served:
        async with Recorder(answered, served.url) as client:
            for _ in range(2):
                await client.post("/api/payments", json={"text": "Hello"})
            charge = {"id": "ch_1", "object": "charge", "livemode": False, "payment_intent": "pi_1"}
            await deliver(client, event("charge.refunded", charge))


@asynccontextmanager
async def without_database(served: Served, postgres: Postgres) -> AsyncIterator[None]:
    """Cut a board off from its database."""
    name = served.settings.database_url.rpartition("/")[2].partition("?")[0]
    postgres.psql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    postgres.psql(f"{cut} WHERE datname = '{name}'")
    yield
    postgres.psql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


async def ask_without_database(client: httpx.AsyncClient, signed: dict[str, Any]) -> None:
    """Request everything that needs the database."""
    for operation in OPERATIONS:
        if operation.id == "receive_stripe_event":
            await deliver(client, signed)
        elif operation.id != "open_feed":
            body = {"text": "Hello"} if operation.method == "POST" else None
            await client.request(operation.method, address(operation), json=body, headers=AUTHORIZED)


async def test_operations_answer_exactly_the_documented_errors(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every error is documented, and every documented code of every operation can occur."""
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 0.5)
    answered: Answered = set()
    with databases.on(postgres), served_board(tmp_path, admin_token=TOKEN) as served:
        async with Recorder(answered, served.url) as client:
            await ask_for_payments(client, served)
            await ask_for_messages(client, served)
            session = paid(await stripe_session(client, await start(client)))
            unknown = str(uuid.uuid4())
            metadata = {
                key: unknown if value == session["client_reference_id"] else value
                for key, value in session["metadata"].items()
            }
            unknown_session = {**session, "id": "cs_test_1", "client_reference_id": unknown, "metadata": metadata}
            await deliver(client, completed(unknown_session))
            await ask_badly(served, answered)
            await ask_for_the_feed(served, answered)
            await ask_a_broken_app(served, answered)
            await ask_without_stripe(tmp_path / "other", answered)
            async with without_database(served, postgres):
                await ask_without_database(client, completed(session))
    documented = {(errors.operation, code) for errors in documented_errors() for code in errors.codes}
    assert documented - answered == INFALLIBLE


async def test_operations_succeed_as_documented(tmp_path: Path) -> None:
    """Every operation's success response is as documented: status, headers and every field."""
    with served_board(tmp_path, admin_token=TOKEN) as served:
        async with http_client(served) as client:
            payment = await start(client)
            message = await post(client)
            page = await client.get("/api/messages")
            unchanged = await client.get("/api/messages", headers={"If-None-Match": page.headers["etag"]})
            assert unchanged.status_code == 304
            await client.get(f"/api/messages/{message['id']}")
            for path in ("/api/board", "/healthz", "/readyz", "/metrics"):
                assert (await client.get(path)).status_code == 200
            removed = await client.delete(f"/api/admin/messages/{message['id']}", headers=AUTHORIZED)
            restored = await client.post(f"/api/admin/messages/{message['id']}/restore", headers=AUTHORIZED)
            assert (removed.status_code, restored.status_code) == (204, 200)
            answer = await deliver(client, completed(paid(await stripe_session(client, payment))))
            assert answer.json() == {"received": True}
            await act(client, payment, "expire")


REQUEST_ID = {"X-Request-Id": "a", "Content-Type": "application/json"}
NOT_DOCUMENTED: dict[str, tuple[int, dict[str, str], dict[str, Any]]] = {
    "a status": (404, REQUEST_ID, {}),
    "an answer without its request id": (200, {"Content-Type": "application/json"}, {"status": "ok"}),
    "a header": (200, {**REQUEST_ID, "Retry-After": "1"}, {"status": "ok"}),
    "a media type": (200, {**REQUEST_ID, "Content-Type": "text/html"}, {"status": "ok"}),
    "a field": (200, REQUEST_ID, {"status": "ok", "more": 1}),
    "a value": (200, REQUEST_ID, {"status": "fine"}),
    "a field that is missing": (200, REQUEST_ID, {}),
}


@pytest.mark.parametrize("what", NOT_DOCUMENTED)
def test_what_is_not_documented_is_noticed(what: str) -> None:
    """A response that differs from the document in anything fails the test that sees it."""
    operation = operation_of("GET", "/healthz")
    assert operation is not None
    check(operation, 200, REQUEST_ID, b'{"status":"ok"}')
    status, headers, body = NOT_DOCUMENTED[what]
    with pytest.raises((AssertionError, ValueError)):
        check(operation, status, headers, json.dumps(body).encode())


STRANGE_FRAMES = [{"type": "heartbeat"}, {"type": "heartbeat", "seq": "1"}, {"type": "news", "seq": 1}]


@pytest.mark.parametrize("frame", STRANGE_FRAMES, ids=str)
def test_a_frame_that_is_not_documented_is_noticed(frame: dict[str, Any]) -> None:
    """A frame that differs from the document fails the test that sees it."""
    check_frame({"type": "heartbeat", "seq": 1})
    with pytest.raises((ValueError, KeyError)):
        check_frame(frame)
