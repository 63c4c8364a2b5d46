"""Two processes on one PostgreSQL whose clocks differ by ten minutes still work as one board."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.support.cluster import Cluster, client_of, running_cluster
from tests.support.postgres import Postgres
from tests.support.rows import next_payment_in, payments_in, sweep_under_way
from tests.support.served import paidchat
from tests.support.webhooks import deliver, event
from tests.support.wrong_clock import ahead_by

PAYMENTS = 20
AHEAD_S = 600
PATIENCE_S = 30


@pytest.fixture(scope="module", params=[AHEAD_S, -AHEAD_S], ids=["ahead", "behind"])
def apart(
    request: pytest.FixtureRequest, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two boards, the second with a wrong clock; webhooks go to the first."""
    with running_cluster(postgres, tmp_path_factory.mktemp("sandbox")) as cluster:
        wrong = ahead_by(request.param)
        elsewhere = replace(cluster, environment={**cluster.environment, **wrong}, nodes=[])
        cluster.nodes.append(elsewhere.start_node())
        yield cluster


@pytest.fixture
async def clients(apart: Cluster) -> AsyncIterator[list[httpx.AsyncClient]]:
    """A client for each."""
    async with client_of(apart.nodes[0]) as right, client_of(apart.nodes[1]) as wrong:
        yield [right, wrong]


@asynccontextmanager
async def hanging(cluster: Cluster, client: httpx.AsyncClient, seconds: int) -> AsyncIterator[None]:
    """Make Stripe take this long to respond until the block ends."""
    faults = f"{cluster.sandbox_url}/test/faults"
    await client.put(faults, json={"api": {"hang_s": seconds}})
    try:
        yield
    finally:
        await client.delete(faults)


@pytest.mark.long
async def test_what_is_paid_through_either_is_posted_once(apart: Cluster, clients: list[httpx.AsyncClient]) -> None:
    """Of twenty payments started, paid and looked up through both, each has one session and one message."""
    texts = [f"Apart {uuid.uuid4()}" for _ in range(PAYMENTS)]
    made = await asyncio.gather(*(apart.post(clients[number % 2], text) for number, text in enumerate(texts)))
    for number, payment in enumerate(made):
        await _fulfilled(clients[(number + 1) % 2], payment["id"])
    for client in clients:
        page = (await client.get("/api/messages", params={"limit": 100})).json()
        assert sorted(each["text"] for each in page["messages"] if each["text"] in texts) == sorted(texts)
    sessions = [session["client_reference_id"] for session in (await apart.ledger(clients[0]))["sessions"]]
    assert [sessions.count(payment["id"]) for payment in made] == [1] * PAYMENTS


async def test_a_key_in_use_at_one_is_in_use_at_the_other(apart: Cluster, clients: list[httpx.AsyncClient]) -> None:
    """While one process asks Stripe for a session, the other returns 409, and neither takes over too early."""
    for asking, other in (clients, clients[::-1]):
        request: Any = {"json": {"text": "Claimed"}, "headers": {"Idempotency-Key": str(uuid.uuid4())}}
        async with hanging(apart, clients[0], 3):
            before = await payments_in(apart.database_url)
            first = asyncio.create_task(asking.post("/api/payments", **request))
            await next_payment_in(apart.database_url, before)
            second = await other.post("/api/payments", **request)
            assert second.status_code == 409, second.text
            assert 1 <= int(second.headers["Retry-After"]) <= 30
            assert (await first).status_code == 201
        again = await other.post("/api/payments", **request)
        assert (again.status_code, again.json()["id"]) == (201, first.result().json()["id"])


@pytest.mark.parametrize(("holding_s", "asking_s"), [(0, AHEAD_S), (-AHEAD_S, 0)])
async def test_only_one_sweeps(own_cluster: Cluster, holding_s: int, asking_s: int) -> None:
    """While one process's reconciler is running by one clock, none starts by another."""
    wrong = replace(own_cluster, environment={**own_cluster.environment, **ahead_by(holding_s)}, nodes=[])
    own_cluster.nodes[0].stop()
    faults = f"{own_cluster.sandbox_url}/test/faults"
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.put(faults, json={"api": {"hang_s": 5}})
        holder = wrong.start_node()
        await sweep_under_way(own_cluster.database_url)
        asking = {**own_cluster.environment, **ahead_by(asking_s)}
        done = await asyncio.to_thread(paidchat, "reconcile", **asking)
        await client.delete(faults)
    holder.stop()
    assert done.returncode == 1
    assert "sweeping just now" in done.stderr


async def test_a_webhook_at_the_one_that_is_off_is_refused(clients: list[httpx.AsyncClient]) -> None:
    """The process whose clock is ten minutes off refuses a valid signature as stale; the other accepts it."""
    news = event("checkout.session.completed", {"id": "cs_foreign", "object": "checkout.session"})
    refused = await deliver(clients[1], news)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_signature")


async def _fulfilled(client: httpx.AsyncClient, payment_id: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (await client.get(f"/api/payments/{payment_id}")).json()["status"] != "fulfilled":
        assert time.monotonic() < deadline, "paid for and not posted"
        await asyncio.sleep(0.1)
