"""Faults: each has its effect, and none once cleared."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import stripe

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench, Receiver

COMPLETED = "checkout.session.completed"


async def pay(bench: Bench) -> str:
    """Return the id of a newly paid session."""
    created = await bench.create()
    await bench.do(created.id, "pay")
    return created.id


async def test_dropped_events_never_arrive(bench: Bench, receiver: Receiver) -> None:
    """The next n events are dropped for good, and the one after them arrives; a dropped one can be resent by hand."""
    await bench.faults(webhook={"drop": 2})
    lost = [await pay(bench), await pay(bench)]
    kept = await pay(bench)
    receiver.wait_for(COMPLETED)
    await asyncio.sleep(1)  # in which a dropped one would come
    assert [arrival.event["data"]["object"]["id"] for arrival in receiver.arrivals] == [kept]
    deliveries = (await bench.ledger())["deliveries"]
    assert [(item["session"], item["status"]) for item in deliveries] == [(lost[0], None), (lost[1], None), (kept, 200)]
    events = (await bench.stripe.v1.events.list_async({"delivery_success": False})).data
    assert len(events) == 2
    await bench.http.post(f"/test/events/{events[0].id}/resend")
    assert [arrival.event["id"] for arrival in receiver.arrivals][1:] == [events[0].id]
    assert len((await bench.stripe.v1.events.list_async({"delivery_success": False})).data) == 1


async def test_dropping_all(bench: Bench, receiver: Receiver) -> None:
    """With drop "all" nothing arrives until it is cleared, not even after a restart."""
    await bench.faults(webhook={"drop": "all"})
    await pay(bench)
    bench.stop()
    bench.start_again()
    await pay(bench)
    assert receiver.arrivals == []
    await bench.http.delete("/test/faults")
    await pay(bench)
    assert receiver.types() == [COMPLETED]


async def test_duplicates_come_at_the_same_moment(bench: Bench, receiver: Receiver) -> None:
    """Extra copies of an event, with the same id and valid signatures, are sent at once."""
    receiver.delay_s = 0.5
    await bench.faults(webhook={"duplicate": 49})
    await pay(bench)
    arrivals = receiver.wait_for(COMPLETED, count=50)
    assert len(arrivals) == 50
    assert len({arrival.event["id"] for arrival in arrivals}) == 1
    assert max(a.at for a in arrivals) - min(a.at for a in arrivals) < 5
    assert len((await bench.ledger())["deliveries"]) == 50


async def test_reordering(bench: Bench, receiver: Receiver) -> None:
    """Every second event overtakes the one before it: the refund arrives before the payment."""
    await bench.faults(webhook={"reorder": True})
    session_id = await pay(bench)
    await bench.do(session_id, "refund")
    receiver.wait_for(COMPLETED)
    assert receiver.types().index("refund.created") < receiver.types().index(COMPLETED)


async def test_events_of_another_shop(bench: Bench, receiver: Receiver) -> None:
    """Each event is joined by one of the same type about another application's sale, which the API knows too."""
    await bench.faults(webhook={"foreign_events": True})
    session_id = await pay(bench)
    await bench.do(session_id, "refund_partial")
    await bench.do(session_id, "dispute")
    for kind in (COMPLETED, "refund.created", "charge.refunded", "charge.dispute.created"):
        receiver.wait_for(kind, count=2)
    sessions = [arrival.event["data"]["object"] for arrival in receiver.of(COMPLETED)]
    foreign = next(item for item in sessions if item["id"] != session_id)
    assert foreign["metadata"].keys() == {"order_id"}
    assert (await bench.session(foreign["id"]))["payment_status"] == "paid"
    for refund in (arrival.event["data"]["object"] for arrival in receiver.of("refund.created")):
        intent = await bench.stripe.v1.payment_intents.retrieve_async(refund["payment_intent"])
        assert "payment" in intent.metadata or "order_id" in intent.metadata
    assert [item["id"] for item in (await bench.ledger())["sessions"]] == [session_id]


@pytest.mark.parametrize("kind", ["checkout.session.expired", "checkout.session.async_payment_failed", "refund.failed"])
async def test_foreign_objects_fit_their_event(bench: Bench, receiver: Receiver, kind: str) -> None:
    """A foreign object is in the state that its event describes."""
    created = await bench.create()
    if kind == "checkout.session.expired":
        verbs = ["expire"]
    elif kind == "refund.failed":
        verbs = ["pay", "refund_fail"]
    else:
        verbs = ["pay_later", "settle_fail"]
    await bench.faults(webhook={"foreign_events": True})
    for verb in verbs:
        await bench.do(created.id, verb)
    ours, theirs = (arrival.event["data"]["object"] for arrival in receiver.wait_for(kind, count=2))
    assert ours["id"] != theirs["id"]
    assert ours["status"] == theirs["status"]
    assert ours.get("payment_status") == theirs.get("payment_status")


