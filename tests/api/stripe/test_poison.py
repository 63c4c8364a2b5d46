"""Unreadable objects from Stripe are skipped, logged once and counted, and everything else continues."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from paidchat.storage import queries
from paidchat.stripe import events as stripe_events
from tests.support.board_client import act, http_client, messages_with, session_of, start, stripe_session, until_status
from tests.support.logs import captured_logs
from tests.support.network.strangers import Tamperer, tampering
from tests.support.rows import opened, write_payment
from tests.support.served import SECRET, Served, free_port, paidchat, served_board
from tests.support.shapes import Json
from tests.support.transactions import reading, transaction
from tests.support.webhooks import completed, deliver, event, paid

LOST = {"webhook": {"drop": "all"}}


def deep(levels: int) -> Any:
    """Return nested lists."""
    nested: Any = []
    for _ in range(levels):
        nested = [nested]
    return nested


def junk() -> list[Any]:
    """Return objects that Stripe never lists, and that could not be handled if it did."""
    session = {"id": "cs_test_junk", "payment_status": "paid", "livemode": False, "status": "complete"}
    charge = {"id": "ch_junk", "object": "charge", "livemode": False}
    whole = event("checkout.session.completed", session)
    return [
        None,
        7,
        "evt_1",
        [],
        {},
        {"id": 7, "object": "event", "type": "charge.refunded"},
        event("checkout.session.completed", {**session, "status": ...}),
        event("checkout.session.completed", {**session, "id": "cs_\0"}),
        event("checkout.session.completed", {**session, "metadata": [1]}),
        event("checkout.session.completed", {**session, "metadata": {"paidchat_payment": 7}}),
        event("checkout.session.completed", {**session, "metadata": {"paidchat_payment": "\0"}}),
        event("checkout.session.completed", {**session, "payment_intent": {}}),
        event("checkout.session.completed", {**session, "metadata": deep(300)}),
        event("checkout.session.expired", None),  # type: ignore[arg-type]  # that is the point
        event("charge.refunded", {**charge, "payment_intent": {"object": "payment_intent"}}),
        event("charge.refunded", {**charge, "payment_intent": 7}),
        event("charge.refunded", {**charge, "payment_intent": "pi_\ud800"}),
        event("refund.created", [charge]),  # type: ignore[arg-type]  # as above
        event("refund.created", {**charge, "payment_intent": "pi_1"}, "evt_" + "x" * 300),
        event("refund.created", {**charge, "payment_intent": "pi_1"}, "evt_\0"),
        {**whole, "data": None},
        {**whole, "livemode": None, "id": "evt_of_no_mode"},
        {**whole, "id": "evt_of_two_types", "type": ["checkout.session.completed"]},
        {**whole, "id": "evt_of_no_time", "created": None, "data": 1},
        {**whole, "id": "evt_of_all_time", "created": 10**20, "data": 2},
        {**whole, "id": "evt_of_the_future", "created": int(time.time()) + 10**9, "data": 3},
        {**whole, "id": "evt_of_the_past", "created": -1, "data": 4},
    ]


def without(value: Any) -> Any:
    """Remove the members that are `...`."""
    if isinstance(value, dict):
        return {name: without(each) for name, each in value.items() if each is not ...}
    return value


@contextmanager
def board_behind(between: Tamperer, data: Path, **settings: Any) -> Iterator[Served]:
    """Serve a board that reaches its sandbox through a tampering proxy."""
    port = free_port()
    between.target = f"http://127.0.0.1:{port}/sandbox"
    with served_board(data, port=port, stripe_api_base=between.url, **settings) as served:
        yield served


@asynccontextmanager
async def poisoned_board(data: Path, **settings: Any) -> AsyncIterator[tuple[Served, httpx.AsyncClient, list[Any]]]:
    """Serve a board that no webhook reaches and whose list of events is full of junk."""
    items = [without(item) for item in junk()]

    def poison(path: str, answer: Json) -> Json:
        if path == "/v1/events" and "data" in answer:
            half = len(items) // 2
            answer["data"] = [*items[:half], *answer["data"], *items[half:]]
        return answer

    async with tampering() as between:
        between.change = poison
        with board_behind(between, data, **settings) as served:
            async with http_client(served) as client:
                await client.put("/sandbox/test/faults", json=LOST)
                yield served, client, items


async def unreadable(client: httpx.AsyncClient) -> int:
    """Read the number of unreadable objects from /metrics."""
    for line in (await client.get("/metrics")).text.splitlines():
        if line.startswith('paidchat_stripe_facts_total{verdict="unreadable"}'):
            return int(float(line.rpartition(" ")[2]))
    return 0


async def cursor(served: Served) -> datetime:
    """Return how far the reconciler has read Stripe's events."""
    async with opened(served.settings.database_url) as database, reading(database) as connection:
        row = (await connection.execute(select(queries.sweep))).one()
        read_to: datetime = row.events_since
        return read_to


