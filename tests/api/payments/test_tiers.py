"""Tiers: a payer chooses one of the board's amounts, pays exactly that, and the message keeps what it promises."""

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from paidchat.payments.core import core
from paidchat.storage import queries
from tests.support.board_client import (
    act,
    http_client,
    look_up,
    post,
    session_of,
    sessions_of,
    start,
    stripe_session,
    until_status,
)
from tests.support.rows import first_sweep_over, opened, payments_in
from tests.support.served import Served, free_port, process, served_board
from tests.support.shapes import Json
from tests.support.transactions import transaction

TIERS = "1:0,5:300,20:1800"
PINNED = {100: None, 500: timedelta(minutes=5), 2000: timedelta(minutes=30)}


@pytest.fixture(scope="module")
def tiered(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board with three tiers."""
    with served_board(tmp_path_factory.mktemp(backend), tiers=TIERS, reconcile_seconds=3600) as served:
        yield served


@pytest.fixture
async def client(tiered: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that board."""
    async with http_client(tiered) as http:
        yield http


def pinned_for(message: Json) -> timedelta | None:
    """Return how long a message is pinned."""
    if message["pinned_until"] is None:
        return None
    return datetime.fromisoformat(message["pinned_until"]) - datetime.fromisoformat(message["posted_at"])


async def send(client: httpx.AsyncClient, amount: Any, key: str | None = None) -> httpx.Response:
    """Start a payment of an amount."""
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post("/api/payments", json={"text": "Hello", "amount": amount}, headers=headers)


async def test_the_board_names_its_tiers(client: httpx.AsyncClient) -> None:
    """The board's settings list every amount with its time on top; the first is the price."""
    price = (await client.get("/api/board")).json()["price"]
    assert price == {
        "amount": 100,
        "currency": "usd",
        "tiers": [
            {"amount": 100, "pinned_seconds": 0},
            {"amount": 500, "pinned_seconds": 300},
            {"amount": 2000, "pinned_seconds": 1800},
        ],
    }


@pytest.mark.parametrize("amount", [100, 500, 2000, None])
async def test_a_tier_is_what_is_paid_and_promised(client: httpx.AsyncClient, amount: int | None) -> None:
    """The payment, its session at Stripe and its message have the tier's amount, and the message the tier's pin."""
    payment = await start(client, f"Tier {amount}", amount=amount)
    paid = amount or 100
    assert payment["amount"] == paid
    assert (await stripe_session(client, payment))["amount_total"] == paid
    await act(client, payment, "pay")
    fulfilled = await until_status(client, payment["id"], "fulfilled")
    message = (await client.get(f"/api/messages/{fulfilled['message_id']}")).json()
    assert (message["amount"], pinned_for(message)) == (paid, PINNED[paid])


@pytest.mark.parametrize(
    "amount",
    [0, 1, -100, 99, 101, 499, 1000, 10**30, True, False, 100.5, 100.0, "100", "", "off", [100], {"amount": 100}],
)
async def test_anything_else_is_refused(tiered: Served, client: httpx.AsyncClient, amount: Any) -> None:
    """An amount that is not the integer of a tier is 422 and names its field, with or without a key; none is made."""
    before = await payments_in(tiered.settings.database_url)
    for key in (None, str(uuid.uuid4())):
        answer = await send(client, amount, key)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert [error["field"] for error in answer.json()["errors"]] == ["amount"]
    assert await payments_in(tiered.settings.database_url) == before


@pytest.mark.parametrize("written", ["100.0", "1e2", "1E+2", "1.0e2", "NaN", "Infinity"])
async def test_a_number_that_is_no_integer_as_written_is_refused(client: httpx.AsyncClient, written: str) -> None:
    """JSON can write an integer in other ways; only digits are one."""
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/api/payments", content=f'{{"text": "Hello", "amount": {written}}}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_without_tiers_there_is_one_amount(tmp_path: Path) -> None:
    """A board without tiers takes its price, named or not, and nothing else."""
    with served_board(tmp_path) as served:
        async with http_client(served) as client:
            tiers = (await client.get("/api/board")).json()["price"]["tiers"]
            assert tiers == [{"amount": 100, "pinned_seconds": 0}]
            assert [(await send(client, amount)).status_code for amount in (None, 100, 500)] == [201, 201, 422]


@pytest.mark.parametrize(("first", "other"), [(None, 100), (100, None), (100, 500), (500, None), (500, 777)])
async def test_the_amount_is_part_of_the_body(client: httpx.AsyncClient, first: int | None, other: int | None) -> None:
    """The same key with the same amount as sent is the same payment; with another one it is a conflict."""
    key = str(uuid.uuid4())
    payment = (await send(client, first, key)).json()
    for _ in range(2):
        assert (await send(client, first, key)).json() == payment
        answer = await send(client, other, key)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_conflict")
    assert len(await sessions_of(client, payment["id"])) == 1


async def test_null_is_as_good_as_nothing(client: httpx.AsyncClient) -> None:
    """An amount that is null and one that is left out are the same body."""
    key = str(uuid.uuid4())
    payment = (await send(client, None, key)).json()
    again = await client.post("/api/payments", json={"text": "Hello"}, headers={"Idempotency-Key": key})
    assert (again.status_code, again.json()) == (201, payment)


async def test_a_refused_amount_does_not_count(tmp_path: Path) -> None:
    """Amounts that are refused don't count towards the rate limit, and a known key is answered whatever the limit."""
    with served_board(tmp_path, tiers=TIERS, rate_limit="1/minute") as served:
        async with http_client(served) as client:
            for _ in range(3):
                assert (await send(client, 777, str(uuid.uuid4()))).status_code == 422
            key = str(uuid.uuid4())
            assert [(await send(client, 500, key)).status_code for _ in range(3)] == [201] * 3
            assert (await send(client, 500)).status_code == 429


async def test_an_amount_outlives_its_tier(tmp_path: Path) -> None:
    """After a restart with other tiers a known key still gets its payment; a new payment gets today's amounts only."""
    port, key = free_port(), str(uuid.uuid4())
    with served_board(tmp_path, port, tiers=TIERS) as served:
        async with http_client(served) as client:
            payment = (await send(client, 500, key)).json()
    with served_board(tmp_path, port, tiers="1:0,3:60") as served:
        async with http_client(served) as client:
            again = await send(client, 500, key)
            assert (again.status_code, again.json()) == (201, payment)
            conflict = await send(client, 300, key)
            assert conflict.json()["code"] == "idempotency_conflict"
            assert (await send(client, 500)).status_code == 422
            await act(client, payment, "pay")
            fulfilled = await until_status(client, payment["id"], "fulfilled")
            message = (await client.get(f"/api/messages/{fulfilled['message_id']}")).json()
            assert (message["amount"], pinned_for(message)) == (500, PINNED[500])


async def test_all_of_a_tier_is_refunded(client: httpx.AsyncClient, tiered: Served) -> None:
    """A refund sends back the payment's own amount."""
    message = await post(client, "Refunded", amount=2000)
    async with opened(tiered.settings.database_url) as database:
        found = await database.read(queries.find_message, message["id"])
    assert found is not None
    async with core(tiered.settings) as parts:
        await parts.fulfilment.refund_payment(found.message.payment_id)
    await until_status(client, found.message.payment_id, "refunded")
    assert [session["amount_refunded"] for session in await sessions_of(client, found.message.payment_id)] == [2000]


@pytest.mark.parametrize("amount", [100, 2000])
async def test_an_adopted_payment_has_its_pin(client: httpx.AsyncClient, tiered: Served, amount: int) -> None:
    """A payment lost with the database and adopted from Stripe has the amount and the pin that it was promised."""
    await first_sweep_over(tiered.settings.database_url)
    await client.put("/sandbox/test/faults", json={"webhook": {"drop": "all"}})
    payment = await start(client, "Lost", amount=amount)
    async with opened(tiered.settings.database_url) as database, transaction(database) as connection:
        await connection.execute(delete(queries.payment).where(queries.payment.c.id == payment["id"]))
    await act(client, payment, "pay")
    async with core(tiered.settings.model_copy(update={"tiers": "off"})) as parts:
        adopted = await parts.adoption.adopt(session_of(payment), "Found", None)
    await client.delete("/sandbox/test/faults")
    assert (await look_up(client, payment["id"]))["amount"] == amount
    message = (await client.get(f"/api/messages/{adopted.message_id}")).json()
    assert (message["amount"], pinned_for(message)) == (amount, PINNED[amount])


@pytest.mark.any_database
async def test_the_demo_has_tiers(tmp_path: Path) -> None:
    """The demo has three tiers unless the environment says otherwise."""
    for given, amounts in (({}, [100, 500, 2000]), ({"PAIDCHAT_TIERS": "off"}, [100])):
        port = free_port()
        with process("demo", "--no-open", "--port", str(port), "--data", str(tmp_path / str(port)), **given):
            async with httpx.AsyncClient(trust_env=False) as client:
                price = (await client.get(f"http://127.0.0.1:{port}/api/board")).json()["price"]
        assert [tier["amount"] for tier in price["tiers"]] == amounts
