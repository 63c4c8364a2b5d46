"""The sweep on its own: what it finds in time when nothing is told, and what it clears away."""

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from board_client import act, http_client, start
from following import following
from rows import opened, write_messages, write_payment
from served import served_board

from paidchat.storage import queries
from paidchat.storage.database import Database

PERIOD_S = 4
PAYERS = 6


async def test_without_webhooks_every_paid_message_is_posted_within_two_periods(tmp_path: Path) -> None:
    """While all webhooks are lost and nobody looks, a message is on the board two periods after it was paid for."""
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
    """Thirty days after it was started, a payment that nobody made is gone; younger ones and paid ones stay."""
    with served_board(tmp_path, reconcile_seconds=1) as served:
        async with opened(served.settings.database_url) as database:
            now = datetime.now(UTC)
            old, young = now - timedelta(days=31), now - timedelta(days=29)
            [message_id] = await write_messages(database, 1)
            async with database.transaction() as connection:
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


async def _there(database: Database, ids: set[str]) -> set[str]:
    async with database.reading() as connection:
        return {payment.id for payment in await queries.find_payments(connection, ids)}
