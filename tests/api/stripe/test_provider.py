"""When Stripe is slow, silent or failing: a 503 in time, no second charge, and everything else works."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.board_client import act, http_client, look_up, session_of, start, until_status
from tests.support.network.strangers import Echo, counting, silence
from tests.support.rows import first_sweep_over, opened, write_payment
from tests.support.served import free_port, served_board
from tests.support.transactions import transaction
from tests.support.waiting import until

SESSIONS = "/v1/checkout/sessions"
REFUSAL = {"error": {"type": "invalid_request_error", "message": "No such thing", "param": "x"}}
FAILURE = {"error": {"type": "api_error", "message": "Sorry"}}


async def send(client: httpx.AsyncClient, key: str) -> httpx.Response:
    """Start a payment with a key."""
    return await client.post("/api/payments", json={"text": "Hello"}, headers={"Idempotency-Key": key})


def is_unavailable(answer: httpx.Response) -> None:
    """Check that a response is the contract's 503 with Retry-After."""
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["code"] == "payment_provider_unavailable"
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.any_database
async def test_a_closed_port_is_503(tmp_path: Path) -> None:
    """If nothing listens at Stripe's address, the response is a quick 503 with Retry-After."""
    with served_board(tmp_path, stripe_api_base=f"http://127.0.0.1:{free_port()}") as served:
        async with http_client(served) as client:
            started = time.monotonic()
            is_unavailable(await client.post("/api/payments", json={"text": "Hello"}))
            assert time.monotonic() - started <= 9


@pytest.mark.any_database
async def test_a_silent_stripe_is_503_in_time_and_holds_nobody_up(tmp_path: Path) -> None:
    """If Stripe accepts the call and never responds, 503 comes within 9 s, and the board stays fast meanwhile."""
    with silence() as url, served_board(tmp_path, stripe_api_base=url) as served:
        async with opened(served.settings.database_url) as database, transaction(database) as connection:
            open_payment = await write_payment(connection, session_id="cs_1", checkout_url="https://x.example.com")
        async with http_client(served) as client:
            started = time.monotonic()
            await look_up(client, open_payment)
            assert time.monotonic() - started < 2
            paying = [asyncio.create_task(client.post("/api/payments", json={"text": "Hello"})) for _ in range(5)]
            slowest = 0.0
            while not all(task.done() for task in paying):
                asked = time.monotonic()
                for path in ("/healthz", "/api/messages", "/api/board"):
                    assert (await client.get(path)).status_code == 200
                slowest = max(slowest, time.monotonic() - asked)
                await asyncio.sleep(0.25)
            answers = await asyncio.gather(*paying)
    for answer in answers:
        is_unavailable(answer)
        assert answer.elapsed.total_seconds() <= 9
    assert slowest < 2


@pytest.fixture
async def stripe() -> AsyncIterator[Echo]:
    """The server in Stripe's place."""
    async with counting() as echo:
        yield echo


@pytest.mark.any_database
async def test_a_refusal_is_503_and_is_not_repeated(tmp_path: Path, stripe: Echo) -> None:
    """If Stripe refuses the request itself, the payer gets 503 and Stripe is not asked in a loop."""
    stripe.status, stripe.body = 400, REFUSAL
    with served_board(tmp_path, stripe_api_base=stripe.url, reconcile_seconds=3600) as served:
        async with http_client(served) as client:
            answer = await client.post("/api/payments", json={"text": "Hello"})
    is_unavailable(answer)
    assert "No such thing" not in answer.text
    assert len(stripe.about("POST", SESSIONS)) == 1


@pytest.mark.any_database
@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key_is_503(tmp_path: Path, stripe: Echo, status: int) -> None:
    """If Stripe refuses our key, the payer gets 503, and the response contains nothing of the key."""
    stripe.status, stripe.body = status, {"error": {"message": "Invalid API Key provided: sk_test_of_the_tests"}}
    with served_board(tmp_path, stripe_api_base=stripe.url, reconcile_seconds=3600) as served:
        async with http_client(served) as client:
            answer = await client.post("/api/payments", json={"text": "Hello"})
    is_unavailable(answer)
    assert "sk_test" not in answer.text


async def test_after_a_500_a_new_attempt_has_a_new_key(tmp_path: Path, stripe: Echo) -> None:
    """Stripe replays a 500 under the same key for a day, so the next attempt uses another key."""
    stripe.status, stripe.body = 500, FAILURE
    key = str(uuid.uuid4())
    with served_board(tmp_path, stripe_api_base=stripe.url, reconcile_seconds=3600) as served:
        async with http_client(served) as client:
            is_unavailable(await send(client, key))
            first = {asked.key for asked in stripe.about("POST", SESSIONS)}
            stripe.asked.clear()
            is_unavailable(await send(client, key))
    second = {asked.key for asked in stripe.about("POST", SESSIONS)}
    assert (len(first), len(second)) == (1, 1)
    assert first != second


@pytest.mark.any_database
async def test_after_an_unknown_outcome_the_key_is_the_same(tmp_path: Path, stripe: Echo) -> None:
    """If it is unknown whether Stripe acted, the next attempt repeats exactly the same request."""
    stripe.status, stripe.body = 429, {"error": {"type": "rate_limit_error", "message": "Slow down"}}
    key = str(uuid.uuid4())
    with served_board(tmp_path, stripe_api_base=stripe.url, reconcile_seconds=3600) as served:
        async with http_client(served) as client:
            is_unavailable(await send(client, key))
            is_unavailable(await send(client, key))
    asked = stripe.about("POST", SESSIONS)
    assert len(asked) >= 2
    assert len({each.key for each in asked}) == 1


