"""A payment that another process has locked, on PostgreSQL: only those who need that payment wait."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.support.board_client import http_client, start, stripe_session
from tests.support.postgres import Postgres
from tests.support.rows import first_sweep_over, opened
from tests.support.served import databases, served_board
from tests.support.webhooks import completed, deliver, paid

AT_ONCE = 5
LOCKED_FOR_S = 2.5  # less than a lock is waited for


@pytest.mark.any_database
async def test_a_locked_payment_delays_nobody_else(tmp_path: Path, postgres: Postgres) -> None:
    """While one payment is locked, payments are started and other webhooks answered; its own is once it is free."""
    with databases.on(postgres), served_board(tmp_path, reconcile_seconds=3600, rate_limit="off") as served:
        url = served.settings.database_url
        await first_sweep_over(url)
        async with http_client(served) as client, opened(url) as other:
            payments = [await start(client, f"Number {number}") for number in range(AT_ONCE)]
            events = [completed(paid(await stripe_session(client, payment))) for payment in payments]
            connection = await other.connect()
            async with connection.transaction():
                await connection.execute("SELECT id FROM payment WHERE id = $1 FOR UPDATE", payments[2]["id"])
                began = time.monotonic()
                webhooks = [asyncio.create_task(deliver(client, event)) for event in events]
                await asyncio.gather(*(start(client, f"Another, number {number}") for number in range(AT_ONCE)))
                await asyncio.wait([*webhooks[:2], *webhooks[3:]])
                assert time.monotonic() - began < LOCKED_FOR_S
                assert not webhooks[2].done()
            assert {(await webhook).status_code for webhook in webhooks} == {200}
            await connection.close()
