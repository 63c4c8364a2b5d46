"""Disputes and inquiries: opened, escalated, won and lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench, Receiver

CREATED, WITHDRAWN, CLOSED = (
    "charge.dispute.created",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.closed",
)


async def paid(bench: Bench) -> str:
    """Return the id of a paid session."""
    created = await bench.create()
    await bench.do(created.id, "pay")
    return created.id


async def disputed(bench: Bench) -> bool:
    """Return the first session in the ledger."""
    return bool((await bench.ledger())["sessions"][0]["disputed"])


async def test_a_dispute_is_won(bench: Bench, receiver: Receiver) -> None:
    """A dispute withdraws the money, blocks refunds, and gives it back when won."""
    session_id = await paid(bench)
    await bench.do(session_id, "dispute")
    opened = receiver.wait_for(CREATED)[0].event["data"]["object"]
    assert (opened["status"], opened["amount"], opened["is_charge_refundable"]) == ("needs_response", 100, False)
    assert receiver.wait_for(WITHDRAWN)[0].event["data"]["object"]["balance_transactions"][0]["amount"] == -100
    session = await bench.session(session_id, "payment_intent.latest_charge")
    assert session["payment_intent"]["latest_charge"]["disputed"] is True
    assert await disputed(bench)
    await bench.do(session_id, "refund", expect=409)
    await bench.do(session_id, "dispute", expect=409)
    await bench.do(session_id, "inquiry", expect=409)
    await bench.do(session_id, "win_dispute")
    assert receiver.wait_for(CLOSED)[0].event["data"]["object"]["status"] == "won"
    assert not await disputed(bench)
    listed = await bench.stripe.v1.disputes.list_async({"expand": ["data.charge"]})
    assert [item.status for item in listed.data] == ["won"]
    reinstated = await bench.stripe.v1.events.list_async({"type": "charge.dispute.funds_reinstated"})
    assert len(reinstated.data) == 1
    await bench.do(session_id, "lose_dispute", expect=409)


async def test_a_dispute_is_lost(bench: Bench, receiver: Receiver) -> None:
    """A lost dispute is closed as lost and stays."""
    session_id = await paid(bench)
    await bench.do(session_id, "dispute")
    await bench.do(session_id, "lose_dispute")
    assert receiver.wait_for(CLOSED)[0].event["data"]["object"]["status"] == "lost"
    assert await disputed(bench)


async def test_an_inquiry_is_no_dispute(bench: Bench, receiver: Receiver) -> None:
    """An inquiry moves no money, leaves the charge refundable, and closes with a warning status."""
    session_id = await paid(bench)
    await bench.do(session_id, "inquiry")
    opened = receiver.wait_for(CREATED)[0].event["data"]["object"]
    assert (opened["status"], opened["is_charge_refundable"]) == ("warning_needs_response", True)
    assert opened["balance_transactions"] == []
    assert opened["payment_method_details"]["card"]["case_type"] == "inquiry"
    assert not await disputed(bench)
    await bench.do(session_id, "refund_partial")
    await bench.do(session_id, "win_dispute", expect=409)
    await bench.do(session_id, "inquiry")
    assert receiver.wait_for(CLOSED)[0].event["data"]["object"]["status"] == "warning_closed"
    assert receiver.of(WITHDRAWN) == []


async def test_an_inquiry_becomes_a_dispute(bench: Bench, receiver: Receiver) -> None:
    """An open inquiry that escalates keeps its id, and the money is withdrawn."""
    session_id = await paid(bench)
    await bench.do(session_id, "inquiry")
    inquiry = receiver.wait_for(CREATED)[0].event["data"]["object"]
    await bench.do(session_id, "dispute")
    withdrawn = receiver.wait_for(WITHDRAWN)[0].event["data"]["object"]
    assert (withdrawn["id"], withdrawn["status"]) == (inquiry["id"], "needs_response")
    assert withdrawn["is_charge_refundable"] is False
    assert len(receiver.of(CREATED)) == 1
    assert await disputed(bench)
    await bench.do(session_id, "refund", expect=409)


async def test_a_refunded_payment_is_not_disputed(bench: Bench) -> None:
    """A fully refunded payment cannot be disputed."""
    session_id = await paid(bench)
    await bench.do(session_id, "refund")
    await bench.do(session_id, "dispute", expect=409)
    await bench.do(session_id, "inquiry", expect=409)
