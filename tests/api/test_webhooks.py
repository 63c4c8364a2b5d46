"""POST /stripe/webhook: what Stripe says is done once, in any order, and answered only after it is on disk."""

import asyncio
import json
import uuid
from typing import Any

import httpx
import pytest
from board_client import http_client, look_up, messages_with, session_of, start, stripe_session
from rows import opened, write_payment
from served import Served
from webhooks import Json, completed, deliver, event, paid, unpaid

RECEIVED = {"received": True}


def unique_text() -> str:
    """A text that no other test posts."""
    return f"Hello {uuid.uuid4()}"


async def new_payment(client: httpx.AsyncClient) -> tuple[Json, Json]:
    """Start a payment with a text of its own; return it and its session as Stripe has it."""
    payment = await start(client, unique_text())
    return payment, await stripe_session(client, payment)


async def taken(client: httpx.AsyncClient, sent: Json) -> None:
    """Deliver an event and make sure that it is taken with the contract's answer."""
    answer = await deliver(client, sent)
    assert (answer.status_code, answer.json()) == (200, RECEIVED), answer.text


async def test_a_paid_session_posts_its_message(client: httpx.AsyncClient) -> None:
    """When `completed` says paid, the answer is 200, and by then the message is on the board."""
    payment, session = await new_payment(client)
    answer = await deliver(client, completed(paid(session)))
    assert answer.status_code == 200
    assert answer.json() == RECEIVED
    [message] = await messages_with(client, payment["text"])
    assert (await look_up(client, payment["id"]))["message_id"] == message["id"]


async def test_a_hundred_copies_at_once_post_once(client: httpx.AsyncClient, board: Served) -> None:
    """A hundred freshly signed copies of one event, each on a connection of its own, post one message."""
    payment, session = await new_payment(client)
    sent = completed(paid(session))
    limits = httpx.Limits(max_connections=100)
    async with http_client(board, limits=limits) as crowd:
        answers = await asyncio.gather(*(deliver(crowd, sent) for _ in range(100)))
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, RECEIVED)] * 100
    [message] = await messages_with(client, payment["text"])
    assert (await look_up(client, payment["id"]))["message_id"] == message["id"]


