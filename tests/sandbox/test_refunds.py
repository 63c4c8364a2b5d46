"""Refunds: full, partial, pending and failed, through the API and by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stripe

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench, Receiver
    from tests.support.shapes import Json


async def paid(bench: Bench, verb: str = "pay") -> tuple[str, str]:
    """Return the ids of a paid session and its intent."""
    created = await bench.create()
    await bench.do(created.id, verb)
    if verb == "pay_later":
        await bench.do(created.id, "settle")
    return created.id, (await bench.session(created.id))["payment_intent"]


async def charge_of(bench: Bench, session_id: str) -> Json:
    """Return a session's charge."""
    session = await bench.session(session_id, "payment_intent.latest_charge")
    charge: Json = session["payment_intent"]["latest_charge"]
    return charge


async def test_a_whole_refund_through_the_api(bench: Bench, receiver: Receiver) -> None:
    """Refunding an intent succeeds at once, marks the charge, and sends refund.created and charge.refunded."""
    session_id, intent = await paid(bench)
    refund = await bench.stripe.v1.refunds.create_async(
        {"payment_intent": intent, "reason": "duplicate", "metadata": {"why": "twice"}, "expand": ["charge"]}
    )
    assert (refund.status, refund.amount, refund.currency, refund.reason) == ("succeeded", 100, "usd", "duplicate")
    assert refund.to_dict()["charge"]["refunded"] is True
    assert refund.to_dict()["metadata"] == {"why": "twice"}
    charge = await charge_of(bench, session_id)
    assert (charge["refunded"], charge["amount_refunded"]) == (True, 100)
    event = receiver.wait_for("refund.created")[0].event
    assert event["request"]["id"].startswith("req_")
    assert event["data"]["object"]["payment_intent"] == intent
    assert receiver.wait_for("charge.refunded")[0].event["data"]["object"]["amount_refunded"] == 100


async def test_refunds_in_part(bench: Bench, receiver: Receiver) -> None:
    """Partial refunds add up, never beyond the charge, and only the last makes it refunded."""
    session_id, intent = await paid(bench)
    charge_id = (await charge_of(bench, session_id))["id"]
    refunds = bench.stripe.v1.refunds
    await refunds.create_async({"charge": charge_id, "amount": 30})
    charge = await charge_of(bench, session_id)
    assert (charge["refunded"], charge["amount_refunded"]) == (False, 30)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await refunds.create_async({"payment_intent": intent, "amount": 71})
    assert refused.value.param == "amount"
    rest = await refunds.create_async({"payment_intent": intent})
    assert rest.amount == 70
    charge = await charge_of(bench, session_id)
    assert (charge["refunded"], charge["amount_refunded"]) == (True, 100)
    receiver.wait_for("charge.refunded", count=2)


async def test_what_cannot_be_refunded(bench: Bench) -> None:
    """Unknown, missing, unpaid, refunded and disputed charges are refused, each as by Stripe."""
    created = await bench.create()
    await bench.do(created.id, "decline")
    declined = (await bench.session(created.id))["payment_intent"]
    refunded_session, refunded = await paid(bench)
    await bench.do(refunded_session, "refund")
    disputed_session, disputed = await paid(bench)
    await bench.do(disputed_session, "dispute")
    for form, status, code in (
        ({}, 400, "parameter_missing"),
        ({"payment_intent": "pi_unknown"}, 404, "resource_missing"),
        ({"charge": "ch_unknown"}, 404, "resource_missing"),
        ({"payment_intent": declined}, 400, None),
        ({"payment_intent": refunded}, 400, "charge_already_refunded"),
        ({"payment_intent": disputed}, 400, "charge_disputed"),
        ({"payment_intent": disputed, "amount": "0"}, 400, "parameter_invalid_integer"),
        ({"payment_intent": disputed, "reason": "whim"}, 400, None),
    ):
        answer = await bench.raw("POST", "/refunds", data=form)
        assert (answer.status_code, answer.json()["error"].get("code")) == (status, code), form


async def test_a_refund_that_fails_gives_the_money_back(bench: Bench, receiver: Receiver) -> None:
    """A failed refund sends refund.failed, and the charge is as before it; it can be refunded again."""
    session_id, _ = await paid(bench)
    await bench.do(session_id, "refund")
    await bench.do(session_id, "refund_fail")
    failed = receiver.wait_for("refund.failed")[0].event["data"]["object"]
    assert failed["status"] == "failed"
    assert failed["failure_reason"]
    updated = receiver.wait_for("refund.updated")[0].event
    assert updated["data"]["previous_attributes"] == {"status": "succeeded"}
    charge = await charge_of(bench, session_id)
    assert (charge["refunded"], charge["amount_refunded"]) == (False, 0)
    await bench.do(session_id, "refund")
    assert (await bench.ledger())["sessions"][0]["amount_refunded"] == 100


async def test_a_refund_can_fail_out_of_the_blue(bench: Bench, receiver: Receiver) -> None:
    """Without an existing refund, one is created and fails."""
    session_id, _ = await paid(bench)
    await bench.do(session_id, "refund_fail")
    receiver.wait_for("refund.created")
    receiver.wait_for("refund.failed")
    assert (await bench.ledger())["sessions"][0]["amount_refunded"] == 0


async def test_bank_refunds_take_days(bench: Bench, receiver: Receiver) -> None:
    """A bank debit's refund is pending, already counts as refunded, and succeeds five days later or by hand."""
    by_time, _ = await paid(bench, "pay_later")
    by_hand, _ = await paid(bench, "pay_later")
    for session_id in (by_time, by_hand):
        await bench.do(session_id, "refund")
        assert (await charge_of(bench, session_id))["refunded"] is True
    assert [item.status for item in (await bench.stripe.v1.refunds.list_async()).data] == ["pending", "pending"]
    await bench.do(by_hand, "refund_settle")
    await bench.http.post("/test/clock", json={"advance_s": 5 * 24 * 3600})
    assert [item.status for item in (await bench.stripe.v1.refunds.list_async()).data] == ["succeeded", "succeeded"]
    receiver.wait_for("refund.updated", count=2)
    await bench.do(by_hand, "refund_settle", expect=409)
