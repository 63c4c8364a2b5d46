"""Webhooks as Stripe would send them: events about Checkout Sessions, signed as Stripe signs them."""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

import httpx

from tests.support.served import SECRET
from tests.support.shapes import Json

ATTEMPTS = 5  # at delivering one event; Stripe makes more
RETRY_AFTER_S = 1


def signature(payload: bytes, secret: str = SECRET, at: float | None = None) -> str:
    """Return a `Stripe-Signature` header for exactly these bytes (docs.stripe.com/webhooks/signature)."""
    stamp = int(time.time() if at is None else at)
    return f"t={stamp},v1={digest(payload, secret, stamp)}"


def digest(payload: bytes, secret: str, stamp: int | str) -> str:
    """Return the bare v1 digest."""
    return hmac.new(secret.encode(), f"{stamp}.".encode() + payload, hashlib.sha256).hexdigest()


def event(kind: str, about: Json, event_id: str | None = None) -> Json:
    """Return an event of this type about this object."""
    return {
        "id": event_id or f"evt_{uuid.uuid4().hex}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "data": {"object": about},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def completed(session: Json, event_id: str | None = None) -> Json:
    """Return `checkout.session.completed` for a session in its current state."""
    return event("checkout.session.completed", session, event_id)


def paid(session: Json, **changes: Any) -> Json:
    """Return an open session as it would be after its buyer paid."""
    return {
        **session,
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": f"pi_{session['id'][3:]}",
        "url": None,
        **changes,
    }


def unpaid(session: Json, **changes: Any) -> Json:
    """Return an open session as it would be after its buyer chose a delayed payment method."""
    return paid(session, payment_status="unpaid", **changes)


async def deliver(client: httpx.AsyncClient, sent: Json | bytes, header: str | None = None) -> httpx.Response:
    """Send an event, or raw bytes, to the webhook, signed now unless a header is given."""
    payload = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    headers = {
        b"Content-Type": b"application/json",
        b"Stripe-Signature": (signature(payload) if header is None else header).encode("latin-1"),
    }
    return await client.post("/stripe/webhook", content=payload, headers=headers)


async def deliver_until_taken(client: httpx.AsyncClient, sent: Json) -> list[httpx.Response]:
    """Send an event, again while the answer is 503, as Stripe would; returns every answer."""
    answers = [await deliver(client, sent)]
    while answers[-1].status_code == httpx.codes.SERVICE_UNAVAILABLE and len(answers) < ATTEMPTS:
        await asyncio.sleep(RETRY_AFTER_S)
        answers.append(await deliver(client, sent))
    return answers