async def test_an_answer_cut_off(bench: Bench) -> None:
    """The call is executed and gets no response; the same key then returns the session that was created."""
    await bench.faults(api={"drop_answer": 2})
    with pytest.raises(httpx.RemoteProtocolError):
        await bench.raw("POST", "/checkout/sessions", data=FORM, headers={"Idempotency-Key": "k1"})
    with pytest.raises(stripe.APIConnectionError):
        await bench.stripe.v1.refunds.create_async({"charge": "ch_x"}, {"max_network_retries": 0})
    assert len((await bench.ledger())["sessions"]) == 1
    replayed = await bench.raw("POST", "/checkout/sessions", data=FORM, headers={"Idempotency-Key": "k1"})
    assert replayed.headers["idempotent-replayed"] == "true"
    assert [item["id"] for item in (await bench.ledger())["sessions"]] == [replayed.json()["id"]]


async def test_only_acts_are_cut_off(bench: Bench) -> None:
    """A GET in between does not use up the fault."""
    await bench.faults(api={"drop_answer": 1})
    assert (await bench.raw("GET", "/account")).status_code == 200
    with pytest.raises(httpx.RemoteProtocolError):
        await bench.raw("POST", "/checkout/sessions", data=FORM)


async def test_the_sdk_survives_a_cut_answer(bench: Bench) -> None:
    """The SDK retries the call with its own key, and there is one session."""
    await bench.faults(api={"drop_answer": 1})
    created = await bench.create()
    assert [item["id"] for item in (await bench.ledger())["sessions"]] == [created.id]


async def test_hanging(bench: Bench) -> None:
    """A call hangs for as long as set, and is then executed even if the client has gone."""
    await bench.faults(api={"hang_s": 2})
    with pytest.raises(httpx.ReadTimeout):
        await bench.raw("POST", "/checkout/sessions", data=FORM, timeout=0.2)
    assert (await bench.ledger())["sessions"] == []
    await asyncio.sleep(2.5)
    assert len((await bench.ledger())["sessions"]) == 1


@pytest.mark.parametrize(("status", "error"), [(500, stripe.APIError), (429, stripe.RateLimitError)])
async def test_failing_answers(bench: Bench, status: int, error: type[Exception]) -> None:
    """For `count` calls the API returns 500 or 429 without executing them; the SDK raises its error for each."""
    await bench.faults(api={"status": status, "count": 2})
    for _ in range(2):
        with pytest.raises(error):
            await bench.stripe.v1.checkout.sessions.list_async(None, {"max_network_retries": 0})
    assert (await bench.create()).status == "open"
    assert (await bench.http.get("/test/faults")).json()["api"]["status"] is None


async def test_setting_and_clearing(bench: Bench) -> None:
    """Setting a group replaces it and leaves the other one; DELETE clears both; they survive a restart."""
    await bench.faults(webhook={"drop": 3, "duplicate": 1}, api={"hang_s": 1.5})
    await bench.faults(webhook={"delay_s": 2.5})
    bench.stop()
    bench.start_again()
    faults = (await bench.http.get("/test/faults")).json()
    assert faults == {
        "webhook": {"drop": 0, "duplicate": 0, "delay_s": 2.5, "reorder": False, "foreign_events": False},
        "api": {"hang_s": 1.5, "status": None, "drop_answer": 0, "count": None},
    }
    cleared = (await bench.http.delete("/test/faults")).json()
    assert not any(value for group in cleared.values() for value in group.values())


@pytest.mark.parametrize(
    "given",
    [
        [],
        {"webhooks": {}},
        {"webhook": []},
        {"webhook": {"drop": -1}},
        {"webhook": {"drop": "some"}},
        {"webhook": {"drop": True}},
        {"webhook": {"duplicate": 1000}},
        {"webhook": {"delay_s": "2"}},
        {"webhook": {"reorder": 1}},
        {"webhook": {"colour": "red"}},
        {"api": {"status": 503}},
        {"api": {"count": 0}},
        {"api": {"hang_s": -1}},
    ],
)
async def test_faults_that_cannot_be(bench: Bench, given: Any) -> None:
    """An invalid fault is refused with 422 and an explanation, and changes nothing."""
    await bench.faults(webhook={"drop": 1})
    answer = await bench.http.put("/test/faults", json=given)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"]
    assert (await bench.http.get("/test/faults")).json()["webhook"]["drop"] == 1


PRICE = "line_items[0][price_data]"
FORM = {
    "mode": "payment",
    "success_url": "http://board.example/",
    f"{PRICE}[currency]": "usd",
    f"{PRICE}[unit_amount]": "100",
    f"{PRICE}[product_data][name]": "A message",
}
