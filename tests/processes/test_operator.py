"""Operator commands beside running servers: each does its job, says so, and shows its effect on the board."""

import asyncio
import json
import uuid

import pytest
from sqlalchemy import delete

from paidchat.storage import queries
from tests.support.board_client import session_of
from tests.support.cluster import Cluster, client_of
from tests.support.following import following
from tests.support.rows import opened, sweep_under_way
from tests.support.served import free_port, paidchat
from tests.support.transactions import transaction


async def test_a_message_is_listed_removed_and_restored(cluster: Cluster) -> None:
    """A paid message is in the list, leaves the board by command, and comes back by command."""
    text = f"An opinion {uuid.uuid4()}"
    async with client_of(cluster.nodes[0]) as client, following(cluster.nodes[1]) as follower:
        await cluster.post(client, text)
        message_id = (await follower.receive_entry())["message"]["id"]
        listed = paidchat("messages", "list", "--limit", "5", **cluster.environment)
        assert listed.returncode == 0, listed.stderr
        assert f"{message_id}  " in listed.stdout
        assert f"Anonymous: {text}" in listed.stdout
        removed = paidchat("messages", "remove", str(message_id), **cluster.environment)
        assert (removed.returncode, removed.stdout) == (0, f"Message {message_id} is off the board.\n")
        gone = await follower.receive_entry()
        assert (gone["type"], gone["message_id"], gone["reason"]) == ("message.removed", message_id, "moderated")
        restored = paidchat("messages", "restore", str(message_id), **cluster.environment)
        assert (restored.returncode, restored.stdout) == (0, f"Message {message_id} is on the board.\n")
        back = await follower.receive_entry()
        assert (back["type"], back["message"]["text"]) == ("message.restored", text)


async def test_a_message_is_removed_with_its_money(cluster: Cluster) -> None:
    """Removed with --refund, a message is refunded once; then it can't be restored."""
    async with client_of(cluster.nodes[0]) as client, following(cluster.nodes[1]) as follower:
        payment = await cluster.post(client, "Not for this board")
        message_id = (await follower.receive_entry())["message"]["id"]
        for _ in range(2):
            removed = paidchat("messages", "remove", str(message_id), "--refund", **cluster.environment)
            assert removed.returncode == 0, removed.stderr
        assert (await follower.receive_entry())["reason"] == "moderated"
        assert await refunded(cluster, payment["id"]) == payment["amount"]
        refused = paidchat("messages", "restore", str(message_id), **cluster.environment)
    assert refused.returncode == 1
    assert "refunded" in refused.stderr


