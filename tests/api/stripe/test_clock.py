"""A server whose clock is wrong refuses webhooks, and says why."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from tests.support.board_client import http_client
from tests.support.logs import captured_logs
from tests.support.network.strangers import counting
from tests.support.served import served_board
from tests.support.webhooks import deliver, event, signature

pytestmark = pytest.mark.any_database

EMPTY_LIST = {"object": "list", "data": [], "has_more": False, "url": "/v1/events"}


async def metric(client: httpx.AsyncClient, name: str) -> float:
    """Read one metric from /metrics."""
    lines = (await client.get("/metrics")).text.splitlines()
    [value] = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")]
    return float(value)


@pytest.mark.parametrize("ahead_s", [600, -600])
async def test_a_wrong_clock_is_told_from_a_forgery(tmp_path: Path, ahead_s: int) -> None:
    """A webhook signed by Stripe at a time far from ours is 400, counted, and logged once with both times."""
    async with counting() as stripe:
        stripe.body = EMPTY_LIST
        stripe.date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)
        with captured_logs() as logs, served_board(tmp_path, stripe_api_base=stripe.url) as served:
            async with http_client(served) as client:
                for _ in range(200):
                    if ahead := await metric(client, "paidchat_clock_offset_seconds"):
                        break
                    await asyncio.sleep(0.1)
                body = b'{"id": "evt_1"}'
                for _ in range(3):
                    answer = await deliver(client, body, signature(body, at=time.time() + ahead_s))
                    assert answer.status_code == 400
                    assert answer.json()["code"] == "invalid_signature"
                forged = await deliver(client, body, signature(body, "whsec_of_a_forger", at=time.time() + ahead_s))
                assert forged.status_code == 400
                assert await metric(client, "paidchat_stale_signatures_total") == 3
    assert ahead == pytest.approx(ahead_s, abs=20)
    [stale] = [line for line in logs if line["event"] == "webhook.stale_signature"]
    assert stale["log_level"] == "error"
    assert stale["skew_s"] == pytest.approx(-ahead_s, abs=5)
    assert stale["stripe_minus_ours_s"] == pytest.approx(ahead_s, abs=20)
    assert [line["log_level"] for line in logs if line["event"] == "clock.differs"] == ["error"]


async def test_clocks_that_agree_are_not_spoken_of(client: httpx.AsyncClient) -> None:
    """While Stripe's clock agrees with ours, the offset is about 0 and webhooks are accepted."""
    assert (await deliver(client, event("customer.created", {"id": "cus_1"}))).status_code == 200
    # Not always 0, because on a busy machine a server writes the Date header late.
    assert await metric(client, "paidchat_clock_offset_seconds") == pytest.approx(0, abs=20)
