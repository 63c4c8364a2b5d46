"""Questions to Stripe caused by lookups: within a budget, and rarer as a payment gets older."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.board_client import http_client, look_up
from tests.support.network.strangers import Echo, counting
from tests.support.rows import first_sweep_over, opened, write_payment
from tests.support.served import Served, served_board
from tests.support.transactions import transaction
from tests.support.waiting import until

SESSIONS = "/v1/checkout/sessions"
OPEN_SESSION = {
    "id": "cs_1",
    "object": "checkout.session",
    "status": "open",
    "payment_status": "unpaid",
    "livemode": False,
    "metadata": {},
}
# The budget, as in docs/operations.md: questions a second, and twice as many at once in a burst.
PER_SECOND, PER_CLIENT_SECOND = 10, 5


@pytest.fixture
async def stripe() -> AsyncIterator[Echo]:
    """The server in Stripe's place: every session is open and belongs to nobody."""
    async with counting() as echo:
        echo.body = OPEN_SESSION
        yield echo


async def write_pending(served: Served, count: int, *, first: int = 0, **changes: object) -> list[str]:
    """Store unpaid payments that have a session, whose ids are numbered."""
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        numbers = range(first, first + count)
        return [await write_payment(connection, session_id=f"cs_{number}", **changes) for number in numbers]


def questions(stripe: Echo) -> int:
    """Count the sessions that were asked about."""
    return sum(asked.method == "GET" and asked.path.startswith(f"{SESSIONS}/") for asked in stripe.asked)


async def look_at_all(served: Served, ids: list[str], clients: int, seconds: float) -> None:
    """Look payments up again and again from some addresses."""
    began = time.monotonic()
    async with http_client(served) as client:
        number = 0
        while time.monotonic() - began < seconds:
            headers = [{"X-Forwarded-For": f"203.0.113.{(number + each) % clients}"} for each in range(len(ids))]
            looking = (client.get(f"/api/payments/{id_}", headers=h) for id_, h in zip(ids, headers, strict=True))
            answers = await asyncio.gather(*looking)
            assert {answer.status_code for answer in answers} == {200}
            number += 1
            await asyncio.sleep(0.05)


@pytest.mark.any_database
@pytest.mark.parametrize(("clients", "per_second"), [(1, PER_CLIENT_SECOND), (200, PER_SECOND)])
async def test_lookups_ask_within_a_budget(tmp_path: Path, stripe: Echo, clients: int, per_second: int) -> None:
    """However many unpaid payments are looked up, Stripe is not asked more often than the budget allows."""
    with served_board(
        tmp_path, stripe_api_base=stripe.url, trusted_proxies="127.0.0.1", reconcile_seconds=3600
    ) as served:
        await first_sweep_over(served.settings.database_url)
        ids = await write_pending(served, 100)
        stripe.asked.clear()
        began = time.monotonic()
        await look_at_all(served, ids, clients, seconds=2)
        await until(lambda: questions(stripe) > 0, "Stripe is asked after the response")
        took = time.monotonic() - began
    assert questions(stripe) <= per_second * (took + 2) + 1


@pytest.mark.parametrize(("asked_s_ago", "asks"), [(60, 0), (200, 1), (-60, 1)])
async def test_an_older_payment_is_asked_about_less_often(
    tmp_path: Path, stripe: Echo, asked_s_ago: int, asks: int
) -> None:
    """About a payment of three hours Stripe is asked every three minutes; a stored time in the future is ignored."""
    now = datetime.now(UTC)
    times: dict[str, Any] = {"created_at": now - timedelta(hours=3), "asked_at": now - timedelta(seconds=asked_s_ago)}
    with served_board(tmp_path, stripe_api_base=stripe.url, reconcile_seconds=3600) as served:
        await first_sweep_over(served.settings.database_url)
        [payment_id] = await write_pending(served, 1, expires_at=now + timedelta(hours=1), **times)
        [due] = await write_pending(served, 1, first=1)
        stripe.asked.clear()
        async with http_client(served) as client:
            await look_up(client, payment_id)
            await look_up(client, due)
            await until(lambda: bool(stripe.about("GET", f"{SESSIONS}/cs_1")), "a new payment is asked about")
            await until(lambda: questions(stripe) == asks + 1, "it is asked about if it is time")
    assert questions(stripe) == asks + 1


@pytest.mark.any_database
async def test_head_asks_nothing(tmp_path: Path, stripe: Echo) -> None:
    """HEAD on an open payment looks it up like GET, but does not ask Stripe."""
    with served_board(tmp_path, stripe_api_base=stripe.url, reconcile_seconds=3600) as served:
        await first_sweep_over(served.settings.database_url)
        by_head, by_get = await write_pending(served, 2)
        stripe.asked.clear()
        async with http_client(served) as client:
            for _ in range(3):
                assert (await client.head(f"/api/payments/{by_head}")).status_code == 200
            await look_up(client, by_get)
            await until(lambda: bool(stripe.about("GET", f"{SESSIONS}/cs_1")), "GET asks")
    assert not stripe.about("GET", f"{SESSIONS}/cs_0")
