"""A payment keeps its price, tax and pin: whatever settings change before it is paid, it is posted as created."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, update

from paidchat.payments.reconciler import LEASE_TTL
from paidchat.storage import queries, reconciliation
from tests.support.board_client import act, http_client, sessions_of, start, stripe_session, until_status
from tests.support.rows import first_sweep_over, opened
from tests.support.served import Served, free_port, served_board
from tests.support.shapes import Json
from tests.support.transactions import reading, transaction

CHANGES: list[Json] = [
    {"price_amount": 250},
    {"price_currency": "eur"},
    {"automatic_tax": "exclusive"},
    {"automatic_tax": "inclusive"},
    {"product_name": "Something else"},
    {"checkout_minutes": 1440},
    {"title": "Another title"},
    {"tiers": "1:7,3:60,5:60,7:3600"},
]
EVERYTHING = {name: value for change in CHANGES for name, value in change.items()}
# All at once, on both databases; those that another of them could hide also alone.
ALONE = (pytest.mark.any_database, pytest.mark.long)  # one change, to find which of everything breaks a promise
CASES = [
    pytest.param(EVERYTHING, id="everything"),
    *(pytest.param(change, id=str(change), marks=ALONE) for change in CHANGES[:3]),
    pytest.param({"tiers": "1:7,3:60,5:60,7:3600"}, id="tiers", marks=ALONE),
    pytest.param({"tiers": "off"}, id="no tiers", marks=ALONE),
]
PINNED_S = 300
PROMISED: Json = {"tiers": f"1:0,5:{PINNED_S}"}
TAXED = {"automatic_tax": "exclusive"}


async def expiry_comes_too_near(served: Served, payment_id: str) -> None:
    """Bring the expiry with which a payment was to be created closer than Stripe accepts."""
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        found = await connection.run_sync(queries.find_payment, payment_id)
        assert found is not None
        soon = int((datetime.now(UTC) + timedelta(minutes=20)).timestamp())
        changed = {**found.stripe_params, "expires_at": soon}
        await connection.execute(
            update(queries.payment).where(queries.payment.c.id == payment_id).values(stripe_params=changed)
        )


async def leave_the_sweep_to_another(served: Served) -> None:
    """Let another process hold the sweep, so that none gives up a payment that can't be paid now."""
    await first_sweep_over(served.settings.database_url)
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        assert await connection.run_sync(reconciliation.hold_sweep, "another process", LEASE_TTL) is not None


async def line_item(client: httpx.AsyncClient, payment: Json) -> Json:
    """Return the price and tax of a payment's session at Stripe."""
    session = await stripe_session(client, payment)
    return {name: session[name] for name in ("amount_subtotal", "amount_total", "currency", "automatic_tax")}


async def unsent(client: httpx.AsyncClient, served: Served, key: str) -> str:
    """Start a payment while Stripe does not respond, and let its expiry come too close before the retry."""
    await client.put("/sandbox/test/faults", json={"api": {"status": 429, "count": 99}})
    assert (await send(client, key)).status_code == 503
    await client.delete("/sandbox/test/faults")
    async with opened(served.settings.database_url) as database, reading(database) as connection:
        without = select(queries.payment.c.id).where(queries.payment.c.session_id.is_(None))
        payment_id = str((await connection.execute(without)).scalar_one())
    await leave_the_sweep_to_another(served)
    await expiry_comes_too_near(served, payment_id)
    return payment_id


async def send(client: httpx.AsyncClient, key: str) -> httpx.Response:
    """Start a payment with a key."""
    body = {"text": "Unsent", "amount": 500}
    return await client.post("/api/payments", json=body, headers={"Idempotency-Key": key})


def pinned_for(message: Json) -> timedelta:
    """Return how long a message is pinned."""
    return datetime.fromisoformat(message["pinned_until"]) - datetime.fromisoformat(message["posted_at"])


async def forget_it(served: Served, payment_id: str) -> None:
    """Let a payment expire by our own clock, while its session is still open at Stripe."""
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        await connection.run_sync(queries.expire_payment, payment_id)


@pytest.mark.parametrize("change", CASES)
async def test_settings_change_over_a_restart(tmp_path: Path, change: Json) -> None:
    """In whatever state a payment is when a setting changes, its session is unchanged, and paying it posts it."""
    port, key = free_port(), str(uuid.uuid4())
    with served_board(tmp_path, port, reconcile_seconds=3600, **PROMISED) as served:
        async with http_client(served) as client:
            plain = await start(client, "Plain")
            still_open, on_its_way, given_up, unheard = [
                await start(client, f"State {n}", amount=500) for n in range(4)
            ]
            promised = await line_item(client, still_open)
            await act(client, on_its_way, "pay_later")
            await until_status(client, on_its_way["id"], "processing")
            await forget_it(served, given_up["id"])
            waiting = await unsent(client, served, key)
            await client.put("/sandbox/test/faults", json={"webhook": {"drop": "all"}})
            await act(client, unheard, "pay")
    with served_board(tmp_path, port, reconcile_seconds=3600, **change) as served:
        async with http_client(served) as client:
            await client.delete("/sandbox/test/faults")
            answer = await send(client, key)
            assert answer.status_code == 201, answer.text
            asked_late: Json = answer.json()
            assert asked_late["id"] == waiting
            assert await line_item(client, asked_late) == promised
            for payment in (plain, still_open, given_up, asked_late):
                await act(client, payment, "pay")
            await act(client, on_its_way, "settle")
            for payment in (still_open, on_its_way, given_up, unheard, asked_late):
                fulfilled = await until_status(client, payment["id"], "fulfilled")
                message = (await client.get(f"/api/messages/{fulfilled['message_id']}")).json()
                assert (message["amount"], message["currency"]) == (500, "usd")
                assert pinned_for(message) == timedelta(seconds=PINNED_S)
                assert len(await sessions_of(client, payment["id"])) == 1
            fulfilled = await until_status(client, plain["id"], "fulfilled")
            message = (await client.get(f"/api/messages/{fulfilled['message_id']}")).json()
            assert (message["amount"], message["pinned_until"]) == (100, None)


async def test_tax_that_was_promised_is_still_allowed_for(tmp_path: Path) -> None:
    """A payment created with exclusive tax is posted after tax was switched off."""
    port = free_port()
    with served_board(tmp_path, port, reconcile_seconds=3600, **TAXED) as served:
        async with http_client(served) as client:
            taxed = await client.put("/sandbox/test/tax", json={"head_office": True, "rate_percent": 19})
            assert taxed.status_code == 200
            payment = await start(client)
    with served_board(tmp_path, port, reconcile_seconds=3600) as served:
        async with http_client(served) as client:
            await act(client, payment, "pay")
            await until_status(client, payment["id"], "fulfilled")
