"""The life of a checkout session, seen through Stripe's SDK."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench, Receiver
    from tests.support.shapes import Json


CHARGE = ("payment_intent.latest_charge",)
MOVING = ("status", "payment_status", "url", "payment_intent", "customer_details", "collected_information")


def moving(session: Json) -> Json:
    """Return the fields of a session that change during its life."""
    return {name: session[name] for name in MOVING}


async def test_one_session_through_every_state(bench: Bench, receiver: Receiver) -> None:
    """After declining, paying later, settling and refunding, every field that should change does."""
    created = await bench.create()
    _is_open(await bench.session(created.id), bench.settings.public_url)
    await bench.do(created.id, "decline")
    _is_declined(await bench.session(created.id, *CHARGE), created.url)
    intent = (await bench.session(created.id))["payment_intent"]
    await bench.do(created.id, "pay_later")
    completed = receiver.wait_for("checkout.session.completed")[0].event["data"]["object"]
    assert completed == await bench.session(created.id)
    _is_on_its_way(await bench.session(created.id, *CHARGE))
    await bench.do(created.id, "settle")
    receiver.wait_for("checkout.session.async_payment_succeeded")
    _is_paid(await bench.session(created.id, *CHARGE))
    await bench.do(created.id, "refund_partial")
    _is_refunded(await bench.session(created.id, *CHARGE), 50, wholly=False)
    await bench.do(created.id, "refund")
    _is_refunded(await bench.session(created.id, *CHARGE), 100, wholly=True)
    assert (await bench.session(created.id))["payment_intent"] == intent, "one intent for all tries"


def _is_open(session: Json, public_url: str) -> None:
    assert moving(session) == {
        "status": "open",
        "payment_status": "unpaid",
        "url": f"{public_url}/pay/{session['id']}",
        "payment_intent": None,
        "customer_details": None,
        "collected_information": None,
    }
    assert (session["amount_subtotal"], session["amount_total"], session["currency"]) == (100, 100, "usd")
    assert session["total_details"] == {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}
    assert session["metadata"] == {"payment": "p1", "board": "b1"}
    assert (session["client_reference_id"], session["livemode"]) == ("p1", False)
    assert (session["mode"], session["ui_mode"]) == ("payment", "hosted_page")
    assert session["expires_at"] == session["created"] + 24 * 3600


def _is_declined(session: Json, url: str | None) -> None:
    intent, charge = session["payment_intent"], session["payment_intent"]["latest_charge"]
    assert (session["status"], session["payment_status"], session["url"]) == ("open", "unpaid", url)
    assert session["customer_details"] is None
    assert (intent["status"], intent["amount_received"]) == ("requires_payment_method", 0)
    assert intent["last_payment_error"]["code"] == "card_declined"
    assert intent["last_payment_error"]["decline_code"] == "generic_decline"
    assert intent["last_payment_error"]["charge"] == charge["id"]
    assert (charge["status"], charge["paid"], charge["failure_code"]) == ("failed", False, "card_declined")


def _is_on_its_way(session: Json) -> None:
    intent, charge = session["payment_intent"], session["payment_intent"]["latest_charge"]
    assert (session["status"], session["payment_status"], session["url"]) == ("complete", "unpaid", None)
    assert session["customer_details"]["email"] == "buyer@example.com"
    assert session["customer_details"]["address"]["country"] == "US"
    assert (intent["status"], intent["amount_received"]) == ("processing", 0)
    assert (charge["status"], charge["paid"]) == ("pending", False)
    assert charge["payment_method_details"]["type"] == "us_bank_account"


def _is_paid(session: Json) -> None:
    intent, charge = session["payment_intent"], session["payment_intent"]["latest_charge"]
    assert (session["status"], session["payment_status"]) == ("complete", "paid")
    assert (intent["status"], intent["amount_received"], intent["last_payment_error"]) == ("succeeded", 100, None)
    assert intent["metadata"] == charge["metadata"] == {"payment": "p1", "board": "b1"}
    assert (charge["status"], charge["paid"]) == ("succeeded", True)
    assert (charge["captured"], charge["amount_captured"]) == (True, 100)
    assert (charge["refunded"], charge["amount_refunded"], charge["disputed"]) == (False, 0, False)


def _is_refunded(session: Json, amount: int, *, wholly: bool) -> None:
    intent, charge = session["payment_intent"], session["payment_intent"]["latest_charge"]
    assert (charge["refunded"], charge["amount_refunded"]) == (wholly, amount)
    assert session["payment_status"] == "paid", "a session stays paid after a refund"
    assert intent["status"] == "succeeded"


async def test_card_events_come_in_stripes_order(bench: Bench, receiver: Receiver) -> None:
    """A card payment records intent, charge and session events in order and delivers the subscribed one."""
    created = await bench.create()
    await bench.do(created.id, "pay")
    events = (await bench.stripe.v1.events.list_async({"limit": 100})).data
    assert [event.type for event in reversed(events)] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    assert receiver.types() == ["checkout.session.completed"]
    session = receiver.arrivals[0].event["data"]["object"]
    assert session == await bench.session(created.id)
    assert session["payment_intent"].startswith("pi_")


async def test_a_bank_refuses_a_debit(bench: Bench, receiver: Receiver) -> None:
    """A refused debit leaves the session complete and unpaid, and the intent in need of a payment method."""
    created = await bench.create()
    await bench.do(created.id, "pay_later")
    await bench.do(created.id, "settle_fail")
    event = receiver.wait_for("checkout.session.async_payment_failed")[0].event
    assert (event["data"]["object"]["status"], event["data"]["object"]["payment_status"]) == ("complete", "unpaid")
    session = await bench.session(created.id, "payment_intent.latest_charge")
    assert session["payment_intent"]["status"] == "requires_payment_method"
    assert session["payment_intent"]["latest_charge"]["status"] == "failed"
    assert (await bench.do(created.id, "settle", expect=409))["error"]["code"] == "conflict"


async def test_expiring_a_session(bench: Bench, receiver: Receiver) -> None:
    """An open session can be expired through the API once, loses its URL, and its started intent is cancelled."""
    created = await bench.create()
    await bench.do(created.id, "decline")
    expired = await bench.stripe.v1.checkout.sessions.expire_async(created.id)
    assert (expired.status, expired.payment_status, expired.url) == ("expired", "unpaid", None)
    event = receiver.wait_for("checkout.session.expired")[0].event
    assert event["request"]["id"].startswith("req_")
    intent = await bench.stripe.v1.payment_intents.retrieve_async(str(expired.payment_intent))
    assert intent.status == "canceled"
    again = await bench.raw("POST", f"/checkout/sessions/{created.id}/expire")
    assert again.status_code == 400
    assert again.json()["error"]["type"] == "invalid_request_error"
    await bench.do(created.id, "pay", expect=409)


async def test_time_expires_a_session(bench: Bench, receiver: Receiver) -> None:
    """Advancing the clock past `expires_at` expires a session, and one created afterwards stays open."""
    created = await bench.create(expires_at=int(time.time()) + 1800)
    kept = await bench.create(expires_at=int(time.time()) + 7200)
    answer = await bench.http.post("/test/clock", json={"advance_s": 1801})
    assert answer.json()["advance_s"] == 1801
    assert (await bench.session(created.id))["status"] == "expired"
    assert (await bench.session(kept.id))["status"] == "open"
    receiver.wait_for("checkout.session.expired")
    later = await bench.create(expires_at=int(time.time()) + 1801)
    assert (await bench.session(later.id))["status"] == "open"
    await bench.http.post("/test/clock", json={"advance_s": 1802})
    assert (await bench.session(later.id))["status"] == "expired"


async def test_verbs_a_state_forbids(bench: Bench) -> None:
    """Every verb that needs a payment is 409 on an open session; unknown verbs and sessions are 404."""
    created = await bench.create()
    for verb in (
        "settle",
        "settle_fail",
        "refund",
        "refund_partial",
        "refund_fail",
        "refund_settle",
        "dispute",
        "win_dispute",
        "lose_dispute",
        "inquiry",
    ):
        answer = await bench.do(created.id, verb, expect=409)
        assert answer["error"]["message"], verb
    await bench.do(created.id, "sing", expect=404)
    await bench.do("cs_test_unknown", "pay", expect=404)
    assert (await bench.session(created.id))["status"] == "open"


async def test_line_items(bench: Bench) -> None:
    """Line items are available in their own list and by expansion, with price and product made from `price_data`.

    A line's description is the product's name, and the product has a description of its own, as at Stripe.
    """
    created = await bench.create(
        line_items=[
            {
                "quantity": 3,
                "price_data": {
                    "currency": "EUR",
                    "unit_amount": 100,
                    "tax_behavior": "exclusive",
                    "product_data": {"name": "A message", "description": "Hello, world!"},
                },
            },
            {"price_data": {"currency": "eur", "unit_amount": 5, "product_data": {"name": "A star"}}},
        ]
    )
    assert (created.amount_total, created.currency) == (305, "eur")
    lines = (await bench.stripe.v1.checkout.sessions.line_items.list_async(created.id)).data
    assert [(line.description, line.quantity, line.amount_total) for line in lines] == [
        ("A message", 3, 300),
        ("A star", 1, 5),
    ]
    assert lines[0].price is not None
    assert (lines[0].price.unit_amount, lines[0].price.tax_behavior) == (100, "exclusive")
    products = (await bench.session(created.id, "line_items.data.price.product"))["line_items"]["data"]
    described = [(line["price"]["product"]["name"], line["price"]["product"]["description"]) for line in products]
    assert described == [("A message", "Hello, world!"), ("A star", None)]
    expanded = await bench.session(created.id, "line_items")
    assert expanded["line_items"]["data"][0]["price"]["product"] == products[0]["price"]["product"]["id"]
    assert [line["id"] for line in expanded["line_items"]["data"]] == [line.id for line in lines]
    assert "line_items" not in await bench.session(created.id)


async def test_automatic_tax_needs_a_head_office(bench: Bench) -> None:
    """Without a head office automatic tax is refused; with one, exclusive tax is added when the buyer pays."""
    refused = await bench.raw("POST", "/checkout/sessions", data=_taxed("exclusive"))
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "automatic_tax"
    settings = await bench.raw("GET", "/tax/settings")
    assert settings.json()["status"] == "pending"

    await bench.http.put("/test/tax", json={"head_office": True, "rate_percent": 8.5})
    assert (await bench.raw("GET", "/tax/settings")).json()["status"] == "active"
    for behavior, total, tax in (("exclusive", 109, 9), ("inclusive", 100, 8)):
        session = (await bench.raw("POST", "/checkout/sessions", data=_taxed(behavior))).json()
        assert (session["amount_total"], session["automatic_tax"]["status"]) == (100, "requires_location_inputs")
        await bench.do(session["id"], "pay")
        paid = await bench.session(session["id"], "payment_intent.latest_charge", "line_items")
        assert (paid["amount_subtotal"], paid["amount_total"]) == (100, total)
        assert paid["total_details"]["amount_tax"] == tax
        assert paid["automatic_tax"]["status"] == "complete"
        assert paid["line_items"]["data"][0]["amount_tax"] == tax
        assert paid["payment_intent"]["amount_received"] == paid["payment_intent"]["latest_charge"]["amount"] == total


def _taxed(behavior: str) -> dict[str, str]:
    price = "line_items[0][price_data]"
    return {
        "mode": "payment",
        "success_url": "http://board.example/",
        "automatic_tax[enabled]": "true",
        f"{price}[currency]": "usd",
        f"{price}[unit_amount]": "100",
        f"{price}[tax_behavior]": behavior,
        f"{price}[product_data][name]": "A message",
    }
