"""Lists: cursors, filters and expansion, through Stripe's SDK where it supports them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench, Receiver


async def test_paging_forwards_and_backwards(bench: Bench) -> None:
    """Pages run newest first; `starting_after` and `ending_before` page in both directions without gaps or repeats."""
    ids = [(await bench.create()).id for _ in range(5)]
    newest_first = ids[::-1]
    sessions = bench.stripe.v1.checkout.sessions
    page = await sessions.list_async({"limit": 2})
    assert [item.id for item in page.data] == newest_first[:2]
    assert page.has_more
    page = await sessions.list_async({"limit": 3, "starting_after": newest_first[1]})
    assert [item.id for item in page.data] == newest_first[2:]
    assert not page.has_more
    page = await sessions.list_async({"limit": 2, "ending_before": newest_first[3]})
    assert [item.id for item in page.data] == newest_first[1:3]
    assert page.has_more
    walked = [item.id async for item in (await sessions.list_async({"limit": 2})).auto_paging_iter()]
    assert walked == newest_first
    assert page.url == "/v1/checkout/sessions"


async def test_the_default_page_has_ten(bench: Bench) -> None:
    """Without a limit a page has ten items; 0, 101 and words are refused."""
    for _ in range(11):
        await bench.create()
    page = await bench.stripe.v1.checkout.sessions.list_async()
    assert (len(page.data), page.has_more) == (10, True)
    for limit in ("0", "101", "many"):
        refused = await bench.raw("GET", "/checkout/sessions", params={"limit": limit})
        assert refused.json()["error"]["param"] == "limit"
    unknown = await bench.raw("GET", "/checkout/sessions", params={"starting_after": "cs_test_unknown"})
    assert unknown.json()["error"]["code"] == "resource_missing"
    unknown = await bench.raw("GET", "/checkout/sessions", params={"colour": "red"})
    assert unknown.json()["error"]["code"] == "parameter_unknown"


async def test_filters(bench: Bench, receiver: Receiver) -> None:
    """Lists filter by intent, charge, status, type and time."""
    paid, other = await bench.create(), await bench.create()
    for session in (paid, other):
        await bench.do(session.id, "pay")
    await bench.do(paid.id, "refund")
    await bench.do(other.id, "inquiry")
    still_open = await bench.create()
    intent = (await bench.session(paid.id))["payment_intent"]
    v1 = bench.stripe.v1
    assert [s.id for s in (await v1.checkout.sessions.list_async({"payment_intent": intent})).data] == [paid.id]
    assert [s.id for s in (await v1.checkout.sessions.list_async({"status": "open"})).data] == [still_open.id]
    charge = (await v1.charges.list_async({"payment_intent": intent})).data[0]
    assert charge.refunded
    assert len((await v1.refunds.list_async({"payment_intent": intent})).data) == 1
    assert len((await v1.refunds.list_async({"charge": charge.id})).data) == 1
    assert (await v1.disputes.list_async({"charge": charge.id})).data == []
    assert len((await v1.disputes.list_async()).data) == 1
    assert len((await v1.payment_intents.list_async()).data) == 2

    now = int(time.time())
    assert len((await v1.refunds.list_async({"created": {"gte": now - 60}})).data) == 1
    assert (await v1.refunds.list_async({"created": {"lt": now - 60}})).data == []
    assert (await v1.refunds.list_async({"created": {"gt": now + 60}})).data == []
    assert len((await v1.refunds.list_async({"created": {"lte": now + 60}})).data) == 1
    assert (await v1.refunds.list_async({"created": now - 60})).data == []

    kinds: Any = ["checkout.session.completed", "refund.created"]
    assert await _types(bench, {"types": kinds}) == ["refund.created", *["checkout.session.completed"] * 2]
    assert await _types(bench, {"type": "charge.dispute.created"}) == ["charge.dispute.created"]
    assert await _types(bench, {"type": "refund.*"}) == ["refund.created"]
    receiver.wait_for("charge.dispute.created")


async def test_events_by_their_delivery(bench: Bench, receiver: Receiver) -> None:
    """`delivery_success` separates the events that arrived from those that are pending or were dropped."""
    receiver.answer = lambda event: 500 if event["type"] == "refund.created" else 200
    created = await bench.create()
    await bench.do(created.id, "pay")
    await bench.do(created.id, "refund")
    await bench.attempts(3)
    assert await _types(bench, {"delivery_success": False}) == ["refund.created"]
    assert "checkout.session.completed" in await _types(bench, {"delivery_success": True})
    receiver.answer = lambda _event: 200
    await bench.delivered(receiver.of("refund.created")[0].event["id"])
    assert await _types(bench, {"delivery_success": False}) == []


async def test_expansion(bench: Bench) -> None:
    """Ids become objects along nested paths, in lists too; other fields are refused."""
    created = await bench.create()
    await bench.do(created.id, "pay")
    await bench.do(created.id, "refund_partial")
    session = await bench.session(created.id, "payment_intent.latest_charge.refunds", "line_items")
    charge = session["payment_intent"]["latest_charge"]
    assert charge["payment_intent"] == session["payment_intent"]["id"]
    assert [item["amount"] for item in charge["refunds"]["data"]] == [50]
    listed = await bench.stripe.v1.checkout.sessions.list_async({"expand": ["data.payment_intent"]})
    assert listed.data[0].to_dict()["payment_intent"]["id"] == session["payment_intent"]["id"]
    refunds = await bench.stripe.v1.refunds.list_async({"expand": ["data.charge", "data.payment_intent"]})
    assert refunds.data[0].to_dict()["charge"]["id"] == charge["id"]
    for path in ("metadata", "payment_intent.nothing", "a.b.c.d.e"):
        refused = await bench.raw("GET", f"/checkout/sessions/{created.id}", params={"expand[]": path})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "expand[0]")


async def test_an_expansion_of_nothing_is_nothing(bench: Bench) -> None:
    """Expanding the intent of a session that nobody started to pay leaves null."""
    created = await bench.create()
    session = await bench.session(created.id, "payment_intent.latest_charge")
    assert session["payment_intent"] is None


@pytest.mark.parametrize("path", ["/webhook_endpoints", "/disputes", "/events"])
async def test_empty_lists(bench: Bench, path: str) -> None:
    """Every list is a list object, even a short one."""
    answer = (await bench.raw("GET", path)).json()
    assert (answer["object"], answer["has_more"], answer["url"]) == ("list", False, f"/v1{path}")


async def _types(bench: Bench, params: Any) -> list[str]:
    return [event.type for event in (await bench.stripe.v1.events.list_async(params)).data]
