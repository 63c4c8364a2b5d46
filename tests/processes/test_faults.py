"""PostgreSQL misbehaves: listeners die or freeze, the server restarts. Nothing is lost or duplicated."""

import asyncio
import os
import random
import signal
from contextlib import AsyncExitStack
from functools import partial
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.cluster import Cluster, Node, client_of
from tests.support.following import Follower, following

DELIVERED_WITHIN_S = 5  # two seconds are promised; a busy machine may take longer


def _listeners(cluster: Cluster) -> list[int]:
    """Return the server processes behind the boards' listening connections."""
    name = cluster.database_url.rsplit("/", 1)[1].partition("?")[0]
    rows = cluster.postgres.psql(
        f"SELECT pid FROM pg_stat_activity WHERE application_name = 'paidchat listener' AND datname = '{name}'"  # noqa: S608 - a name of our own
    )
    return [int(row) for row in rows.split()]


async def _seen(cluster: Cluster, follower: Follower, client: httpx.AsyncClient, text: str) -> None:
    await cluster.post(client, text)
    posted = await follower.receive(DELIVERED_WITHIN_S)
    assert posted["message"]["text"] == text


async def _until_listening(*nodes: Node) -> None:
    """Wait until the probes have noticed and the listeners are back."""
    for node in nodes:
        async with client_of(node) as client, asyncio.timeout(20):
            while (await client.get("/readyz")).json()["listener"] != "ok":  # noqa: ASYNC110 - over HTTP there is no event
                await asyncio.sleep(0.2)


@pytest.mark.parametrize("fault", [signal.SIGTERM, signal.SIGSTOP])
async def test_a_lost_or_frozen_listener_delays_nothing_for_long(
    cluster: Cluster, request: pytest.FixtureRequest, fault: signal.Signals
) -> None:
    """With every listening connection cut or frozen, messages still arrive, because the feed polls."""
    first, second = cluster.nodes[:2]
    async with client_of(first) as client, following(second) as follower:
        await _seen(cluster, follower, client, "Before")
        listeners = _listeners(cluster)
        assert len(listeners) >= 2
        for pid in listeners:
            os.kill(pid, fault)
            if fault is signal.SIGSTOP:
                request.addfinalizer(partial(os.kill, pid, signal.SIGCONT))
        await _seen(cluster, follower, client, "During")
        await _until_listening(first, second)
        await _seen(cluster, follower, client, "After")


async def test_restarts_of_the_database_lose_nothing(own_cluster: Cluster) -> None:
    """While people pay, PostgreSQL is restarted again and again: each message is posted and delivered once."""
    nodes = [own_cluster.nodes[0], own_cluster.start_node()]
    texts = [f"Message {number}" for number in range(24)]
    seen: dict[str, list[int]] = {node.url: [] for node in nodes}
    seed = 20261124
    chance = random.Random(seed)

    async def pay(payment: dict[str, str]) -> None:
        await asyncio.sleep(chance.uniform(0, 2))
        async with client_of(nodes[0]) as client:
            await own_cluster.act(client, payment, "pay")

    async def follow(node: Node) -> None:
        after: int = 0
        epoch: str = ""
        while len(seen[node.url]) < len(texts):
            try:
                query = urlencode({"after": after, "epoch": epoch}) if epoch else ""
                async with following(node, query=query) as follower:
                    assert follower.first["type"] == ("resumed" if query else "snapshot"), f"seed {seed}"
                    after, epoch = follower.cursor
                    while len(seen[node.url]) < len(texts):
                        frame = await follower.receive(30)
                        if "seq" in frame and frame["type"] != "heartbeat":
                            assert frame["seq"] == after + 1, f"seed {seed}: a gap after {after}"
                            after = frame["seq"]
                            seen[node.url].append(after)
            except OSError:
                await asyncio.sleep(0.1)

    async with AsyncExitStack() as stack:
        followers = [asyncio.create_task(follow(node)) for node in nodes]
        for task in followers:
            stack.callback(task.cancel)
        await asyncio.sleep(0.5)
        async with client_of(nodes[0]) as client:
            payments = [(await client.post("/api/payments", json={"text": text})).json() for text in texts]
        payers = [asyncio.create_task(pay(payment)) for payment in payments]
        for _ in range(3):
            await asyncio.sleep(chance.uniform(0.1, 0.6))
            await asyncio.to_thread(own_cluster.postgres.restart)
        async with asyncio.timeout(60):
            await asyncio.gather(*payers, *followers)
    assert seen == {node.url: list(range(1, len(texts) + 1)) for node in nodes}, f"seed {seed}"
    async with client_of(nodes[1]) as client:
        page = (await client.get("/api/messages", params={"limit": 100})).json()
        ledger = await own_cluster.ledger(client)
    assert sorted(message["text"] for message in page["messages"]) == sorted(texts)
    assert len([session for session in ledger["sessions"] if session["payment_status"] == "paid"]) == len(texts)