async def test_junk_among_the_events_stops_nothing(tmp_path: Path) -> None:
    """With a list full of junk the reconciler posts, refunds, prunes and moves on, and reports each item once."""
    with captured_logs() as logs:
        async with poisoned_board(tmp_path, reconcile_seconds=1) as (served, client, items):
            began = datetime.now(UTC)
            async with opened(served.settings.database_url) as database, transaction(database) as connection:
                old = await write_payment(connection, status="expired", created_at=began - timedelta(days=31))
            payment = await start(client, f"Unheard {uuid.uuid4()}")
            await act(client, payment, "pay")
            fulfilled = await until_status(client, payment["id"], "fulfilled")
            await act(client, payment, "refund")
            await until_status(client, payment["id"], "refunded")
            for _ in range(100):
                gone = (await client.get(f"/api/payments/{old}")).status_code == 404
                if gone and await cursor(served) >= began - timedelta(seconds=1):
                    break
                await asyncio.sleep(0.1)
            assert gone
            assert began - timedelta(seconds=1) <= await cursor(served) <= datetime.now(UTC) + timedelta(seconds=1)
            assert (await client.get(f"/api/messages/{fulfilled['message_id']}")).status_code == 410
            assert await unreadable(client) == len(items)
    told = [line for line in logs if line.get("verdict") == "unreadable"]
    assert len(told) == len(items)
    assert {line["log_level"] for line in told} == {"error"}
    assert [line for line in logs if "exc_info" in line] == []


@pytest.mark.any_database
async def test_junk_does_not_end_reconcile(tmp_path: Path) -> None:
    """`paidchat reconcile` skips junk too, says how much there was, and succeeds."""
    async with poisoned_board(tmp_path, reconcile_seconds=3600) as (served, client, _):
        payment = await start(client, f"Unheard {uuid.uuid4()}")
        await act(client, payment, "pay")
        for _ in range(20):
            done = await asyncio.to_thread(
                paidchat,
                "reconcile",
                PAIDCHAT_DATABASE_URL=served.settings.database_url,
                PAIDCHAT_PUBLIC_URL=served.url,
                PAIDCHAT_STRIPE_API_BASE=str(served.settings.stripe_api_base),
                STRIPE_SECRET_KEY="sk_test_of_the_tests",
                STRIPE_WEBHOOK_SECRET=SECRET,
            )
            if "A server is sweeping" not in done.stderr:
                break
            await asyncio.sleep(0.5)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert len(await messages_with(client, payment["text"])) == 1


async def test_an_expanded_intent_is_an_intent(tmp_path: Path) -> None:
    """A listed refund whose payment intent is expanded to an object removes the message."""

    def expand(path: str, answer: Json) -> Json:
        if path == "/v1/events":
            for listed in answer["data"]:
                about = listed["data"]["object"]
                if isinstance(about.get("payment_intent"), str):
                    about["payment_intent"] = {"id": about["payment_intent"], "object": "payment_intent"}
        return answer

    async with tampering() as between:
        between.change = expand
        with board_behind(between, tmp_path, reconcile_seconds=1) as served:
            async with http_client(served) as client:
                payment = await start(client, f"Hello {uuid.uuid4()}")
                await act(client, payment, "pay")
                await until_status(client, payment["id"], "fulfilled")
                await client.put("/sandbox/test/faults", json=LOST)
                await act(client, payment, "refund")
                await until_status(client, payment["id"], "refunded")


@pytest.mark.any_database
@pytest.mark.parametrize("field", [pytest.param("id", marks=pytest.mark.long), "status", "livemode", "payment_status"])
async def test_sessions_that_cannot_be_read_keep_nothing_from_the_others(tmp_path: Path, field: str) -> None:
    """However many sessions lack a field, the reconciler asks about all others, without backing off."""
    payers, poisoned = 12, set[str]()

    def poison(path: str, answer: Json) -> Json:
        if path.rpartition("/")[2] in poisoned:
            del answer[field]
        if path == "/v1/events":
            answer["data"] = []
        return answer

    async with tampering() as between:
        between.change = poison
        with board_behind(between, tmp_path, reconcile_seconds=1) as served:
            async with http_client(served) as client:
                await client.put("/sandbox/test/faults", json=LOST)
                payments = [await start(client, f"Hello {uuid.uuid4()}") for _ in range(payers)]
                poisoned |= {session_of(payment) for payment in payments[:-2]}
                for payment in payments:
                    await act(client, payment, "pay")
                texts = [payment["text"] for payment in payments[-2:]]
                for _ in range(80):
                    shown = [text for text in texts if await messages_with(client, text)]
                    if shown == texts:
                        break
                    await asyncio.sleep(0.1)
                assert shown == texts
                for payment in payments[:-2]:
                    assert await messages_with(client, payment["text"]) == []


