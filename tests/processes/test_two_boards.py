"""Two processes on one PostgreSQL are one board: what happens through one is seen on the other."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import text

from paidchat.storage import queries
from tests.support.board_client import session_of
from tests.support.cluster import Cluster, client_of
from tests.support.following import following, untimed
from tests.support.rows import opened
from tests.support.served import paidchat
from tests.support.shapes import Json
from tests.support.transactions import transaction
from tests.support.webhooks import deliver

READER = {"Authorization": "Bearer sk_test_reader"}
COMPLETED, REFUNDED = "checkout.session.completed", "charge.refunded"


async def test_a_message_paid_through_one_is_seen_on_the_other(cluster: Cluster) -> None:
    """A message whose webhook went to the first process reaches a subscriber of the second, with its payment."""
    first, second = cluster.nodes[:2]
    async with client_of(first) as client, following(second) as follower:
        payment = (await client.post("/api/payments", json={"text": "Over there"})).json()
        await follower.watch(payment["id"])
        assert (await follower.receive())["payment"]["status"] == "pending"
        await cluster.act(client, payment, "pay")
        posted, updated = await follower.receive_all(2)
    assert posted["message"]["text"] == "Over there"
    assert updated["payment"]["status"] == "fulfilled"
    assert updated["payment"]["message_id"] == posted["seq"]


async def test_a_cursor_of_one_resumes_on_the_other(cluster: Cluster) -> None:
    """A subscriber that resumes at another process gets exactly what it missed."""
    first, second = cluster.nodes[:2]
    async with client_of(first) as client:
        async with following(first) as follower:
            after, epoch = follower.cursor
        for number in range(3):
            await cluster.post(client, f"Missed {number}")
        async with following(second, after=after, epoch=epoch) as follower:
            assert untimed(follower.first) == {"type": "resumed", "epoch": epoch, "seq": after}
            missed = [await follower.receive()]
            while missed[-1]["message"]["text"] != "Missed 2":
                missed.append(await follower.receive())
    assert [frame["seq"] for frame in missed] == list(range(after + 1, after + 1 + len(missed)))
    # The first process may have been a message of an earlier test behind.
    assert [frame["message"]["text"] for frame in missed][-3:] == ["Missed 0", "Missed 1", "Missed 2"]


async def test_one_idempotency_key_is_one_payment_across_processes(cluster: Cluster) -> None:
    """Twenty requests with one key, spread over two processes, make one payment and one session."""
    key = str(uuid.uuid4())
    async with client_of(cluster.nodes[0]) as first, client_of(cluster.nodes[1]) as second:
        clients = [first, second] * 10
        answers = await asyncio.gather(
            *(
                client.post("/api/payments", json={"text": "Once"}, headers={"Idempotency-Key": key})
                for client in clients
            )
        )
        made = [answer.json() for answer in answers if answer.status_code == 201]
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({payment["id"] for payment in made}) == 1
        sessions = (await cluster.ledger(first))["sessions"]
    assert len([session for session in sessions if session["client_reference_id"] == made[0]["id"]]) == 1


async def test_a_payment_and_its_refund_at_once_leave_nothing_on_the_board(cluster: Cluster) -> None:
    """A message that one process posts while another handles its refund is hidden, whichever of the two waits."""
    async with client_of(cluster.nodes[0]) as first, client_of(cluster.nodes[1]) as second:
        faults = {"webhook": {"drop": "all"}}
        assert (await first.put(f"{cluster.sandbox_url}/test/faults", json=faults)).status_code == 200
        for sender, other in [(first, second), (second, first)] * 2:
            payment = (await first.post("/api/payments", json={"text": "Paid and refunded"})).json()
            async with held(cluster, payment["id"]) as waiting:
                await cluster.act(first, payment, "pay")
                await cluster.act(first, payment, "refund")
                told = []
                for count, (client, kind) in enumerate([(sender, COMPLETED), (other, REFUNDED)], start=1):
                    event = await event_about(cluster, first, payment, kind)
                    told.append(asyncio.create_task(deliver(client, event)))
                    await waiting(count)
            assert {answer.status_code for answer in await asyncio.gather(*told)} == {200}
            status = (await first.get(f"/api/payments/{payment['id']}")).json()["status"]
            assert status == "refunded"
        await first.delete(f"{cluster.sandbox_url}/test/faults")
        page = (await first.get("/api/messages", params={"limit": 99})).json()
    assert "Paid and refunded" not in [message["text"] for message in page["messages"]]


@asynccontextmanager
async def held(cluster: Cluster, payment_id: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Lock a payment's row until the block ends; yields a function that waits until so many others wait for it."""
    queued = text(
        "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE NOT granted AND datname = current_database()"
    )
    async with opened(cluster.database_url) as database, transaction(database) as connection:
        await connection.run_sync(queries.lock_payments, [payment_id])

        async def waiting(count: int) -> None:
            for _ in range(100):
                if (await connection.execute(queued)).scalar_one() >= count:
                    return
                await asyncio.sleep(0.01)

        yield waiting


