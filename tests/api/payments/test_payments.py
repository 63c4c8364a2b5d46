"""POST /api/payments and GET /api/payments/{id}: what a payment is, and how it is looked up."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.board_client import act, http_client, look_up, post, session_of, start, stripe_session, until_status
from tests.support.served import Served, served_board

FIELDS = {
    "id",
    "status",
    "text",
    "author",
    "amount",
    "currency",
    "checkout_url",
    "message_id",
    "created_at",
    "expires_at",
}


async def test_a_new_payment_is_201_with_every_field(client: httpx.AsyncClient) -> None:
    """A new payment has exactly the contract's fields, is pending, and its Location is where to look it up."""
    before = datetime.now(UTC)
    answer = await client.post("/api/payments", json={"text": " Hello\r\nyou ", "author": " Ann "})
    payment = answer.json()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["location"] == f"/api/payments/{payment['id']}"
    assert set(payment) == FIELDS
    assert payment["status"] == "pending"
    assert payment["text"] == "Hello\nyou"
    assert payment["author"] == "Ann"
    assert payment["amount"] == 100
    assert payment["currency"] == "usd"
    assert payment["message_id"] is None
    created, expires = (datetime.fromisoformat(payment[name]) for name in ("created_at", "expires_at"))
    assert created.utcoffset() == expires.utcoffset() == timedelta(0)
    assert before <= created <= datetime.now(UTC)
    assert timedelta(minutes=59) < expires - created <= timedelta(minutes=61)


async def test_the_author_may_be_left_out(client: httpx.AsyncClient) -> None:
    """Without an author, with null and with a blank one, the author is null."""
    for more in ({}, {"author": None}, {"author": "  "}):
        assert (await start(client, **more))["author"] is None


async def test_the_id_cannot_be_guessed(client: httpx.AsyncClient) -> None:
    """A payment's id has 122 random bits: a version 4 UUID, new each time."""
    ids = {(await start(client))["id"] for _ in range(3)}
    assert len(ids) == 3
    assert {uuid.UUID(id_).version for id_ in ids} == {4}


async def test_the_checkout_url_is_stripes(client: httpx.AsyncClient) -> None:
    """The checkout_url leads to the hosted page, and its last segment is the session's id."""
    payment = await start(client)
    assert re.fullmatch(r"cs_test_\w+", session_of(payment))
    page = await client.get(payment["checkout_url"])
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]


async def test_no_stripe_id_goes_out(client: httpx.AsyncClient) -> None:
    """A payer sees no session, intent, event or customer id of Stripe's, before and after paying."""
    payment = await start(client)
    await act(client, payment, "pay")
    fulfilled = await until_status(client, payment["id"], "fulfilled")
    shown = {key: value for key, value in payment.items() if key != "checkout_url"}
    assert not re.search(r"\b(cs|pi|evt|ch|cus|re)_", f"{shown} {fulfilled}")


