"""Checkout shows the message: its beginning is the product's description, the same in every request of a payment."""

import html
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from paidchat.storage import queries
from tests.support.board_client import act, http_client, sessions_of, start, until_status
from tests.support.rows import first_sweep_over, opened
from tests.support.served import Served, free_port, served_board
from tests.support.shapes import Json
from tests.support.transactions import transaction

READER = {"Authorization": "Bearer sk_test_reader"}


async def product_of(client: httpx.AsyncClient, payment: Json) -> Json:
    """Return the product that a payment's session sells, from Stripe's API."""
    session_id = payment["checkout_url"].rsplit("/", 1)[1]
    params = {"expand[]": "line_items.data.price.product"}
    path = f"/sandbox/v1/checkout/sessions/{session_id}"
    session = (await client.get(path, params=params, headers=READER)).json()
    product: Json = session["line_items"]["data"][0]["price"]["product"]
    return product


@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("Hello, world!", "Hello, world!"),
        (" One line\r\n\nand   another\u2028one ", "One line and another one"),
        ("x" * 500, "x" * 199 + "…"),
        ("👨\u200d👩\u200d👧\u200d👦" * 60, "👨\u200d👩\u200d👧\u200d👦" * 28 + "…"),
        ('<b>&amp;</b> "quoted" שלום', '<b>&amp;</b> "quoted" שלום'),
    ],
)
async def test_stripe_shows_the_message(client: httpx.AsyncClient, text: str, described: str) -> None:
    """The product's description is the message's text in one line of at most 200 characters, on Stripe's page too."""
    payment = await start(client, text)
    product = await product_of(client, payment)
    assert (product["name"], product["description"]) == ("One message of your choosing", described)
    page = await client.get("/sandbox/pay/" + payment["checkout_url"].rsplit("/", 1)[1])
    assert described in html.unescape(page.text)


async def send(client: httpx.AsyncClient, key: str) -> httpx.Response:
    """Start a payment with a key."""
    return await client.post("/api/payments", json={"text": "Before"}, headers={"Idempotency-Key": key})


async def forget_the_description(connection: AsyncConnection) -> list[str]:
    """Make the requests of the payments without a session what the version before descriptions stored and sent."""
    without = select(queries.payment.c.id, queries.payment.c.stripe_params).where(
        queries.payment.c.session_id.is_(None)
    )
    rows = (await connection.execute(without)).all()
    for payment_id, params in rows:
        product: dict[str, Any] = params["line_items"][0]["price_data"]["product_data"]
        assert product.pop("description")
        changed = update(queries.payment).where(queries.payment.c.id == payment_id)
        await connection.execute(changed.values(stripe_params=params))
    return [payment_id for payment_id, _ in rows]


async def asked_by_the_version_before(served: Served, client: httpx.AsyncClient, *keys: str) -> list[str]:
    """Start payments whose sessions the version before created at Stripe, but whose answers were lost.

    Stripe has the request under the payment's key, without a description.
    """
    await first_sweep_over(served.settings.database_url)
    await client.put("/sandbox/test/faults", json={"api": {"status": 429, "count": 99}})
    for key in keys:
        assert (await send(client, key)).status_code == 503
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        payments = await forget_the_description(connection)
    for key in keys:
        await client.put("/sandbox/test/faults", json={"api": {"drop_answer": 9, "count": 3}})
        assert (await send(client, key)).status_code == 503
    await client.delete("/sandbox/test/faults")
    return payments


async def test_a_payment_from_before_keeps_its_request(tmp_path: Path) -> None:
    """After an upgrade, a payment whose answer from Stripe was lost gets its one session: by its key, or by the sweep.

    Stripe refuses a key that comes back with other parameters, so a request with a description would be refused for a
    day, while the session that exists could be paid.
    """
    port, keys = free_port(), [str(uuid.uuid4()) for _ in range(2)]
    with served_board(tmp_path, port, reconcile_seconds=3600) as served:
        async with http_client(served) as client:
            payments = await asked_by_the_version_before(served, client, *keys)
            assert [len(await sessions_of(client, payment)) for payment in payments] == [1, 1]
    with served_board(tmp_path, port, reconcile_seconds=1) as served:
        async with http_client(served) as client:
            answer = await send(client, keys[0])
            assert answer.status_code == 201, answer.text
            by_key: Json = answer.json()
            by_sweep = next(payment for payment in payments if payment != by_key["id"])
            assert (await product_of(client, by_key))["description"] is None
            for payment in (by_key["id"], by_sweep):
                [session] = await sessions_of(client, payment)
                await client.post(f"/sandbox/test/sessions/{session['id']}/pay")
                fulfilled = await until_status(client, payment, "fulfilled")
                assert fulfilled["message_id"]
            new = await start(client, "After")
            assert (await product_of(client, new))["description"] == "After"
            await act(client, new, "pay")
            await until_status(client, new["id"], "fulfilled")
