"""Idempotency keys: the first response is the only one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import stripe

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench

KEY = {"Idempotency-Key": "key-1"}
PRICE = "line_items[0][price_data]"
FORM = {
    "mode": "payment",
    "success_url": "http://board.example/",
    f"{PRICE}[currency]": "usd",
    f"{PRICE}[unit_amount]": "100",
    f"{PRICE}[product_data][name]": "A message",
}


async def create(bench: Bench, headers: dict[str, str] = KEY, **changes: str) -> Any:
    """Create a session under a key and return the HTTP response."""
    return await bench.raw("POST", "/checkout/sessions", data={**FORM, **changes}, headers=headers)


async def test_a_key_replays_its_first_answer(bench: Bench) -> None:
    """The same call under the same key gets the same bytes, marked as replayed, even after a restart."""
    first = await create(bench)
    assert first.status_code == 200
    assert "idempotent-replayed" not in first.headers
    assert first.headers["idempotency-key"] == "key-1"
    bench.stop()
    bench.start_again()
    again = await create(bench)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"]
    assert again.headers["request-id"] != first.headers["request-id"]
    assert len((await bench.ledger())["sessions"]) == 1


async def test_the_replay_is_the_answer_of_then(bench: Bench) -> None:
    """A replay returns the session as it was created, not its current state."""
    first = (await create(bench)).json()
    await bench.do(first["id"], "pay")
    assert (await create(bench)).json()["status"] == "open"


async def test_other_parameters_under_the_same_key(bench: Bench) -> None:
    """The same key with other parameters, or for another call, is an idempotency error."""
    await create(bench)
    other = await create(bench, client_reference_id="p2")
    assert other.status_code == 400
    assert other.json()["error"]["type"] == "idempotency_error"
    elsewhere = await bench.raw("POST", "/refunds", data={"charge": "ch_x"}, headers=KEY)
    assert elsewhere.json()["error"]["type"] == "idempotency_error"
    with pytest.raises(stripe.IdempotencyError):
        await bench.stripe.v1.refunds.create_async({"charge": "ch_x"}, {"idempotency_key": "key-1"})


async def test_refused_parameters_leave_the_key_free(bench: Bench) -> None:
    """A validation failure is not kept: the key works once the parameters are right."""
    refused = await create(bench, colour="red")
    assert refused.status_code == 400
    created = await create(bench)
    assert created.status_code == 200
    assert "idempotent-replayed" not in created.headers


async def test_a_key_in_use(bench: Bench) -> None:
    """While a call is in progress the same key is 409; afterwards it is replayed, and there is one session."""
    await bench.faults(api={"hang_s": 1.5})
    answers = await asyncio.gather(*(create(bench) for _ in range(6)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 409, 409, 409, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["error"]["code"] == "idempotency_key_in_use"
    assert (await create(bench)).headers["idempotent-replayed"] == "true"
    assert len((await bench.ledger())["sessions"]) == 1


async def test_a_500_is_remembered_and_a_429_is_not(bench: Bench) -> None:
    """A stored 500 is replayed under its key after the fault is cleared; a 429 leaves the key free."""
    await bench.faults(api={"status": 500})
    broken = await create(bench)
    assert (broken.status_code, broken.json()["error"]["type"]) == (500, "api_error")
    await bench.faults(api={"status": 429})
    limited = await create(bench, {"Idempotency-Key": "key-2"})
    assert (limited.status_code, limited.json()["error"]["code"]) == (429, "rate_limit")
    await bench.http.delete("/test/faults")
    replayed = await create(bench)
    assert (replayed.status_code, replayed.headers["idempotent-replayed"]) == (500, "true")
    assert (await create(bench, {"Idempotency-Key": "key-2"})).status_code == 200
    assert len((await bench.ledger())["sessions"]) == 1


async def test_a_refusal_after_execution_began_is_remembered(bench: Bench) -> None:
    """Refunding a refunded payment fails permanently under its key, as at Stripe."""
    created = await bench.create()
    await bench.do(created.id, "pay")
    intent = (await bench.session(created.id))["payment_intent"]
    await bench.do(created.id, "refund")
    refused = await bench.raw("POST", "/refunds", data={"payment_intent": intent}, headers=KEY)
    assert refused.json()["error"]["code"] == "charge_already_refunded"
    await bench.do(created.id, "refund_fail")
    again = await bench.raw("POST", "/refunds", data={"payment_intent": intent}, headers=KEY)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["error"]["code"] == "charge_already_refunded"


async def test_keys_have_a_longest_length(bench: Bench) -> None:
    """A key of 255 characters works, one of 256 does not."""
    assert (await create(bench, {"Idempotency-Key": "k" * 255})).status_code == 200
    assert (await create(bench, {"Idempotency-Key": "k" * 256})).status_code == 400


async def test_without_a_key_every_call_acts(bench: Bench) -> None:
    """Two calls without a key are two sessions."""
    await create(bench, {})
    await create(bench, {})
    assert len((await bench.ledger())["sessions"]) == 2
