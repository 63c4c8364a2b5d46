"""`paidchat serve --workers`: one address, several processes, replaced one by one."""

import asyncio
import signal
from contextlib import suppress

import httpx
import pytest
import websockets

from tests.support.cluster import Cluster, Node, client_of
from tests.support.following import following
from tests.support.served import free_port, paidchat, process


@pytest.mark.long
async def test_a_rolling_restart_under_load_loses_nothing(cluster: Cluster) -> None:
    """On SIGHUP the workers are replaced one by one while people pay; a subscriber resumes and misses nothing."""
    port = free_port()
    with process("serve", "--workers", "2", "--port", str(port), **cluster.environment) as running:
        node = Node(f"http://127.0.0.1:{port}", running)
        texts = [f"Rolling {number}" for number in range(12)]
        async with client_of(cluster.nodes[0]) as payer, client_of(node) as client:
            async with following(node) as follower:
                after, epoch = follower.cursor
                running.send_signal(signal.SIGHUP)
                paying = asyncio.create_task(_pay_all(cluster, payer, texts))
                code = await follower.closed(60)
            assert code == 1012
            await paying
            seen: list[str] = []
            while len(seen) < len(texts):
                with suppress(websockets.ConnectionClosed, OSError):  # that worker was replaced as well
                    await _resume(node, after, epoch, seen, len(texts))
            assert sorted(seen) == sorted(texts)
            assert (await client.get("/readyz")).status_code == 200
        running.send_signal(signal.SIGTERM)
        running.wait(20)


async def _resume(node: Node, after: int, epoch: str, seen: list[str], count: int) -> None:
    """Follow from where the texts that were seen since a cursor end, until there are so many."""
    async with following(node, after=after + len(seen), epoch=epoch) as follower:
        assert follower.first["type"] == "resumed"
        while len(seen) < count:
            frame = await follower.receive()
            assert frame["seq"] == after + len(seen) + 1
            seen.append(frame["message"]["text"])


async def _pay_all(cluster: Cluster, payer: httpx.AsyncClient, texts: list[str]) -> None:
    for text in texts:
        await cluster.post(payer, text)
        await asyncio.sleep(0.05)


def test_workers_on_sqlite_are_refused(cluster: Cluster) -> None:
    """SQLite serves one process; more are refused with an explanation."""
    refused = paidchat(
        "serve", "--workers", "2", **{**cluster.environment, "PAIDCHAT_DATABASE_URL": "sqlite:///unused.db"}
    )
    assert refused.returncode == 2
    assert "PostgreSQL" in refused.stderr
