"""Claims: only one request at a time asks for a payment's session, and one that fails does not block the next."""

import asyncio
import time
import uuid
from pathlib import Path

import httpx
from sqlalchemy import select

from paidchat.storage import queries
from paidchat.storage.database import Database
from tests.support.board_client import http_client
from tests.support.rows import first_sweep_over, next_payment_in, opened, payments_in
from tests.support.served import Served, served_board
from tests.support.transactions import reading, transaction

HELLO = {"text": "Hello"}


async def send(client: httpx.AsyncClient, key: str) -> httpx.Response:
    """Start a payment with a key."""
    return await client.post("/api/payments", json=HELLO, headers={"Idempotency-Key": key})


async def only_payment(database: Database) -> str:
    """Return the id of the one payment, once it is there."""
    for _ in range(200):
        async with reading(database) as connection:
            if (found := (await connection.execute(select(queries.payment.c.id))).scalar_one_or_none()) is not None:
                return str(found)
        await asyncio.sleep(0.02)
    raise AssertionError("no payment was made")


async def hold_payment_while(served: Served, request: "asyncio.Task[httpx.Response]") -> httpx.Response:
    """Block writes to the one payment until a request that wants to write it has been answered."""
    async with opened(served.settings.database_url) as database:
        payment_id = await only_payment(database)
        async with transaction(database) as connection:
            await connection.run_sync(queries.lock_payments, [payment_id])
            return await request


async def test_a_request_that_fails_gives_its_claim_back(tmp_path: Path) -> None:
    """If the database is too busy to store the session, the response is 503, and a retry need not wait for it."""
    key = str(uuid.uuid4())
    with served_board(tmp_path, reconcile_seconds=3600) as served:
        await first_sweep_over(served.settings.database_url)  # or it uses up the fault
        async with http_client(served) as client:
            await client.put("/sandbox/test/faults", json={"api": {"hang_s": 1.5, "count": 1}})
            failed = await hold_payment_while(served, asyncio.create_task(send(client, key)))
            assert failed.status_code == 503
            assert failed.json()["code"] == "not_ready"
            await asyncio.sleep(int(failed.headers["retry-after"]))
            again = await send(client, key)
            assert again.status_code == 201, again.text
            assert again.json()["checkout_url"] is not None
            sessions = (await client.get("/sandbox/test/ledger")).json()["sessions"]
    assert len(sessions) == 1


async def test_whoever_has_to_wait_is_told_how_long_that_takes(tmp_path: Path) -> None:
    """While the first request is quick, Retry-After is a second; while it hangs, it is as long as it has hung."""
    with served_board(tmp_path, reconcile_seconds=3600) as served:
        await first_sweep_over(served.settings.database_url)  # or it uses up the fault
        async with http_client(served) as client:
            for _ in range(3):  # on a busy machine the first request may be done before the second is sent
                if await waits_beside_a_hanging_request(client, served.settings.database_url):
                    return
    raise AssertionError("nobody had to wait")


async def waits_beside_a_hanging_request(client: httpx.AsyncClient, url: str) -> list[int]:
    """Return what a second request with a key is told, again and again, while the first hangs for 3.5 s."""
    key, waits, before = str(uuid.uuid4()), [], await payments_in(url)
    await client.put("/sandbox/test/faults", json={"api": {"hang_s": 3.5, "count": 1}})
    began = time.monotonic()
    first = asyncio.create_task(send(client, key))
    await next_payment_in(url, before)
    while not first.done():
        asked = time.monotonic()
        answer = await send(client, key)
        if answer.status_code == 201:
            break
        assert answer.json()["code"] == "idempotency_in_progress"
        waits.append(int(answer.headers["retry-after"]))
        assert waits[-1] <= time.monotonic() - began + 1
        await asyncio.sleep(max(0, waits[-1] - (time.monotonic() - asked)))
    made = await first
    assert made.status_code == 201
    assert (await send(client, key)).json() == made.json()
    return waits
