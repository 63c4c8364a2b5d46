"""`paidchat serve --workers`: one address, several processes, replaced one by one."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

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


@contextlib.contextmanager
def workers(cluster: Cluster) -> Iterator[tuple[Node, list[int]]]:
    """Serve a board with two workers; yields it, and the workers' process ids."""
    port = free_port()
    with process("serve", "--workers", "2", "--port", str(port), **cluster.environment) as running:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        commands = {int(each): Path(f"/proc/{each}/cmdline").read_text() for each in children}
        pids = [pid for pid, command in commands.items() if "multiprocessing.spawn" in command]
        yield Node(f"http://127.0.0.1:{port}", running), pids


@pytest.mark.long
async def test_workers_stop_as_a_single_process_does(cluster: Cluster) -> None:
    """On SIGTERM the workers close their viewers with 1012 and end, and their parent with them."""
    with workers(cluster) as (node, pids):
        assert len(pids) == 2
        async with following(node) as follower:
            node.running.send_signal(signal.SIGTERM)
            assert await follower.closed(20) == 1012
            assert await asyncio.to_thread(node.running.wait, 10) == 0
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


@pytest.mark.long
async def test_a_worker_that_gets_a_hangup_says_goodbye(cluster: Cluster) -> None:
    """A worker that gets SIGHUP itself, as from a terminal that closes, closes its viewers with 1012."""
    with workers(cluster) as (node, pids):
        async with following(node) as follower:
            for pid in pids:
                os.kill(pid, signal.SIGHUP)
            assert await follower.closed(20) == 1012


def test_workers_on_sqlite_are_refused(cluster: Cluster) -> None:
    """SQLite serves one process; more are refused with an explanation."""
    refused = paidchat(
        "serve", "--workers", "2", **{**cluster.environment, "PAIDCHAT_DATABASE_URL": "sqlite:///unused.db"}
    )
    assert refused.returncode == 2
    assert "PostgreSQL" in refused.stderr
