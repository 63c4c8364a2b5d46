"""The reconciler alone: what it finds without any webhook, and what it deletes."""

import asyncio
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from paidchat.payments.core import core
from paidchat.storage import queries
from paidchat.storage.database import Database
from tests.support.board_client import act, http_client, start, until_status
from tests.support.following import following
from tests.support.network.strangers import counting
from tests.support.rows import first_sweep_over, opened, write_messages, write_payment
from tests.support.served import served_board
from tests.support.transactions import reading, transaction

PERIOD_S = 4
STOPS = 25
PAYERS = 6


async def test_without_webhooks_every_paid_message_is_posted_within_two_periods(tmp_path: Path) -> None:
    """If all webhooks are lost and nobody looks, a message is on the board within two periods after the payment."""
    with served_board(tmp_path, reconcile_seconds=PERIOD_S) as served:
        async with http_client(served) as client, following(served) as follower:
            await client.put("/sandbox/test/faults", json={"webhook": {"drop": "all"}})
            paid_at: dict[str, float] = {}
            for _ in range(PAYERS):
                payment = await start(client, f"Unheard {uuid.uuid4()}")
                await act(client, payment, "pay")
                paid_at[payment["text"]] = time.monotonic()
                await asyncio.sleep(PERIOD_S / PAYERS)
            while paid_at:
                frame = await follower.receive(2 * PERIOD_S)
                waited = time.monotonic() - paid_at.pop(frame["message"]["text"])
                assert waited <= 2 * PERIOD_S


async def test_old_unpaid_payments_are_cleared_away(tmp_path: Path) -> None:
    """Thirty days after it was started, an unpaid payment is deleted; younger ones and paid ones stay."""
    with served_board(tmp_path, reconcile_seconds=1) as served:
        async with opened(served.settings.database_url) as database:
            now = datetime.now(UTC)
            old, young = now - timedelta(days=31), now - timedelta(days=29)
            [message_id] = await write_messages(database, 1)
            async with transaction(database) as connection:
                gone = {await write_payment(connection, status=s, created_at=old) for s in ("expired", "failed")}
                kept = {await write_payment(connection, status=s, created_at=young) for s in ("expired", "failed")}
                for status in ("fulfilled", "refunded", "disputed"):
                    kept.add(await write_payment(connection, status=status, created_at=old, paid=True))
            for _ in range(200):
                if not await _there(database, gone):
                    break
                await asyncio.sleep(0.1)
            assert await _there(database, gone) == set()
            assert await _there(database, kept) == kept
            async with http_client(served) as client:
                assert (await client.get(f"/api/payments/{gone.pop()}")).status_code == 404
                assert (await client.get(f"/api/messages/{message_id}")).status_code == 200


async def test_what_stripe_has_closed_goes_sooner(tmp_path: Path) -> None:
    """Seven days after Stripe said that no money will come a payment is deleted; one that only we expired stays."""
    with served_board(tmp_path, reconcile_seconds=1) as served:
        async with opened(served.settings.database_url) as database:
            now = datetime.now(UTC)
            eight, six = now - timedelta(days=8), now - timedelta(days=6)
            async with transaction(database) as connection:
                rows: dict[str, list[dict[str, Any]]] = {
                    "gone": [{"status": status, "closed_at": eight} for status in ("expired", "failed")],
                    "kept": [
                        {"status": "expired"},
                        {"status": "failed", "closed_at": six},
                        {"status": "pending", "session_id": "cs_1"},
                        {"status": "processing", "session_id": "cs_2"},
                        {"status": "fulfilled", "paid": True, "closed_at": eight},
                    ],
                }
                written = {
                    name: {await write_payment(connection, created_at=eight, **row) for row in some}
                    for name, some in rows.items()
                }
            for _ in range(200):
                if not await _there(database, written["gone"]):
                    break
                await asyncio.sleep(0.1)
            assert await _there(database, written["gone"]) == set()
            assert await _there(database, written["kept"]) == written["kept"]


async def test_a_sweep_that_is_stopped_leaves_the_next_one_free(tmp_path: Path) -> None:
    """A process that is stopped at any moment of its sweep keeps no other process from sweeping at once."""
    seed = random.randrange(1_000_000)
    moments = random.Random(seed)
    with served_board(tmp_path, reconcile_seconds=3600) as served:
        async with core(served.settings) as stopped, core(served.settings) as other:
            await first_sweep_over(served.settings.database_url)
            took_s = 0.0
            for _ in range(STOPS):
                sweep = asyncio.create_task(stopped.reconciler.sweep())
                await asyncio.sleep(moments.triangular(0, took_s, took_s))  # cleaning up comes last
                sweep.cancel()
                await asyncio.wait({sweep})
                began = time.monotonic()
                assert await other.reconciler.sweep() is not None, f"seed {seed}"
                took_s = time.monotonic() - began


async def test_only_stripe_closes_a_payment(tmp_path: Path) -> None:
    """When Stripe says that a session expired or a debit failed, the payment is closed; our clock alone does not."""
    with served_board(tmp_path, reconcile_seconds=3600) as served:
        async with http_client(served) as client, opened(served.settings.database_url) as database:
            expired, failed, given_up, gone_twice = [await start(client, f"Closed {n}") for n in range(4)]
            async with transaction(database) as connection:
                for payment in (given_up, gone_twice):
                    await connection.run_sync(queries.expire_payment, payment["id"])
            await act(client, expired, "expire")
            await act(client, gone_twice, "expire")
            await act(client, failed, "pay_later")
            await until_status(client, failed["id"], "processing")
            await act(client, failed, "settle_fail")
            await until_status(client, expired["id"], "expired")
            await until_status(client, failed["id"], "failed")
            closed: set[str] = set()
            for _ in range(100):
                async with reading(database) as connection:
                    ids = [each["id"] for each in (expired, failed, given_up, gone_twice)]
                    found = await connection.run_sync(queries.find_payments, ids)
                closed = {row.id for row in found if row.closed_at is not None}
                if len(closed) == 3:
                    break
                await asyncio.sleep(0.1)
    assert closed == {expired["id"], failed["id"], gone_twice["id"]}


@pytest.mark.parametrize("ahead", [timedelta(days=40), timedelta(minutes=-10), timedelta(seconds=90)])
async def test_nothing_goes_while_the_clocks_differ(tmp_path: Path, ahead: timedelta) -> None:
    """While our clock (the database's, on PostgreSQL) differs from Stripe's, nothing is deleted."""
    async with counting() as stripe:
        stripe.body = {"object": "list", "data": [], "has_more": False, "url": "/v1/events"}
        stripe.date = format_datetime(datetime.now(UTC) - ahead, usegmt=True)
        with served_board(tmp_path, stripe_api_base=stripe.url, reconcile_seconds=0.3) as served:
            async with opened(served.settings.database_url) as database:
                async with transaction(database) as connection:
                    long_ago = datetime.now(UTC) - timedelta(days=31)
                    old = {await write_payment(connection, status="expired", created_at=long_ago)}
                before = len(stripe.asked)
                for _ in range(200):
                    if len(stripe.asked) >= before + 4:
                        break
                    await asyncio.sleep(0.05)
                assert await _there(database, old) == old
                stripe.date = format_datetime(datetime.now(UTC), usegmt=True)
                for _ in range(200):
                    if not await _there(database, old):
                        break
                    await asyncio.sleep(0.05)
                assert await _there(database, old) == set()


async def _there(database: Database, ids: set[str]) -> set[str]:
    async with reading(database) as connection:
        return {payment.id for payment in await connection.run_sync(queries.find_payments, ids)}