@pytest.mark.parametrize("body", [None, [], {}, {"object": "checkout.session"}, "hello", {"id": None, "url": None}])
async def test_nonsense_from_stripe_is_no_500(tmp_path: Path, stripe: Echo, body: object) -> None:
    """A response from Stripe that is not a session is 503, not an internal error."""
    stripe.body = body
    with served_board(tmp_path, stripe_api_base=stripe.url, reconcile_seconds=3600) as served:
        async with http_client(served) as client:
            is_unavailable(await client.post("/api/payments", json={"text": "Hello"}))


async def test_a_lookup_asks_stripe_at_most_once_in_five_seconds(tmp_path: Path, stripe: Echo) -> None:
    """However many clients look up an open payment, Stripe is asked about it once every five seconds."""
    stripe.status, stripe.body = 404, REFUSAL
    with served_board(tmp_path, stripe_api_base=stripe.url, reconcile_seconds=3600) as served:
        await first_sweep_over(served.settings.database_url)
        stripe.asked.clear()
        async with opened(served.settings.database_url) as database, transaction(database) as connection:
            payment_id = await write_payment(connection, session_id="cs_test_1", checkout_url="https://x.example.com")
        async with http_client(served) as client:
            answers = await asyncio.gather(*(client.get(f"/api/payments/{payment_id}") for _ in range(20)))
            await until(
                lambda: bool(stripe.about("GET", f"{SESSIONS}/cs_test_1")), "Stripe is asked after the response"
            )
            await look_up(client, payment_id)
            await asyncio.sleep(0.5)
    assert {answer.status_code for answer in answers} == {200}
    assert len(stripe.about("GET", f"{SESSIONS}/cs_test_1")) == 1


async def test_a_session_that_stripe_fails_on_keeps_nothing_from_the_sweep(tmp_path: Path, stripe: Echo) -> None:
    """If Stripe fails on one session in every pass, the reconciler still asks about all others and reads the events."""
    sessions = [f"cs_test_{number}" for number in range(20)]
    expected = {*(f"{SESSIONS}/{session_id}" for session_id in sessions), "/v1/events"}
    stripe.status, stripe.body, stripe.broken = 404, REFUSAL, {f"{SESSIONS}/{sessions[0]}"}
    with served_board(tmp_path, stripe_api_base=stripe.url, reconcile_seconds=1) as served:
        await first_sweep_over(served.settings.database_url)
        stripe.asked.clear()
        async with opened(served.settings.database_url) as database, transaction(database) as connection:
            for session_id in sessions:
                await write_payment(connection, session_id=session_id, checkout_url="https://x.example.com")
        stripe.asked.clear()
        for _ in range(200):
            if expected <= {each.path for each in stripe.asked}:
                break
            await asyncio.sleep(0.05)
    assert expected <= {each.path for each in stripe.asked}


async def test_a_settled_payment_asks_nothing(tmp_path: Path, stripe: Echo) -> None:
    """Looking up a payment that is fulfilled, expired, failed or refunded does not ask Stripe."""
    stripe.status, stripe.body = 404, REFUSAL
    with served_board(tmp_path, stripe_api_base=stripe.url, reconcile_seconds=3600) as served:
        await first_sweep_over(served.settings.database_url)
        stripe.asked.clear()
        async with opened(served.settings.database_url) as database, transaction(database) as connection:
            ids = [
                await write_payment(connection, status=status, session_id=f"cs_{status}")
                for status in ("fulfilled", "expired", "failed", "refunded")
            ]
        async with http_client(served) as client:
            for payment_id in ids:
                await look_up(client, payment_id)
            await asyncio.sleep(0.5)
    assert stripe.asked == []


async def test_a_lost_webhook_is_made_up_for_by_looking(tmp_path: Path) -> None:
    """If no webhook ever arrives, the payer's own lookup makes the board ask Stripe and post the message."""
    with served_board(tmp_path) as served:
        async with http_client(served) as client:
            await client.put("/sandbox/test/faults", json={"webhook": {"drop": "all"}})
            payment = await start(client)
            await act(client, payment, "pay")
            fulfilled = await until_status(client, payment["id"], "fulfilled")
            assert (await client.get(f"/api/messages/{fulfilled['message_id']}")).status_code == 200


async def test_a_webhook_after_the_lookup_posts_nothing_more(tmp_path: Path) -> None:
    """A webhook that arrives long after the lookup has posted the message changes nothing."""
    with served_board(tmp_path) as served:
        async with http_client(served) as client:
            await client.put("/sandbox/test/faults", json={"webhook": {"drop": 1}})
            payment = await start(client)
            await act(client, payment, "pay")
            before = await until_status(client, payment["id"], "fulfilled")
            ledger = (await client.get("/sandbox/test/ledger")).json()
            lost = [each["event"] for each in ledger["deliveries"] if each["session"] == session_of(payment)]
            resent = await client.post(f"/sandbox/test/events/{lost[0]}/resend")
            assert resent.json()["status"] == 200
            assert await look_up(client, payment["id"]) == before
            assert len((await client.get("/api/messages")).json()["messages"]) == 1