async def test_stripe_is_asked_for_exactly_this_payment(client: httpx.AsyncClient, board: Served) -> None:
    """The session has the price once, the payment's id and the board's tag, and returns to the board."""
    payment = await start(client)
    session = await stripe_session(client, payment)
    assert session["mode"] == "payment"
    assert session["ui_mode"] == "hosted_page"
    assert session["client_reference_id"] == payment["id"]
    assert payment["id"] in session["metadata"].values()
    assert len(session["metadata"]) == 2
    assert session["amount_subtotal"] == session["amount_total"] == payment["amount"]
    assert session["currency"] == payment["currency"]
    assert session["success_url"] == f"{board.url}/?payment={payment['id']}"
    assert session["cancel_url"] == f"{board.url}/?cancelled={payment['id']}"
    assert session["expires_at"] == int(datetime.fromisoformat(payment["expires_at"]).timestamp())
    assert not session["allow_promotion_codes"]
    assert not session["automatic_tax"]["enabled"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example.com"},
        {"X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "https"},
        {"Forwarded": "host=evil.example.com", "Origin": "https://evil.example.com"},
        {"Referer": "https://evil.example.com/"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_the_way_back_is_nobody_elses_to_choose(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Whatever the request's Host, the payer comes back to the configured URL."""
    answer = await client.post("/api/payments", json={"text": "Hello"}, headers=headers)
    session = await stripe_session(client, answer.json())
    assert "evil" not in f"{session} {answer.headers}"


async def test_the_way_back_may_be_another_address(tmp_path: Path) -> None:
    """With a return URL, the payer comes back there."""
    with served_board(tmp_path, return_url="https://spa.example.com/") as served:
        async with http_client(served) as client:
            payment = await start(client)
            session = await stripe_session(client, payment)
    assert session["success_url"] == f"https://spa.example.com/?payment={payment['id']}"
    assert session["cancel_url"] == f"https://spa.example.com/?cancelled={payment['id']}"


async def test_price_and_duration_are_the_operators(tmp_path: Path) -> None:
    """Amount, currency and the session's duration come from the settings."""
    with served_board(tmp_path, price_amount=250, price_currency="eur", checkout_minutes=45) as served:
        async with http_client(served) as client:
            payment = await start(client)
            message = await post(client)
    duration = datetime.fromisoformat(payment["expires_at"]) - datetime.fromisoformat(payment["created_at"])
    assert (payment["amount"], payment["currency"]) == (message["amount"], message["currency"]) == (250, "eur")
    assert timedelta(minutes=44) < duration < timedelta(minutes=46)


async def test_a_payment_is_looked_up_as_it_was_made(client: httpx.AsyncClient) -> None:
    """A lookup returns the same as the creation, and must not be cached."""
    payment = await start(client)
    answer = await client.get(f"/api/payments/{payment['id']}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == payment


async def test_a_paid_payment_leads_to_its_message(client: httpx.AsyncClient) -> None:
    """After the payment, the lookup has the message's id, and the message has the payment's text and amount."""
    payment = await start(client, "Hello", author="Ann")
    await act(client, payment, "pay")
    fulfilled = await look_up(client, payment["id"])
    assert fulfilled == {
        **payment,
        "status": "fulfilled",
        "checkout_url": None,
        "message_id": fulfilled["message_id"],
    }
    message = (await client.get(f"/api/messages/{fulfilled['message_id']}")).json()
    assert message == {
        "id": fulfilled["message_id"],
        "text": "Hello",
        "author": "Ann",
        "amount": 100,
        "currency": "usd",
        "posted_at": message["posted_at"],
        "pinned_until": None,
    }
    assert datetime.fromisoformat(message["posted_at"]) >= datetime.fromisoformat(payment["created_at"])


@pytest.mark.parametrize(
    "payment_id",
    [
        "00000000-0000-4000-8000-000000000000",
        "0",
        "None",
        "%00",
        "%F0%9F%98%80",
        "%ff",
        "..%2F..%2Fetc%2Fpasswd",
        "' OR 1=1 --",
        "x" * 3000,
    ],
)
async def test_an_unknown_payment_is_404(client: httpx.AsyncClient, payment_id: str) -> None:
    """An unknown id and an invalid one are the same 404."""
    answer = await client.get(f"/api/payments/{payment_id}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
    assert answer.headers["cache-control"] == "no-store"


async def test_somebody_elses_spelling_is_404(client: httpx.AsyncClient) -> None:
    """A payment has one URL: its id in another spelling is unknown."""
    payment = await start(client)
    for other in (payment["id"].upper(), payment["id"].replace("-", ""), f"{payment['id']} ", f"{payment['id']}/"):
        assert (await client.get(f"/api/payments/{other}")).status_code == 404


OUTCOMES = [
    (["decline"], "pending"),
    (["decline", "pay"], "fulfilled"),
    (["expire"], "expired"),
    (["pay_later"], "processing"),
    (["pay_later", "settle"], "fulfilled"),
    (["pay_later", "settle_fail"], "failed"),
]


@pytest.mark.parametrize(("verbs", "status"), OUTCOMES, ids=["-".join(verbs) for verbs, _ in OUTCOMES])
async def test_the_status_follows_what_happens_at_stripe(
    client: httpx.AsyncClient, verbs: list[str], status: str
) -> None:
    """A declined card changes nothing, an expiry ends it, a delayed method is processing until it succeeds or fails."""
    payment = await start(client)
    for verb in verbs:
        await act(client, payment, verb)
    outcome: dict[str, Any] = await until_status(client, payment["id"], status)
    assert (outcome["checkout_url"] is None) == (status != "pending")
    assert (outcome["message_id"] is None) == (status != "fulfilled")


async def test_a_declined_card_leaves_the_way_open(client: httpx.AsyncClient) -> None:
    """After a declined card the same checkout_url can still be paid."""
    payment = await start(client)
    await act(client, payment, "decline")
    assert await look_up(client, payment["id"]) == payment
