"""The caps on open payments: unpaid ones are limited, per client and for the board; settled ones are not."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from paidchat.clients import client_id
from paidchat.storage import queries
from tests.support.board_client import act, http_client, start, until_status
from tests.support.rows import opened, write_payment
from tests.support.served import Served, served_board
from tests.support.transactions import transaction

HELLO = {"text": "Hello"}
HERE = "127.0.0.1"


def is_limited(answer: httpx.Response) -> int:
    """Check that a response is the contract's 429, and return the seconds to wait."""
    assert answer.status_code == 429, answer.text
    assert answer.json()["code"] == "rate_limited"
    return int(answer.headers["retry-after"])


async def write_open(served: Served, count: int, address: str, minutes: float) -> None:
    """Store payments of a client that expire one minute after another, the first after this many minutes."""
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        tag = (await connection.run_sync(queries.read_board)).tag
        now = datetime.now(UTC)
        for number in range(count):
            await write_payment(
                connection,
                client=client_id(address, tag),
                created_at=now - timedelta(minutes=30),
                expires_at=now + timedelta(minutes=minutes + number),
                session_id=f"cs_{uuid.uuid4().hex}",
            )


async def test_a_client_may_have_ten_times_its_rate_open(tmp_path: Path) -> None:
    """With ten times the rate limit's count open, a client waits until the first expires; other clients do not."""
    with served_board(tmp_path, rate_limit="2/minute", trusted_proxies=HERE, reconcile_seconds=3600) as served:
        await write_open(served, 19, "203.0.113.7", minutes=10)
        async with http_client(served) as client:
            mine, other = {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "203.0.113.8"}
            assert (await client.post("/api/payments", json=HELLO, headers=mine)).status_code == 201
            wait_s = is_limited(await client.post("/api/payments", json=HELLO, headers=mine))
            assert 9 * 60 < wait_s <= 10 * 60
            assert (await client.post("/api/payments", json=HELLO, headers=other)).status_code == 201


async def test_without_a_rate_limit_a_client_has_no_cap(tmp_path: Path) -> None:
    """With the rate limit off, a client may have any number open, up to the board's cap."""
    with served_board(tmp_path, reconcile_seconds=3600) as served:
        await write_open(served, 150, HERE, minutes=10)
        async with http_client(served) as client:
            await start(client)


async def test_the_board_has_a_cap(tmp_path: Path) -> None:
    """Beyond the board's cap no client can start a payment; retrying a key does not count."""
    key = {"Idempotency-Key": str(uuid.uuid4())}
    with served_board(tmp_path, max_open_payments=3, trusted_proxies=HERE) as served:
        async with http_client(served) as client:
            first = await client.post("/api/payments", json=HELLO, headers=key)
            second = await start(client)
            await start(client)
            for address in ("203.0.113.7", "203.0.113.8"):
                wait_s = is_limited(
                    await client.post("/api/payments", json=HELLO, headers={"X-Forwarded-For": address})
                )
                assert 59 * 60 < wait_s <= 60 * 60
            assert (await client.post("/api/payments", json=HELLO, headers=key)).json() == first.json()
            await act(client, second, "pay")
            await until_status(client, second["id"], "fulfilled")
            await start(client)
            is_limited(await client.post("/api/payments", json=HELLO))


async def test_what_has_expired_is_not_open(tmp_path: Path) -> None:
    """A payment past its expiry does not count, nor one whose expiry is further off than Stripe allows."""
    with served_board(tmp_path, max_open_payments=2, reconcile_seconds=3600) as served:
        await write_open(served, 2, HERE, minutes=-10)
        await write_open(served, 2, HERE, minutes=25 * 60)
        async with http_client(served) as client:
            for _ in range(2):
                await start(client)
            is_limited(await client.post("/api/payments", json=HELLO))