async def test_a_payment_is_shown_and_refunded(cluster: Cluster) -> None:
    """A payment is shown with its ids at Stripe; refunding it by command removes its message."""
    async with client_of(cluster.nodes[0]) as client, following(cluster.nodes[1]) as follower:
        payment = await cluster.post(client, "Money back, please")
        message_id = (await follower.receive_entry())["message"]["id"]
        shown = json.loads(paidchat("payments", "show", payment["id"], **cluster.environment).stdout)
        assert shown["message_id"] == message_id
        assert payment["checkout_url"].endswith(shown["session_id"])
        back = paidchat("payments", "refund", payment["id"], **cluster.environment)
        assert back.returncode == 0, back.stderr
        gone = await follower.receive_entry()
    assert (gone["message_id"], gone["reason"]) == (message_id, "refunded")
    assert await refunded(cluster, payment["id"]) == payment["amount"]


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (("messages", "remove", "999999"), "no such message"),
        (("messages", "restore", "999999"), "no such message"),
        (("payments", "show", str(uuid.uuid4())), "no such payment"),
        (("payments", "refund", str(uuid.uuid4())), "no such payment"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_what_is_not_there_is_said(cluster: Cluster, command: tuple[str, ...], word: str) -> None:
    """For a message or payment that does not exist a command exits with 1 and one sentence."""
    refused = paidchat(*command, **cluster.environment)
    assert refused.returncode == 1
    assert word in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_an_unpaid_payment_is_not_refunded(cluster: Cluster) -> None:
    """An unpaid payment can't be refunded, and the command says so."""
    async with client_of(cluster.nodes[0]) as client:
        payment = (await client.post("/api/payments", json={"text": "Later"})).json()
    refused = paidchat("payments", "refund", payment["id"], **cluster.environment)
    assert refused.returncode == 1
    assert "was not paid" in refused.stderr


async def test_reconcile_posts_what_was_never_told(own_cluster: Cluster) -> None:
    """Without a running server, a paid message is posted by `paidchat reconcile`, which reports what it did."""
    async with client_of(own_cluster.nodes[0]) as client:
        faults = {"webhook": {"drop": "all"}}
        assert (await client.put(f"{own_cluster.sandbox_url}/test/faults", json=faults)).status_code == 200
        payment = (await client.post("/api/payments", json={"text": "Nobody said"})).json()
        own_cluster.nodes[0].stop()
        await own_cluster.act(client, payment, "pay")
    for _ in range(60):  # the server may have held the lease when it stopped
        done = paidchat("reconcile", **own_cluster.environment)
        if "sweeping just now" not in done.stderr:
            break
        await asyncio.sleep(1)
    assert done.returncode == 0, done.stderr
    assert "handled 1 missed events" in done.stdout
    shown = json.loads(paidchat("payments", "show", payment["id"], **own_cluster.environment).stdout)
    assert shown["status"] == "fulfilled"


async def test_one_process_sweeps_at_a_time(own_cluster: Cluster) -> None:
    """While a server's reconciler is running, another process does not start one, and says so."""
    async with client_of(own_cluster.nodes[0]) as client:
        await client.post("/api/payments", json={"text": "Asked about"})
        await client.put(f"{own_cluster.sandbox_url}/test/faults", json={"api": {"hang_s": 5}})
        await sweep_under_way(own_cluster.database_url)
        said = [paidchat("reconcile", **own_cluster.environment) for _ in range(3)]
    # The server's reconciler runs every second, and each pass now takes many: at least one of three overlaps with it.
    assert any(done.returncode == 1 and "sweeping just now" in done.stderr for done in said)


async def test_what_a_backup_lost_is_posted_by_hand(cluster: Cluster) -> None:
    """A paid session without a row is listed with the command that posts it; the command does, once, and says so."""
    async with client_of(cluster.nodes[0]) as client, opened(cluster.database_url) as database:
        payment = (await client.post("/api/payments", json={"text": "In no backup"})).json()
        async with transaction(database) as connection:
            await connection.execute(delete(queries.payment).where(queries.payment.c.id == payment["id"]))
        await cluster.act(client, payment, "pay")
        listed = await asyncio.to_thread(paidchat, "migrate", "--new-epoch", **cluster.environment)
        command = ("payments", "adopt", session_of(payment))
        assert f"paidchat {' '.join(command)} --text" in listed.stdout
        await asyncio.sleep(1)  # so that both boards notice the new epoch
        async with following(cluster.nodes[1]) as follower:
            before = follower.first["seq"]
            done = await asyncio.to_thread(
                paidchat, *command, "--text", "Found", "--author", "Zoë", **cluster.environment
            )
            assert (done.returncode, done.stdout) == (0, f"Message {before + 1} is on the board.\n"), done.stderr
            assert (await follower.receive_entry())["message"]["author"] == "Zoë"
            again = await asyncio.to_thread(paidchat, *command, "--text", "Another", **cluster.environment)
            assert again.returncode == 0, again.stderr
            assert f"its message is {before + 1}. It keeps its own text" in again.stdout
            await cluster.act(client, payment, "refund")
            assert (await follower.receive_entry())["reason"] == "refunded"


@pytest.mark.parametrize(
    "command",
    [
        ("messages", "list"),
        ("messages", "remove", "1"),
        ("messages", "restore", "1"),
        ("payments", "show", "x"),
        ("payments", "refund", "x"),
        ("reconcile",),
        ("migrate",),
        ("migrate", "--new-epoch"),
        ("serve",),
        ("serve", "--workers", "2"),
    ],
    ids=" ".join,
)
def test_a_database_that_is_away_is_said(cluster: Cluster, command: tuple[str, ...]) -> None:
    """If the database can't be reached, every command ends with one sentence about it."""
    away = {**cluster.environment, "PAIDCHAT_DATABASE_URL": f"postgresql://a:b@127.0.0.1:{free_port()}/c"}
    refused = paidchat(*command, **away)
    assert refused.returncode in {1, 2}
    assert "database" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_what_cannot_be_posted_by_hand_is_said(cluster: Cluster) -> None:
    """With an unknown session, or an unreachable Stripe or database, the command exits with 1 and one sentence."""
    nobody = f"127.0.0.1:{free_port()}"
    for changes, word in (
        ({}, "Stripe does not know the session"),
        ({"PAIDCHAT_STRIPE_API_BASE": f"http://{nobody}"}, "Stripe could not be asked"),
        ({"PAIDCHAT_DATABASE_URL": f"postgresql://a:b@{nobody}/c"}, "PAIDCHAT_DATABASE_URL cannot be used"),
    ):
        environment = {**cluster.environment, **changes}
        refused = paidchat("payments", "adopt", "cs_test_nothing", "--text", "Hello", **environment)
        assert refused.returncode == 1
        assert word in refused.stderr
        assert "Traceback" not in refused.stderr


async def refunded(cluster: Cluster, payment_id: str) -> int:
    """How much of a payment the sandbox has refunded."""
    async with client_of(cluster.nodes[0]) as client:
        sessions = (await cluster.ledger(client))["sessions"]
    [amount] = [each["amount_refunded"] for each in sessions if each["client_reference_id"] == payment_id]
    return int(amount)
