"""What a person does with a board over HTTP: start a payment, pay it, and see it posted."""

import asyncio
import time
from typing import Any

import httpx

from tests.support.contract import check_answer
from tests.support.http_client import NO_TLS, TIMEOUT_S, Client
from tests.support.served import Served
from tests.support.shapes import Json

PATIENCE_S = 10
POLL_S = 0.03  # the machine is busy with other tests meanwhile, and each look takes a millisecond of it


def http_client(served: Served, **options: Any) -> httpx.AsyncClient:
    """Return a client of a board that checks every response against openapi.json and ignores proxy settings."""
    return Client(served.url, event_hooks={"response": [check_answer]}, **options)


def faithful_client(served: Served) -> httpx.AsyncClient:
    """Return such a client for what aiohttp would not send as it is: two headers of a name, a huge body at once."""
    transport = httpx.AsyncHTTPTransport(verify=NO_TLS, trust_env=False)
    hooks = {"response": [check_answer]}
    return httpx.AsyncClient(
        base_url=served.url, transport=transport, trust_env=False, timeout=TIMEOUT_S, event_hooks=hooks
    )


async def start(client: httpx.AsyncClient, text: str = "Hello", **more: Any) -> Json:
    """Start a payment and return it."""
    answer = await client.post("/api/payments", json={"text": text, **more})
    assert answer.status_code == 201, answer.text
    payment: Json = answer.json()
    return payment


def session_of(payment: Json) -> str:
    """Return the id of a payment's Checkout Session: the last path segment of its URL."""
    return str(payment["checkout_url"]).rsplit("/", 1)[1]


async def act(client: httpx.AsyncClient, payment: Json, verb: str) -> None:
    """Apply a verb of the sandbox to a payment's session: `pay`, `decline`, `expire` and so on."""
    answer = await client.post(f"/sandbox/test/sessions/{session_of(payment)}/{verb}")
    assert answer.status_code == 200, answer.text


async def post(client: httpx.AsyncClient, text: str = "Hello", **more: Any) -> Json:
    """Pay for a message and return it as the API shows it."""
    payment = await start(client, text, **more)
    await act(client, payment, "pay")
    fulfilled = await until_status(client, payment["id"], "fulfilled")
    message: Json = (await client.get(f"/api/messages/{fulfilled['message_id']}")).json()
    return message


async def look_up(client: httpx.AsyncClient, payment_id: str) -> Json:
    """Return the current state of a payment."""
    answer = await client.get(f"/api/payments/{payment_id}")
    assert answer.status_code == 200, answer.text
    payment: Json = answer.json()
    return payment


async def until_status(client: httpx.AsyncClient, payment_id: str, status: str) -> Json:
    """Look up a payment until it has this status."""
    deadline = time.monotonic() + PATIENCE_S
    while (payment := await look_up(client, payment_id))["status"] != status:
        assert time.monotonic() < deadline, f"still {payment['status']}, not {status}"
        await asyncio.sleep(POLL_S)
    return payment


async def stripe_session(client: httpx.AsyncClient, payment: Json) -> Json:
    """Return a payment's Checkout Session from Stripe's API."""
    answer = await client.get(
        f"/sandbox/v1/checkout/sessions/{session_of(payment)}", headers={"Authorization": "Bearer sk_test_reader"}
    )
    assert answer.status_code == 200, answer.text
    session: Json = answer.json()
    return session


async def sessions_of(client: httpx.AsyncClient, payment_id: str) -> list[Json]:
    """Return a payment's entries in the sandbox's ledger: one per session."""
    ledger = (await client.get("/sandbox/test/ledger")).json()
    return [session for session in ledger["sessions"] if session["client_reference_id"] == payment_id]


async def messages_with(client: httpx.AsyncClient, text: str) -> list[Json]:
    """Return the messages with exactly this text among the newest hundred."""
    page = (await client.get("/api/messages", params={"limit": 100})).json()
    return [message for message in page["messages"] if message["text"] == text]
