"""Examples for the published documents: what clients send and what they get."""

from typing import Any, Final

Json = dict[str, Any]

EPOCH: Final = "5d0f6f6cbb5a4f0e8f6d1c9e2b7a3c41"
PAYMENT_ID: Final = "0b9d6c3e-5f2a-4c1b-9a7e-3d8f6b1c2a40"
REQUEST_ID: Final = "7c1e0f4b9a6d4e5c8b3a2f1d0e9c8b7a"
IDEMPOTENCY_KEY: Final = "1f2e3d4c-5b6a-4978-8695-a4b3c2d1e0f9"

NEW_PAYMENT: Final[Json] = {"text": "Hello, world!", "author": "Ada"}
MESSAGE: Final[Json] = {
    "id": 1024,
    "text": "Hello, world!",
    "author": "Ada",
    "amount": 100,
    "currency": "usd",
    "posted_at": "2026-11-25T18:30:05.123456Z",
    "pinned_until": None,
}
PENDING: Final[Json] = {
    "id": PAYMENT_ID,
    "status": "pending",
    "text": "Hello, world!",
    "author": "Ada",
    "amount": 100,
    "currency": "usd",
    "checkout_url": "https://checkout.stripe.com/c/pay/cs_test_a1b2c3",
    "message_id": None,
    "created_at": "2026-11-25T18:29:41.654321Z",
    "expires_at": "2026-11-25T19:29:42Z",
}
FULFILLED: Final[Json] = {**PENDING, "status": "fulfilled", "checkout_url": None, "message_id": 1024}
PAGE: Final[Json] = {"messages": [MESSAGE], "seq": 1027, "epoch": EPOCH, "has_more": True}
PINNED_MESSAGE: Final[Json] = {
    **MESSAGE,
    "id": 1019,
    "amount": 500,
    "posted_at": "2026-11-25T18:28:02.234567Z",
    "pinned_until": "2026-11-25T18:33:02.234567Z",
}
PINNED: Final[Json] = {
    "messages": [PINNED_MESSAGE],
    "seq": 1027,
    "epoch": EPOCH,
    "has_more": False,
    "now": "2026-11-25T18:30:07.345678Z",
}
BOARD: Final[Json] = {
    "title": "paidchat",
    "price": {
        "amount": 100,
        "currency": "usd",
        "tiers": [{"amount": 100, "pinned_seconds": 0}, {"amount": 500, "pinned_seconds": 300}],
    },
    "tax_behavior": None,
    "max_text_length": 500,
    "max_author_length": 50,
    "test_mode": True,
    "terms_url": "https://example.com/terms",
    "privacy_url": "https://example.com/privacy",
    "contact": "hello@example.com",
    "links": True,
}
STRIPE_EVENT: Final[Json] = {
    "id": "evt_1QabcdEFGHijkl",
    "object": "event",
    "type": "checkout.session.completed",
    "livemode": False,
    "data": {"object": {"id": "cs_test_a1b2c3", "object": "checkout.session"}},
}
STRIPE_SIGNATURE: Final = "t=1764095405,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"
METRICS: Final = "# HELP paidchat_viewers Open WebSockets.\n# TYPE paidchat_viewers gauge\npaidchat_viewers 12.0\n"

# Successful responses, by name.
SUCCESSES: Final[dict[str, Any]] = {
    "pending_payment": PENDING,
    "fulfilled_payment": FULFILLED,
    "message": MESSAGE,
    "page": PAGE,
    "pinned": PINNED,
    "board": BOARD,
    "received": {"received": True},
    "alive": {"status": "ok"},
    "ready": {"status": "ok", "database": "ok", "schema": "ok", "feed": "ok", "listener": "ok"},
    "metrics": METRICS,
}

# The feed's frames, by the name of their shape in `wire`.
FRAMES: Final[dict[str, list[Json]]] = {
    "Snapshot": [
        {
            "type": "snapshot",
            "epoch": EPOCH,
            "seq": 1027,
            "messages": [MESSAGE],
            "has_more": True,
            "pinned": [PINNED_MESSAGE],
            "now": PINNED["now"],
        }
    ],
    "Resumed": [{"type": "resumed", "epoch": EPOCH, "seq": 1020, "now": PINNED["now"]}],
    "MessagePosted": [{"type": "message.posted", "seq": 1024, "message": MESSAGE}],
    "MessageRemoved": [{"type": "message.removed", "seq": 1025, "message_id": 1024, "reason": "moderated"}],
    "MessageRestored": [{"type": "message.restored", "seq": 1026, "message": MESSAGE}],
    "MessageWithheld": [{"type": "message.withheld", "seq": 1024, "message_id": 1024}],
    "PaymentUpdated": [{"type": "payment.updated", "payment": FULFILLED}],
    "Heartbeat": [{"type": "heartbeat", "seq": 1027}],
    "Viewers": [
        {"type": "viewers", "count": 12},
        {"type": "viewers", "count": 12, "raised": 102400, "currency": "usd"},
    ],
    "FeedError": [
        {
            "type": "error",
            "code": "invalid_request",
            "detail": 'Send {"type": "watch", "payment_id": "…"}, and nothing else.',
        },
        {"type": "error", "code": "not_found", "detail": "There is no such payment.", "payment_id": PAYMENT_ID},
    ],
    "Watch": [{"type": "watch", "payment_id": PAYMENT_ID}],
}
