"""Refunds and disputes: a message is shown while its payment stands, in whatever order the news arrives."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from paidchat.storage import queries
from tests.support.board_client import (
    act,
    http_client,
    look_up,
    messages_with,
    session_of,
    sessions_of,
    start,
    stripe_session,
    until_status,
)
from tests.support.following import following
from tests.support.rows import first_sweep_over, opened
from tests.support.served import Served, served_board
from tests.support.shapes import Json
from tests.support.transactions import transaction


@pytest.fixture(scope="module")
def board(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board for this file only: its tests read the whole ledger repeatedly, so a short one saves time."""
    with served_board(tmp_path_factory.mktemp(backend)) as served:
        yield served


@pytest.fixture(scope="module")
async def lossy(backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A board that only gets the events that a test sends, and asks Stripe only at a lookup."""
    with served_board(tmp_path_factory.mktemp(backend), reconcile_seconds=3600) as served:
        await first_sweep_over(served.settings.database_url)
        yield served


@pytest.fixture
async def deaf(lossy: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that board."""
    async with http_client(lossy) as http:
        await http.put("/sandbox/test/faults", json={"webhook": {"drop": "all"}})
        yield http


async def new_payment(client: httpx.AsyncClient) -> Json:
    """Start a payment with a unique text."""
    return await start(client, f"Hello {uuid.uuid4()}")


async def reason_gone(client: httpx.AsyncClient, message_id: int) -> str | None:
    """Why a message is off the board; None if it is on it."""
    answer = await client.get(f"/api/messages/{message_id}")
    return str(answer.json()["reason"]) if answer.status_code == 410 else None


HISTORIES = [
    (["pay", "refund"], "refunded", "refunded"),
    (["pay", "refund_partial"], "fulfilled", None),
    (["pay", "refund_partial", "refund_partial"], "fulfilled", None),
    (["pay", "refund", "refund_fail"], "fulfilled", None),
    (["pay", "dispute"], "disputed", "disputed"),
    (["pay", "dispute", "win_dispute"], "fulfilled", None),
    (["pay", "dispute", "lose_dispute"], "disputed", "disputed"),
    (["pay", "inquiry"], "fulfilled", None),
    (["pay_later", "settle", "refund"], "refunded", "refunded"),
]


@pytest.mark.parametrize(("verbs", "status", "reason"), HISTORIES, ids=["-".join(verbs) for verbs, _, _ in HISTORIES])
async def test_a_message_is_shown_while_its_money_is_ours(
    client: httpx.AsyncClient, verbs: list[str], status: str, reason: str | None
) -> None:
    """A full refund or a dispute removes the message; a partial or failed one, an inquiry, a won dispute do not."""
    payment = await new_payment(client)
    for verb in verbs:
        await act(client, payment, verb)
        if verb in {"pay", "settle"}:
            await until_status(client, payment["id"], "fulfilled")
    await _deliveries(client, payment, 200, len(verbs))
    after = await until_status(client, payment["id"], status)
    assert after["message_id"] is not None
    assert after["checkout_url"] is None
    assert await reason_gone(client, after["message_id"]) == reason
    assert len(await messages_with(client, payment["text"])) == (reason is None)


async def _deliveries(client: httpx.AsyncClient, payment: Json, status: int | None, at_least: int = 1) -> list[Json]:
    """Wait until the sandbox has delivered or dropped every event about a payment's session; return its deliveries."""
    before: list[Json] = []
    mine: list[Json] = []
    for _ in range(200):
        ledger = (await client.get("/sandbox/test/ledger")).json()
        mine = [each for each in ledger["deliveries"] if each["session"] == session_of(payment)]
        if len(mine) >= at_least and mine == before and {each["status"] for each in mine} == {status}:
            return mine
        before = mine
        await asyncio.sleep(0.15)
    raise AssertionError(f"deliveries do not come to an end: {mine}")


async def test_everybody_sees_it_leave_and_come_back(client: httpx.AsyncClient, board: Served) -> None:
    """A dispute removes the message live, and winning it restores the same message."""
    payment = await new_payment(client)
    async with following(board) as follower:
        frames = []
        for verb, kind in (
            ("pay", "message.posted"),
            ("dispute", "message.removed"),
            ("win_dispute", "message.restored"),
        ):
            await act(client, payment, verb)
            frames.append(await follower.receive())
            assert frames[-1]["type"] == kind
        posted, removed, restored = frames
    assert [frame["seq"] for frame in frames] == [posted["seq"] + step for step in range(3)]
    assert (removed["message_id"], removed["reason"]) == (posted["message"]["id"], "disputed")
    assert restored["message"] == posted["message"]


async def test_the_payer_is_told(client: httpx.AsyncClient, board: Served) -> None:
    """A subscriber that watches a payment is told of a refund after the removal."""
    payment = await new_payment(client)
    await act(client, payment, "pay")
    await until_status(client, payment["id"], "fulfilled")
    async with following(board) as follower:
        await follower.watch(payment["id"])
        while (frame := await follower.receive())["type"] != "payment.updated":
            pass  # the post, if the snapshot was older
        assert frame["payment"]["status"] == "fulfilled"
        await act(client, payment, "refund")
        assert (await follower.receive())["type"] == "message.removed"
        assert (await follower.receive())["payment"]["status"] == "refunded"


async def test_a_refund_before_the_lookup_never_posts(deaf: httpx.AsyncClient) -> None:
    """If no webhook came and the payment was refunded meanwhile, the lookup finds both, and nothing is ever posted."""
    payment = await new_payment(deaf)
    await act(deaf, payment, "pay")
    await act(deaf, payment, "refund")
    after = await until_status(deaf, payment["id"], "refunded")
    assert after["message_id"] is None
    assert await messages_with(deaf, payment["text"]) == []


async def test_a_dispute_before_the_lookup_never_posts(deaf: httpx.AsyncClient) -> None:
    """If no webhook came and the payment was disputed meanwhile, it is neither posted nor payable again."""
    payment = await new_payment(deaf)
    await act(deaf, payment, "pay")
    await act(deaf, payment, "dispute")
    for _ in range(100):
        if (after := await look_up(deaf, payment["id"]))["checkout_url"] is None:
            break
        await asyncio.sleep(0.05)
    assert after["checkout_url"] is None
    assert after["message_id"] is None
    assert await messages_with(deaf, payment["text"]) == []


async def events_of(client: httpx.AsyncClient, payment: Json) -> dict[str, str]:
    """The types of all events about a payment's session by id, in the order in which they happened."""
    lost = await _deliveries(client, payment, None, 2)
    return {each["event"]: each["type"] for each in lost}


@pytest.mark.parametrize(
    ("verbs", "status"),
    [(["pay", "refund"], "refunded"), (["pay", "refund", "refund_fail"], "fulfilled"), (["pay", "dispute"], None)],
    ids=str,
)
@pytest.mark.parametrize("seed", range(4))
async def test_the_order_of_the_news_does_not_matter(
    deaf: httpx.AsyncClient, verbs: list[str], status: str | None, seed: int
) -> None:
    """Late events in any order lead to the state at Stripe; after a loss nothing is posted."""
    payment = await new_payment(deaf)
    for verb in verbs:
        await act(deaf, payment, verb)
    types = await events_of(deaf, payment)
    events = list(types)
    random.Random(seed).shuffle(events)
    for event in events:
        answer = await deaf.post(f"/sandbox/test/events/{event}/resend")
        assert answer.json()["status"] == 200
    after = await look_up(deaf, payment["id"])
    if status is not None:
        assert after["status"] == status
    assert len(await messages_with(deaf, payment["text"])) == (status == "fulfilled")
    if status != "fulfilled" and types[events[0]] != "checkout.session.completed":
        assert after["message_id"] is None


async def test_the_sweep_finds_what_was_never_told(tmp_path: Path) -> None:
    """A refund whose webhooks were all lost is found by the reconciler, and the message is removed."""
    with served_board(tmp_path, reconcile_seconds=0.5) as served:
        async with http_client(served) as client:
            payment = await new_payment(client)
            await act(client, payment, "pay")
            fulfilled = await until_status(client, payment["id"], "fulfilled")
            await client.put("/sandbox/test/faults", json={"webhook": {"drop": "all"}})
            await act(client, payment, "refund")
            await until_status(client, payment["id"], "refunded")
            assert await reason_gone(client, fulfilled["message_id"]) == "refunded"


async def test_the_sweep_posts_what_nobody_looks_at(tmp_path: Path) -> None:
    """A payment whose webhooks were all lost, and that nobody looks up, is posted by the reconciler."""
    with served_board(tmp_path, reconcile_seconds=0.5) as served:
        async with http_client(served) as client, following(served) as follower:
            await client.put("/sandbox/test/faults", json={"webhook": {"drop": "all"}})
            payment = await new_payment(client)
            await act(client, payment, "pay")
            posted = await follower.receive(15)
            assert posted["message"]["text"] == payment["text"]


async def second_session(client: httpx.AsyncClient, payment: Json) -> Json:
    """Create another session for a payment, as left behind by an attempt whose response was lost."""
    first = await stripe_session(client, payment)
    form = {
        "mode": "payment",
        "success_url": first["success_url"],
        "client_reference_id": payment["id"],
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": payment["currency"],
        "line_items[0][price_data][unit_amount]": str(payment["amount"]),
        "line_items[0][price_data][product_data][name]": "One message",
    }
    for key, value in first["metadata"].items():
        form[f"metadata[{key}]"] = value
        form[f"payment_intent_data[metadata][{key}]"] = value
    answer = await client.post(
        "/sandbox/v1/checkout/sessions", data=form, headers={"Authorization": "Bearer sk_test_writer"}
    )
    assert answer.status_code == 200, answer.text
    return {**payment, "checkout_url": answer.json()["url"]}


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at once"])
async def test_money_that_came_twice_goes_back_once(client: httpx.AsyncClient, at_once: bool) -> None:
    """Of two paid sessions of one payment, one posts the message, the other is refunded, and the message stays."""
    payment = await new_payment(client)
    other = await second_session(client, payment)
    if at_once:
        await asyncio.gather(act(client, payment, "pay"), act(client, other, "pay"))
    else:
        await act(client, payment, "pay")
        await act(client, other, "pay")
    fulfilled = await until_status(client, payment["id"], "fulfilled")
    for _ in range(200):
        back = sorted(session["amount_refunded"] for session in await sessions_of(client, payment["id"]))
        if back == [0, 100]:
            break
        await asyncio.sleep(0.05)
    assert back == [0, 100]
    await _deliveries(client, payment, 200)
    await _deliveries(client, other, 200)
    assert await look_up(client, payment["id"]) == fulfilled
    assert len(await messages_with(client, payment["text"])) == 1


# --- beside programs that go by a clock -------------------------------------------------------------


@pytest.mark.any_database
@pytest.mark.parametrize("gone", ["refund", "dispute"])
@pytest.mark.parametrize(
    ("then", "stays"),
    [
        ([], True),
        (["refund"], False),
        (["dispute"], False),
        (["refund", "refund_fail"], True),
        (["dispute", "win_dispute"], True),
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(2))
async def test_other_money_posts_only_while_it_is_there(
    deaf: httpx.AsyncClient, gone: str, then: list[str], stays: bool, seed: int
) -> None:
    """If the first money went back before anything was posted, money of another session posts, unless it went too.

    The news of both comes in any order, so a refund, or that it failed, may be known before the payment.
    """
    payment = await new_payment(deaf)
    other = await second_session(deaf, payment)
    await act(deaf, payment, "pay")
    await act(deaf, payment, gone)
    first = [event for event, type_ in (await events_of(deaf, payment)).items() if "session" not in type_]
    await act(deaf, other, "pay")
    for verb in then:
        await act(deaf, other, verb)
    second = await _deliveries(deaf, other, None, 1 + bool(then))
    events = [*await events_of(deaf, payment), *(each["event"] for each in second)]
    random.Random(seed).shuffle(events)
    for event in [*first, *events]:  # that the first money is gone is known before anything is posted for it
        answer = await deaf.post(f"/sandbox/test/events/{event}/resend")
        assert answer.json()["status"] == 200
    after = await look_up(deaf, payment["id"])
    assert len(await messages_with(deaf, payment["text"])) == stays, (after, events)
    assert stays == (after["status"] == "fulfilled")


async def know_by_clock(served: Served, payment_id: str, known_at: datetime) -> None:
    """Store an answer's time without a number, as a program of revision 0001 does."""
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        await connection.run_sync(queries.update_payment, payment_id, known_at=known_at, known_number=None)


async def overtaken(client: httpx.AsyncClient) -> float:
    """Return how many answers were overtaken, from the metrics."""
    name = 'paidchat_stripe_facts_total{verdict="overtaken"}'
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def test_a_time_to_come_orders_nothing(board: Served, client: httpx.AsyncClient) -> None:
    """An answer that an older program stored with a clock an hour ahead does not suppress a refund."""
    payment = await new_payment(client)
    await act(client, payment, "pay")
    fulfilled = await until_status(client, payment["id"], "fulfilled")
    await know_by_clock(board, payment["id"], datetime.now(UTC) + timedelta(hours=1))
    await act(client, payment, "refund")
    await until_status(client, payment["id"], "refunded")
    assert await reason_gone(client, fulfilled["message_id"]) == "refunded"


async def test_an_answer_that_was_overtaken_is_asked_for_again(board: Served, client: httpx.AsyncClient) -> None:
    """If an older program gets a later answer meanwhile, ours is ignored and Stripe is asked again."""
    for _ in range(3):  # on a busy machine the answer may not be the one that hangs
        payment = await new_payment(client)
        await act(client, payment, "pay")
        fulfilled = await until_status(client, payment["id"], "fulfilled")
        before = await overtaken(client)
        await client.put("/sandbox/test/faults", json={"api": {"hang_s": 3, "count": 1}})
        await act(client, payment, "refund")
        await asyncio.sleep(1.5)
        await know_by_clock(board, payment["id"], datetime.now(UTC))
        await until_status(client, payment["id"], "refunded")
        assert await reason_gone(client, fulfilled["message_id"]) == "refunded"
        if await rises(client, before):
            return
    raise AssertionError("no answer was overtaken")


async def rises(client: httpx.AsyncClient, before: float) -> bool:
    """Tell whether an answer is overtaken within some seconds."""
    for _ in range(50):
        if await overtaken(client) > before:
            return True
        await asyncio.sleep(0.1)
    return False