async def test_fifty_events_that_say_the_same_post_once(client: httpx.AsyncClient, board: Served) -> None:
    """Different events about one payment, all at once with its lookups, post one message: the payment is the key."""
    payment, session = await new_payment(client)
    kinds = ["checkout.session.completed", "checkout.session.async_payment_succeeded"]
    async with http_client(board, limits=httpx.Limits(max_connections=50)) as crowd:
        answers = await asyncio.gather(
            *(deliver(crowd, event(kinds[number % 2], paid(session))) for number in range(50)),
            *(crowd.get(f"/api/payments/{payment['id']}") for _ in range(10)),
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len(await messages_with(client, payment["text"])) == 1


async def test_ledger_and_board_agree(client: httpx.AsyncClient) -> None:
    """What the sandbox took money for, delivered many times over, is what the board shows, once."""
    payment = await start(client, unique_text())
    await client.put("/sandbox/test/faults", json={"webhook": {"duplicate": 30}})
    paying = await client.post(f"/sandbox/test/sessions/{session_of(payment)}/pay")
    await client.delete("/sandbox/test/faults")
    ledger = (await client.get("/sandbox/test/ledger")).json()
    statuses = [delivery["status"] for delivery in ledger["deliveries"] if delivery["session"] == session_of(payment)]
    assert paying.json()["payment_status"] == "paid"
    assert len(statuses) >= 31
    assert set(statuses) == {200}
    assert len(await messages_with(client, payment["text"])) == 1


async def test_an_event_before_the_session_is_known(client: httpx.AsyncClient, board: Served) -> None:
    """An event that comes before the session's id was stored finds its payment by the metadata."""
    _, session = await new_payment(client)
    async with opened(board.settings.database_url) as database, database.transaction() as connection:
        payment_id = await write_payment(connection, text=unique_text())
    await taken(client, completed(paid(_of_payment(session, payment_id))))
    assert (await look_up(client, payment_id))["status"] == "fulfilled"


def _of_payment(session: Json, payment_id: str) -> Json:
    """The same session, made for another payment of this board."""
    own = session["client_reference_id"]
    metadata = {key: payment_id if value == own else value for key, value in session["metadata"].items()}
    session_id = f"cs_test_{uuid.uuid4().hex}"
    return {**session, "id": session_id, "client_reference_id": payment_id, "metadata": metadata}


async def test_an_unknown_payment_is_asked_for_again(client: httpx.AsyncClient, board: Served) -> None:
    """An event that is ours but about no payment we have is 5xx, and posts once the payment is there."""
    _, session = await new_payment(client)
    payment_id, text = str(uuid.uuid4()), unique_text()
    sent = completed(paid(_of_payment(session, payment_id)))
    for _ in range(2):
        answer = await deliver(client, sent)
        assert answer.status_code >= 500
        assert answer.headers["content-type"] == "application/problem+json"
    async with opened(board.settings.database_url) as database, database.transaction() as connection:
        await write_payment(connection, id=payment_id, text=text)
    await taken(client, sent)
    await taken(client, sent)
    assert len(await messages_with(client, text)) == 1


HISTORIES = [
    (["completed/paid", "expired"], "fulfilled"),
    (["expired", "completed/paid"], "fulfilled"),
    (["expired"], "expired"),
    (["completed/unpaid"], "processing"),
    (["completed/unpaid", "async_payment_succeeded/paid"], "fulfilled"),
    (["async_payment_succeeded/paid", "completed/unpaid"], "fulfilled"),
    (["completed/unpaid", "async_payment_failed/unpaid"], "failed"),
    (["async_payment_failed/unpaid", "completed/unpaid"], "failed"),
    (["completed/unpaid", "async_payment_failed/unpaid", "async_payment_succeeded/paid"], "fulfilled"),
    (["async_payment_succeeded/paid", "async_payment_failed/unpaid"], "fulfilled"),
    (["completed/unpaid", "expired"], "processing"),
]


@pytest.mark.parametrize(("history", "status"), HISTORIES, ids=["-".join(history) for history, _ in HISTORIES])
async def test_events_in_any_order(client: httpx.AsyncClient, history: list[str], status: str) -> None:
    """Whatever order Stripe's events come in, what was paid is posted once and never goes back."""
    payment, session = await new_payment(client)
    for step in history:
        kind, _, payment_status = step.partition("/")
        about = {"paid": paid(session), "unpaid": unpaid(session), "": {**session, "status": "expired"}}[payment_status]
        await taken(client, event(f"checkout.session.{kind}", about))
    assert (await look_up(client, payment["id"]))["status"] == status
    assert len(await messages_with(client, payment["text"])) == (status == "fulfilled")


NOT_POSTED: list[tuple[str, dict[str, Any]]] = [
    ("another amount", {"amount_subtotal": 1, "amount_total": 1}),
    ("more than the price", {"amount_subtotal": 200, "amount_total": 200}),
    ("a discount", {"amount_total": 50}),
    ("tax where there is none", {"amount_total": 119}),
    ("no amount", {"amount_subtotal": None, "amount_total": None}),
    ("another currency", {"currency": "jpy"}),
    ("no currency", {"currency": None}),
    ("nothing to pay", {"payment_status": "no_payment_required"}),
    ("nothing to pay, really", {"payment_status": "no_payment_required", "amount_total": 0}),
    ("an unheard-of status", {"payment_status": "maybe"}),
    ("real money", {"livemode": True}),
    ("no metadata", {"metadata": {}}),
    ("null metadata", {"metadata": None}),
    ("metadata of another application", {"metadata": {"order": "6735"}}),
    ("our names but not our board", {"metadata": "another board"}),
]


@pytest.mark.parametrize(("name", "changes"), NOT_POSTED, ids=[name for name, _ in NOT_POSTED])
async def test_what_is_not_our_payment_is_taken_and_not_posted(
    client: httpx.AsyncClient, name: str, changes: dict[str, Any]
) -> None:
    """A session that is not ours, not paid or not at our price is answered 200 and posts nothing."""
    del name
    payment, session = await new_payment(client)
    if changes.get("metadata") == "another board":
        own = session["metadata"]
        changes = {"metadata": {key: value if value == payment["id"] else "other" for key, value in own.items()}}
    await taken(client, {**completed(paid(session, **changes)), "livemode": changes.get("livemode", False)})
    assert (await look_up(client, payment["id"]))["message_id"] is None
    assert await messages_with(client, payment["text"]) == []


async def test_a_refused_event_does_not_spoil_the_payment(client: httpx.AsyncClient) -> None:
    """After an event with the wrong amount, the right one still posts."""
    payment, session = await new_payment(client)
    await taken(client, completed(paid(session, amount_total=1)))
    await taken(client, completed(paid(session)))
    assert (await look_up(client, payment["id"]))["status"] == "fulfilled"


async def test_foreign_events_among_ours_do_no_harm(client: httpx.AsyncClient) -> None:
    """Events of other applications on the same account are taken, and ours among them post as ever."""
    payment = await start(client, unique_text())
    await client.put("/sandbox/test/faults", json={"webhook": {"foreign_events": True}})
    await client.post(f"/sandbox/test/sessions/{session_of(payment)}/pay")
    await client.delete("/sandbox/test/faults")
    assert (await look_up(client, payment["id"]))["status"] == "fulfilled"
    ledger = (await client.get("/sandbox/test/ledger")).json()
    assert {delivery["status"] for delivery in ledger["deliveries"]} <= {200, None}


IRRELEVANT: list[tuple[str, Any]] = [
    ("customer.created", event("customer.created", {"id": "cus_1", "object": "customer"})),
    ("a type from the future", event("checkout.session.teleported", {"id": "cs_1"})),
    ("a thin event", {"id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered"}),
    ("an empty object", {}),
    ("a list", []),
    ("null", None),
    ("a number", 7),
    ("a string", "checkout.session.completed"),
    ("an event without data", {"id": "evt_1", "object": "event", "type": "checkout.session.completed"}),
    ("data that is null", {"id": "evt_1", "object": "event", "type": "checkout.session.completed", "data": None}),
    ("an object that is a list", event("checkout.session.completed", [])),  # type: ignore[arg-type]
    ("an object that is empty", event("checkout.session.completed", {})),
    ("fields of other types", event("checkout.session.completed", {"id": 7, "metadata": "x", "livemode": "no"})),
    ("a refund without an intent", event("refund.created", {"id": "re_1", "object": "refund"})),
    ("a dispute of a stranger", event("charge.dispute.created", {"id": "dp_1", "payment_intent": "pi_stranger"})),
]


@pytest.mark.parametrize(("name", "sent"), IRRELEVANT, ids=[name for name, _ in IRRELEVANT])
async def test_what_is_signed_but_says_nothing_is_taken(client: httpx.AsyncClient, name: str, sent: Any) -> None:
    """A signed body that is no event for us is 200: Stripe need not send it again."""
    del name
    answer = await deliver(client, json.dumps(sent).encode())
    assert (answer.status_code, answer.json()) == (200, RECEIVED)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not json",
        b'{"id": "evt_1"',
        b"\xff\xfe",
        b'{"id": "\xff"}',
        json.dumps(event("checkout.session.completed", {"id": "\ud800"})).encode(),
        b"[" * 100_000,
        b'{"data":' * 30_000 + b"1" + b"}" * 30_000,
        b'{"id": "e", "object": "event", "type": "checkout.session.completed", "data": {"object": '
        + b'{"a":' * 20_000
        + b"1"
        + b"}" * 20_000
        + b"}}",
        b"NaN",
        b'{"id": 1e999}',
        b"\x00",
    ],
    ids=lambda payload: f"{payload[:8]!r} of {len(payload)}",
)
async def test_what_is_signed_and_cannot_be_read_is_no_5xx(client: httpx.AsyncClient, payload: bytes) -> None:
    """A signed body that no parser takes is 200 or 400, never a failure of ours."""
    assert (await deliver(client, payload)).status_code in {200, 400}