@pytest.mark.any_database
async def test_a_dispute_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    """Among junk the one readable dispute counts."""

    def poison(path: str, answer: Json) -> Json:
        if path == "/v1/disputes":
            answer["data"] = [None, {}, {"status": 7}, *answer["data"], []]
        return answer

    async with tampering() as between:
        between.change = poison
        with board_behind(between, tmp_path) as served:
            async with http_client(served) as client:
                payment = await start(client, f"Hello {uuid.uuid4()}")
                await act(client, payment, "pay")
                await until_status(client, payment["id"], "fulfilled")
                await act(client, payment, "dispute")
                await until_status(client, payment["id"], "disputed")
                await act(client, payment, "win_dispute")
                await until_status(client, payment["id"], "fulfilled")


@pytest.mark.any_database
async def test_a_list_that_goes_round_in_circles_ends(tmp_path: Path) -> None:
    """If a page says that there is more and the next one is the same, the reconciler continues with what it has."""

    def poison(path: str, answer: Json) -> Json:
        if path == "/v1/events":
            answer["has_more"] = True
        return answer

    async with tampering() as between:
        between.change = poison
        with board_behind(between, tmp_path, reconcile_seconds=1) as served:
            async with http_client(served) as client:
                await client.put("/sandbox/test/faults", json=LOST)
                payment = await start(client, f"Hello {uuid.uuid4()}")
                await act(client, payment, "pay")
                for _ in range(80):
                    if await messages_with(client, payment["text"]):
                        break
                    await asyncio.sleep(0.1)
                assert len(await messages_with(client, payment["text"])) == 1


async def test_a_bug_about_one_payment_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If our own code fails on one session, the traceback is logged and the others are posted."""
    broken: set[str] = set()
    real = stripe_events.read_session

    def read_session(retrieved: Json) -> Any:
        if retrieved["id"] in broken:
            raise AttributeError("a bug of ours")
        return real(retrieved)

    monkeypatch.setattr("paidchat.stripe.gateway.read_session", read_session)
    async with tampering() as between:
        between.change = lambda path, answer: {**answer, "data": []} if path == "/v1/events" else answer
        with captured_logs() as logs, board_behind(between, tmp_path, reconcile_seconds=1) as served:
            async with http_client(served) as client:
                await client.put("/sandbox/test/faults", json=LOST)
                payments = [await start(client, f"Hello {uuid.uuid4()}") for _ in range(5)]
                broken |= {session_of(payment) for payment in payments[:4]}
                for payment in payments:
                    await act(client, payment, "pay")
                for _ in range(80):
                    if await messages_with(client, payments[4]["text"]):
                        break
                    await asyncio.sleep(0.1)
                assert len(await messages_with(client, payments[4]["text"])) == 1
                lookup = await client.get(f"/api/payments/{payments[0]['id']}")
                assert (lookup.status_code, lookup.json()["status"]) == (200, "pending")
    failed = [line for line in logs if line["event"] == "sweep.item_failed"]
    assert {line["payment_id"] for line in failed} >= {payment["id"] for payment in payments[:4]}
    assert all(line["exc_info"] for line in failed)


async def test_a_key_that_may_not_refund_stops_nothing(tmp_path: Path) -> None:
    """If our key may not refund, an event about a second payment is accepted, and the reconciler does the rest."""
    async with tampering() as between:
        between.forbidden = {"/v1/refunds"}
        with captured_logs() as logs, board_behind(between, tmp_path, reconcile_seconds=1) as served:
            async with http_client(served) as client:
                payment = await start(client, f"Hello {uuid.uuid4()}")
                session = await stripe_session(client, payment)
                assert (await deliver(client, completed(paid(session)))).status_code == 200
                again = await deliver(client, completed(paid(session, payment_intent="pi_of_the_second_tab")))
                assert again.status_code == 200
                async with opened(served.settings.database_url) as database, transaction(database) as connection:
                    old = await write_payment(
                        connection, status="expired", created_at=datetime.now(UTC) - timedelta(days=31)
                    )
                for _ in range(80):
                    if (gone := await client.get(f"/api/payments/{old}")).status_code == 404:
                        break
                    await asyncio.sleep(0.1)
                assert gone.status_code == 404
    postponed = [line for line in logs if line["event"] == "refund.postponed"]
    assert {(line["payment_id"], line["log_level"]) for line in postponed} == {(payment["id"], "error")}
    assert [line for line in logs if line.get("exc_info")] == []
