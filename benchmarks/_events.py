"""Stripe's events about payments: copies of one that the sandbox made, each about a payment of its own."""

import functools
import json

import httpx

from benchmarks._http import request
from benchmarks._servers import Server, board
from benchmarks._stores import KEY, SECRET, TEXT, check_posted, insert_payments, sqlite_store
from tests.support.webhooks import completed, paid, signature

WEBHOOK = "/stripe/webhook"


@functools.cache
def _template() -> tuple[str, str, str]:
    """Start a payment; return the event that follows if it is paid, and the ids of the payment and its session."""
    with sqlite_store() as store, board(store) as server, httpx.Client(trust_env=False, timeout=20) as client:
        started = client.post(f"http://127.0.0.1:{server.port}/api/payments", json={"text": "Hello"})
        payment = started.raise_for_status().json()
        session_id = payment["checkout_url"].rpartition("/")[2]
        where = f"{server.stripe}/v1/checkout/sessions/{session_id}"
        session = client.get(where, headers={"Authorization": f"Bearer {KEY}"}).raise_for_status().json()
    return json.dumps(completed(paid(session, payment_intent="INTENT"), "evt_")), payment["id"], session_id


def _event_about(payment_id: str) -> bytes:
    text, payment, session = _template()
    copied = text.replace(payment, payment_id).replace(session, f"cs_{payment_id}")
    return copied.replace("INTENT", f"pi_{payment_id}").replace("evt_", f"evt_{payment_id}").encode()


def webhook(event: bytes, secret: str = SECRET) -> bytes:
    """Return the request that delivers an event."""
    return request("POST", WEBHOOK, event, f"Stripe-Signature: {signature(event, secret)}\r\n")


def events(server: Server, count: int) -> list[bytes]:
    """Insert payments, and return events that say that they were paid."""
    assert server.store is not None
    return [_event_about(payment_id) for payment_id in insert_payments(server.store, count)]


def posts(server: Server, count: int) -> list[bytes]:
    """Return requests that each post a message: webhooks, but to the floor the frame itself."""
    if server.store is not None:
        return [webhook(event) for event in events(server, count)]
    first = server.posted + 1
    server.posted += count
    return [request("POST", "/post", _entry(seq)) for seq in range(first, first + count)]


def _entry(seq: int) -> bytes:
    message = {"id": seq, "text": TEXT, "author": None, "amount": 100, "currency": "usd"}
    posted = {**message, "posted_at": "2026-01-01T00:00:00.000000Z", "pinned_until": None}
    return json.dumps({"type": "message.posted", "seq": seq, "message": posted}, separators=(",", ":")).encode()


def check_all_posted(server: Server) -> None:
    """Check that everything that was acknowledged is in the database."""
    if server.store is not None:
        check_posted(server.store)