async def event_about(cluster: Cluster, client: httpx.AsyncClient, payment: Json, kind: str) -> Json:
    """Return an event of this type about a payment, from the sandbox's list."""
    session = await client.get(f"{cluster.sandbox_url}/v1/checkout/sessions/{session_of(payment)}", headers=READER)
    about = {session.json()["id"], session.json()["payment_intent"]}
    listed = await client.get(f"{cluster.sandbox_url}/v1/events", params={"type": kind, "limit": 100}, headers=READER)
    [event] = [
        event
        for event in listed.json()["data"]
        if about & {event["data"]["object"]["id"], event["data"]["object"].get("payment_intent")}
    ]
    found: Json = event
    return found


async def test_a_hundred_copies_of_an_event_over_both_post_once(cluster: Cluster) -> None:
    """Copies of one event, sent to both processes at the same time, post one message."""
    async with client_of(cluster.nodes[0]) as first, client_of(cluster.nodes[1]) as second:
        faults = {"webhook": {"drop": "all"}}
        assert (await first.put(f"{cluster.sandbox_url}/test/faults", json=faults)).status_code == 200
        payment = await cluster.post(first, "Copied")
        await first.delete(f"{cluster.sandbox_url}/test/faults")
        listed = await first.get(
            f"{cluster.sandbox_url}/v1/events",
            params={"type": "checkout.session.completed", "limit": 100},
            headers={"Authorization": "Bearer sk_test_reader"},
        )
        [event] = [
            event for event in listed.json()["data"] if event["data"]["object"]["client_reference_id"] == payment["id"]
        ]
        answers = await asyncio.gather(*(deliver(client, event) for client in [first, second] * 50))
        assert {answer.status_code for answer in answers} == {200}
        page = (await second.get("/api/messages", params={"limit": 100})).json()
    assert [message["text"] for message in page["messages"]].count("Copied") == 1


async def test_the_rate_limit_is_one_across_processes(cluster: Cluster) -> None:
    """Payments started through one process count at the other, and Retry-After is the time until the next."""
    strict = {**cluster.environment, "PAIDCHAT_RATE_LIMIT": "3/minute"}
    limited = replace(cluster, environment=strict, nodes=[])
    first, second = limited.start_node(), limited.start_node()
    async with client_of(first) as here, client_of(second) as there:
        answers = [await client.post("/api/payments", json={"text": "Quick"}) for client in (here, there, here, there)]
    # Other tests on this database use the same address.
    assert answers[-1].status_code == 429
    assert answers[-1].json()["code"] == "rate_limited"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    first.stop()
    second.stop()


async def test_processes_with_other_prices_keep_each_others_promises(cluster: Cluster) -> None:
    """A payment started through one process is paid and posted at that price, whatever the other's price is."""
    dear = replace(cluster, environment={**cluster.environment, "PAIDCHAT_PRICE_AMOUNT": "250"}, nodes=[]).start_node()
    async with client_of(cluster.nodes[0]) as here, client_of(dear) as there, following(dear) as follower:
        for client, other, amount in ((here, there, 100), (there, here, 250)):
            body, key = {"text": f"For {amount}"}, {"Idempotency-Key": str(uuid.uuid4())}
            payment = (await client.post("/api/payments", json=body, headers=key)).json()
            again = await other.post("/api/payments", json=body, headers=key)
            assert (again.status_code, again.json()["amount"]) == (201, amount)
            await cluster.act(client, payment, "pay")
            posted = await follower.receive_entry()
            assert (posted["message"]["text"], posted["message"]["amount"]) == (f"For {amount}", amount)
    dear.stop()


def test_a_server_refuses_a_schema_that_is_behind(cluster: Cluster) -> None:
    """On a shared database a server does not migrate by itself; it names the command to run."""
    empty = {**cluster.environment, "PAIDCHAT_DATABASE_URL": cluster.postgres.create_database()}
    refused = paidchat("serve", "--port", "1", **empty)
    assert refused.returncode == 2
    assert "paidchat migrate" in refused.stderr


@pytest.mark.parametrize("new_epoch", [False, True])
async def test_a_new_epoch_sends_everybody_a_snapshot(cluster: Cluster, new_epoch: bool) -> None:
    """After `migrate --new-epoch` an old cursor gets a snapshot; after a plain `migrate` it still resumes."""
    async with following(cluster.nodes[1]) as follower:
        after, epoch = follower.cursor
    arguments = ["migrate", "--new-epoch"] if new_epoch else ["migrate"]
    done = paidchat(*arguments, **cluster.environment)
    assert done.returncode == 0, done.stderr
    await asyncio.sleep(1)  # in which the feed reads its log at least twice
    async with following(cluster.nodes[1], after=after, epoch=epoch) as follower:
        assert follower.first["type"] == ("snapshot" if new_epoch else "resumed")
        assert (follower.first["epoch"] != epoch) is new_epoch
