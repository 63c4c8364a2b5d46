"""The controls: verbs in each state, the ledger, the clock, tax, and invalid bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from paidchat.sandbox.lifecycle.verbs import VERBS

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench

STATES: dict[str, list[str]] = {
    "open": [],
    "declined": ["decline"],
    "expired": ["expire"],
    "paid": ["pay"],
    "on its way": ["pay_later"],
    "arrived": ["pay_later", "settle"],
    "refused by the bank": ["pay_later", "settle_fail"],
    "refunded": ["pay", "refund"],
    "refunded in part": ["pay", "refund_partial"],
    "refund failed": ["pay", "refund", "refund_fail"],
    "bank refund pending": ["pay_later", "settle", "refund"],
    "disputed": ["pay", "dispute"],
    "disputed after a refund in part": ["pay", "refund_partial", "dispute"],
    "dispute won": ["pay", "dispute", "win_dispute"],
    "dispute lost": ["pay", "dispute", "lose_dispute"],
    "inquiry": ["pay", "inquiry"],
    "inquiry closed": ["pay", "inquiry", "inquiry"],
    "inquiry escalated": ["pay", "inquiry", "dispute"],
}


@pytest.mark.parametrize("state", STATES)
async def test_the_panel_offers_what_is_possible(bench: Bench, state: str) -> None:
    """In every state exactly the verbs with a button on the panel work; all others are refused with 409."""
    await bench.faults(webhook={"drop": "all"})
    session_id = await _in_state(bench, state)
    panel = (await bench.http.get("/panel/live")).text
    offered = {verb for verb in VERBS if f'action="/panel/sessions/{session_id}/{verb}"' in panel}
    for verb in VERBS.keys() - offered:
        await bench.do(session_id, verb, expect=409)
    for verb in offered:
        await bench.do(await _in_state(bench, state), verb)


async def _in_state(bench: Bench, state: str) -> str:
    created = await bench.create()
    for step in STATES[state]:
        await bench.do(created.id, step)
    return created.id


async def test_the_ledger(bench: Bench) -> None:
    """The ledger has every session's true state, oldest first, and every attempt of every delivery."""
    first, second = await bench.create(), await bench.create(client_reference_id="p2", metadata=None)
    await bench.do(first.id, "pay")
    await bench.do(first.id, "refund_partial")
    await bench.attempts(3)
    ledger = await bench.ledger()
    session = await bench.session(first.id)
    assert ledger["sessions"][0] == {
        "id": first.id,
        "client_reference_id": "p1",
        "metadata": {"payment": "p1", "board": "b1"},
        "payment_intent": session["payment_intent"],
        "status": "complete",
        "payment_status": "paid",
        "amount_total": 100,
        "currency": "usd",
        "amount_refunded": 50,
        "disputed": False,
        "dispute_status": None,
    }
    assert ledger["sessions"][1]["id"] == second.id
    assert (ledger["sessions"][1]["metadata"], ledger["sessions"][1]["payment_intent"]) == ({}, None)
    completed = ledger["deliveries"][0]
    assert completed["type"] == "checkout.session.completed"
    assert (completed["session"], completed["attempt"], completed["status"]) == (first.id, 1, 200)
    assert completed["event"].startswith("evt_")
    assert completed["at"].endswith("Z")


@pytest.mark.parametrize("path", ["/test/clock", "/test/tax", "/test/faults"])
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'{"colour": "red"}', b"\xff"])
async def test_bodies_that_make_no_sense(still_bench: Bench, path: str, body: bytes) -> None:
    """A control with an invalid body returns 422 and says what it expects."""
    method = "POST" if path == "/test/clock" else "PUT"
    answer = await still_bench.http.request(method, path, content=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("advance", [-1, "1", True, 1e12])
async def test_time_only_passes_forwards(still_bench: Bench, advance: Any) -> None:
    """The clock accepts seconds from 0 to a year."""
    assert (await still_bench.http.post("/test/clock", json={"advance_s": advance})).status_code == 422
    assert (await still_bench.http.get("/test/clock")).json()["advance_s"] == 0


async def test_the_clock_survives_a_restart(bench: Bench) -> None:
    """The clock stays advanced."""
    await bench.http.post("/test/clock", json={"advance_s": 90})
    bench.stop()
    bench.start_again()
    assert (await bench.http.get("/test/clock")).json()["advance_s"] == 90
