"""The rate limit on starting payments: per client, with an exact Retry-After, and without counting retries."""

import asyncio
import uuid
from pathlib import Path

import httpx

from tests.support.board_client import http_client, start
from tests.support.served import served_board

HELLO = {"text": "Hello"}


def is_limited(answer: httpx.Response, at_most_s: int) -> int:
    """Check that a response is the contract's 429, and return the seconds to wait."""
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "rate_limited"
    wait_s = int(answer.headers["retry-after"])
    assert 1 <= wait_s <= at_most_s
    return wait_s


async def test_beyond_the_limit_it_is_429_until_retry_after(tmp_path: Path) -> None:
    """A client that starts too many payments is told when to come back, and is admitted then."""
    with served_board(tmp_path, rate_limit="2/3second") as served:
        async with http_client(served) as client:
            for _ in range(2):
                await start(client)
            wait_s = is_limited(await client.post("/api/payments", json=HELLO), 3)
            await asyncio.sleep(wait_s)
            await start(client)


async def test_only_payments_that_are_made_count(tmp_path: Path) -> None:
    """Retries of a key, refused texts, lookups and pages do not count."""
    key = {"Idempotency-Key": str(uuid.uuid4())}
    with served_board(tmp_path, rate_limit="3/minute") as served:
        async with http_client(served) as client:
            first = await client.post("/api/payments", json=HELLO, headers=key)
            for _ in range(5):
                again = await client.post("/api/payments", json=HELLO, headers=key)
                assert (again.status_code, again.json()) == (201, first.json())
                assert (await client.post("/api/payments", json={"text": ""})).status_code == 422
                assert (await client.get(f"/api/payments/{first.json()['id']}")).status_code == 200
                assert (await client.get("/api/messages")).status_code == 200
            for _ in range(2):
                await start(client)
            is_limited(await client.post("/api/payments", json=HELLO), 60)
            again = await client.post("/api/payments", json=HELLO, headers=key)
            assert again.status_code == 201


async def test_a_crowd_at_once_is_counted_right(tmp_path: Path) -> None:
    """Of thirty concurrent requests exactly as many are admitted as allowed."""
    with served_board(tmp_path, rate_limit="5/minute") as served:
        async with http_client(served) as client:
            answers = await asyncio.gather(*(client.post("/api/payments", json=HELLO) for _ in range(30)))
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [429] * 25


async def test_a_claimed_address_opens_no_second_account(tmp_path: Path) -> None:
    """A client can't pretend to be another one: without a trusted proxy the headers are ignored."""
    with served_board(tmp_path, rate_limit="1/minute") as served:
        async with http_client(served) as client:
            await start(client)
            for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP"):
                answer = await client.post("/api/payments", json=HELLO, headers={name: "203.0.113.7"})
                is_limited(answer, 60)


async def test_behind_a_trusted_proxy_clients_are_told_apart(tmp_path: Path) -> None:
    """Behind a trusted proxy the address it adds is the client; what the client itself claims is ignored."""
    with served_board(tmp_path, rate_limit="1/minute", trusted_proxies="127.0.0.1") as served:
        async with http_client(served) as client:
            for client_ip in ("203.0.113.7", "203.0.113.8"):
                answer = await client.post("/api/payments", json=HELLO, headers={"X-Forwarded-For": client_ip})
                assert answer.status_code == 201
                claimed = f"198.51.100.{uuid.uuid4().int % 250}, {client_ip}"
                is_limited(await client.post("/api/payments", json=HELLO, headers={"X-Forwarded-For": claimed}), 60)
