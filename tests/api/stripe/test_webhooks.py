"""POST /stripe/webhook: each event takes effect once, in any order, and is acknowledged only once it is on disk."""

import asyncio
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy
from sqlalchemy import delete, select
from sqlalchemy.engine import Engine

from paidchat.storage import queries
from tests.support.board_client import http_client, look_up, messages_with, session_of, start, stripe_session
from tests.support.logs import captured_logs
from tests.support.rows import first_sweep_over, opened, write_payment
from tests.support.served import Served, served_board
from tests.support.shapes import Json
from tests.support.transactions import transaction
from tests.support.webhooks import completed, deliver, event, paid, unpaid

RECEIVED = {"received": True}


def unique_text() -> str:
    """A text that no other test posts."""
    return f"Hello {uuid.uuid4()}"


async def new_payment(client: httpx.AsyncClient) -> tuple[Json, Json]:
    """Start a payment with a unique text; return it and its session at Stripe."""
    payment = await start(client, unique_text())
    return payment, await stripe_session(client, payment)


async def taken(client: httpx.AsyncClient, sent: Json) -> None:
    """Deliver an event and check that it gets the contract's 200."""
    answer = await deliver(client, sent)
    assert (answer.status_code, answer.json()) == (200, RECEIVED), answer.text


async def test_a_paid_session_posts_its_message(client: httpx.AsyncClient) -> None:
    """When `completed` says paid, the response is 200, and by then the message is on the board."""
    payment, session = await new_payment(client)
    answer = await deliver(client, completed(paid(session)))
    assert answer.status_code == 200
    assert answer.json() == RECEIVED
    [message] = await messages_with(client, payment["text"])
    assert (await look_up(client, payment["id"]))["message_id"] == message["id"]


async def test_events_at_once_share_transactions(tmp_path: Path, backend: str) -> None:
    """Thirty events about as many payments, sent at once, are applied in far fewer transactions; no group fails."""
    del backend
    with captured_logs() as logs, served_board(tmp_path, reconcile_seconds=3600) as served:
        await first_sweep_over(served.settings.database_url)
        async with http_client(served) as client:
            payments = [await start(client, f"Number {number}") for number in range(30)]
            events = [completed(paid(await stripe_session(client, payment))) for payment in payments]
            with counted_commits() as commits:
                answers = await asyncio.gather(*(deliver(client, each) for each in events))
    assert {answer.status_code for answer in answers} == {200}
    assert not [entry for entry in logs if entry["event"] == "group_commit.failed"]
    assert len(commits) < len(events) / 2


@contextmanager
def counted_commits() -> Iterator[list[None]]:
    """Collect the writing transactions that this process commits; reading ones end with a rollback."""
    commits: list[None] = []

    def count(_connection: object) -> None:
        commits.append(None)

    sqlalchemy.event.listen(Engine, "commit", count)
    try:
        yield commits
    finally:
        sqlalchemy.event.remove(Engine, "commit", count)


async def test_a_hundred_copies_at_once_post_once(client: httpx.AsyncClient, board: Served) -> None:
    """A hundred newly signed copies of one event, each on its own connection, post one message."""
    payment, session = await new_payment(client)
    sent = completed(paid(session))
    limits = httpx.Limits(max_connections=100)
    async with http_client(board, limits=limits) as crowd:
        answers = await asyncio.gather(*(deliver(crowd, sent) for _ in range(100)))
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, RECEIVED)] * 100
    [message] = await messages_with(client, payment["text"])
    assert (await look_up(client, payment["id"]))["message_id"] == message["id"]


async def test_fifty_events_that_say_the_same_post_once(client: httpx.AsyncClient, board: Served) -> None:
    """Different events about one payment, concurrent with its lookups, post one message: the payment is the key."""
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
    """The board shows exactly what the sandbox was paid for, even if everything is delivered many times."""
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
    """An event that arrives before the session's id is stored finds its payment by the metadata."""
    _, session = await new_payment(client)
    async with opened(board.settings.database_url) as database, transaction(database) as connection:
        payment_id = await write_payment(connection, text=unique_text())
    await taken(client, completed(paid(_of_payment(session, payment_id))))
    assert (await look_up(client, payment_id))["status"] == "fulfilled"


def _of_payment(session: Json, payment_id: str) -> Json:
    """The same session, but made for another payment of this board."""
    own = session["client_reference_id"]
    metadata = {key: payment_id if value == own else value for key, value in session["metadata"].items()}
    session_id = f"cs_test_{uuid.uuid4().hex}"
    return {**session, "id": session_id, "client_reference_id": payment_id, "metadata": metadata}


async def test_an_unknown_payment_is_asked_for_again(client: httpx.AsyncClient, board: Served) -> None:
    """A paid event with our tag for an unknown payment is 503 `payment_unknown`, and posts once the payment exists."""
    _, session = await new_payment(client)
    payment_id, text = str(uuid.uuid4()), unique_text()
    sent = completed(paid(_of_payment(session, payment_id)))
    with captured_logs() as logs:
        for _ in range(2):
            answer = await deliver(client, sent)
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "payment_unknown"
            assert int(answer.headers["retry-after"]) >= 1
    assert [line["log_level"] for line in logs if line.get("event_id") == sent["id"]] == ["error", "error"]
    assert [line for line in logs if line.get("exc_info")] == []
    async with opened(board.settings.database_url) as database, transaction(database) as connection:
        await write_payment(connection, id=payment_id, text=text)
    await taken(client, sent)
    await taken(client, sent)
    assert len(await messages_with(client, text)) == 1


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("checkout.session.completed", {"payment_status": "unpaid"}),
        ("checkout.session.completed", {"payment_status": "no_payment_required"}),
        ("checkout.session.async_payment_failed", {"payment_status": "unpaid"}),
        ("checkout.session.expired", {"status": "expired", "payment_status": "unpaid", "payment_intent": None}),
    ],
)
async def test_nothing_else_of_an_unknown_payment_is_asked_for_again(
    client: httpx.AsyncClient, kind: str, changes: Json
) -> None:
    """Other events for an unknown payment are 200, because sending them again would not help."""
    _, session = await new_payment(client)
    await taken(client, event(kind, paid(_of_payment(session, str(uuid.uuid4())), **changes)))


async def test_a_refund_of_an_unknown_payment_is_taken(client: httpx.AsyncClient, board: Served) -> None:
    """A refund for an unknown payment is 200, although Stripe says that it has our tag."""
    payment, _ = await new_payment(client)
    await client.post(f"/sandbox/test/sessions/{session_of(payment)}/pay")
    session = await stripe_session(client, payment)
    async with opened(board.settings.database_url) as database, transaction(database) as connection:
        [(message_id,)] = await connection.execute(
            select(queries.message.c.id).where(queries.message.c.payment_id == payment["id"])
        )
        await connection.execute(delete(queries.log_entry).where(queries.log_entry.c.message_id == message_id))
        await connection.execute(delete(queries.message).where(queries.message.c.id == message_id))
        await connection.execute(delete(queries.payment).where(queries.payment.c.id == payment["id"]))
    refund = {"id": "re_1", "object": "refund", "payment_intent": session["payment_intent"]}
    await taken(client, event("refund.created", refund))


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
    """Whatever order Stripe's events arrive in, a paid message is posted once and no status goes back."""
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
    """A session that is not ours, not paid or not at our price gets 200 and posts nothing."""
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
    """Events of other applications on the same account get 200, and ours among them still post."""
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
    """A signed body that is not an event for us is 200: Stripe need not send it again."""
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
    """A signed body that does not parse is 200 or 400, never a 5xx."""
    assert (await deliver(client, payload)).status_code in {200, 400}


def odd_events() -> list[tuple[str, Any]]:
    """Return events that Stripe would never send, by name: dictionaries (`...` removes a member) or raw bodies."""
    session = {"id": "cs_test_1", "status": "complete", "payment_status": "paid", "livemode": False}
    charge = {"id": "ch_1", "object": "charge", "livemode": False, "payment_intent": "pi_1"}

    def completed_with(**changes: Any) -> Json:
        return completed({**session, **changes})

    def refunded_with(**changes: Any) -> Json:
        return event("charge.refunded", {**charge, **changes})

    whole = completed_with()
    return [
        ("a session without status", completed_with(status=...)),
        ("a session without mode", completed_with(livemode=...)),
        ("a session whose mode is a word", completed_with(livemode="false")),
        ("a session without id", completed_with(id=...)),
        ("a session with a long id", completed_with(id="cs_" + "x" * 300)),
        ("a session with a NUL in its id", completed_with(id="cs_\0")),
        ("an intent without id", completed_with(payment_intent={"object": "payment_intent"})),
        ("an intent that is a list", completed_with(payment_intent=["pi_1"])),
        ("an intent with a NUL", completed_with(payment_intent="pi_\0")),
        ("metadata that is a list", completed_with(metadata=["paidchat_payment"])),
        ("metadata of numbers", completed_with(metadata={"paidchat_payment": 1})),
        ("metadata of objects", completed_with(metadata={"paidchat_payment": {}})),
        ("a tag with a NUL", completed_with(metadata={"paidchat_payment": "\0", "paidchat_board": "\0"})),
        ("a tag without end", completed_with(metadata={"paidchat_payment": "x" * 10_000})),
        ("an amount that is a word", completed_with(amount_total="100")),
        ("an amount that is a fraction", completed_with(amount_total=100.5)),
        ("a charge's intent without id", refunded_with(payment_intent={})),
        ("a charge's intent that is a number", refunded_with(payment_intent=7)),
        ("a charge whose mode is a word", refunded_with(livemode="no")),
        ("a refund that is a list", event("refund.created", [])),  # type: ignore[arg-type]  # that is the point
        ("a dispute that is null", event("charge.dispute.created", None)),  # type: ignore[arg-type]  # as above
        ("data that is a list", {**whole, "data": []}),
        ("no data", {**whole, "data": ...}),
        ("no mode", {**whole, "livemode": ...}),
        ("a mode that is a number", {**whole, "livemode": 0}),
        ("an id of 256 characters", {**whole, "id": "evt_" + "x" * 252}),
        ("a long id of another type", {**whole, "id": "evt_" + "x" * 300, "type": "customer.created"}),
        ("no id", {**whole, "id": ...}),
        ("an id that is a list", {**whole, "id": []}),
        ("an id with a NUL", {**whole, "id": "evt_\0"}),
        ("a type that is a list", {**whole, "type": []}),
        ("a type that is an object", {**whole, "type": {}}),
        ("null", None),
        ("a list", []),
        ("deep lists", b"[" * 100_000),
        (
            "a deep object",
            b'{"id": "e", "object": "event", "type": "t", "data": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001,
        ),
        ("a number without end", b'{"id": "evt_of_a_huge_number", "object": "event", "data": ' + b"9" * 5000 + b"}"),
        ("a lone surrogate", b'{"id": "evt_\\ud800", "object": "event", "type": "refund.created"}'),
    ]


@pytest.mark.parametrize(("name", "sent"), odd_events(), ids=[name for name, _ in odd_events()])
async def test_what_cannot_be_read_is_taken_logged_and_counted(client: httpx.AsyncClient, name: str, sent: Any) -> None:
    """A signed event that cannot be read is 200 `received`, logged as an error, and counted as unreadable."""
    body = sent if isinstance(sent, bytes) else json.dumps(_without_gaps(_unique(sent))).encode()
    if name in {"null", "a list", "deep lists"}:
        body += b" " * (uuid.uuid4().int % 100_000)  # a unique body, because earlier ones are remembered
    before = await _counted(client, "unreadable")
    with captured_logs() as logs:
        answer = await deliver(client, body)
    assert (answer.status_code, answer.json()) == (200, RECEIVED)
    assert await _counted(client, "unreadable") == before + 1
    assert [line["log_level"] for line in logs if line.get("verdict") == "unreadable"] == ["error"]
    assert [line for line in logs if line.get("exc_info")] == []


def _unique(sent: Any) -> Any:
    """Give an event a unique time and, if possible, a unique id, because earlier ones are remembered."""
    if not isinstance(sent, dict):
        return sent
    own = {"id": f"evt_{uuid.uuid4().hex}"} if re.fullmatch("evt_[0-9a-f]{32}", str(sent.get("id"))) else {}
    return {**sent, **own, "created": uuid.uuid4().int % 10**9}


def _without_gaps(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_gaps(each) for name, each in value.items() if each is not ...}
    return value


async def _counted(client: httpx.AsyncClient, verdict: str) -> float:
    for line in (await client.get("/metrics")).text.splitlines():
        if line.startswith(f'paidchat_stripe_facts_total{{verdict="{verdict}"}} '):
            return float(line.rpartition(" ")[2])
    return 0.0


async def test_an_unreadable_event_that_is_put_right_posts(client: httpx.AsyncClient) -> None:
    """An unreadable event is not recorded as handled: the same event, readable, still posts."""
    payment, session = await new_payment(client)
    right = completed(paid(session))
    wrong = {**right, "data": {"object": {**paid(session), "metadata": 7}}}
    await taken(client, wrong)
    await taken(client, right)
    assert len(await messages_with(client, payment["text"])) == 1


NOT_OUR_ACCOUNT = [{"account": "acct_1"}, {"context": "acct_1"}, {"account": "acct_1", "context": "org_1/acct_1"}]


@pytest.mark.parametrize("marks", NOT_OUR_ACCOUNT)
async def test_an_event_of_another_account_is_ignored(client: httpx.AsyncClient, marks: Json) -> None:
    """An event with `account` or `context`, whatever it says about our payment, is 200, counted, and posts nothing."""
    payment, session = await new_payment(client)
    before = await _counted(client, "foreign")
    await taken(client, {**completed(paid(session)), **marks})
    assert await _counted(client, "foreign") == before + 1
    assert (await look_up(client, payment["id"]))["status"] == "pending"
    await taken(client, {**completed(paid(session)), "account": None, "context": None})
    [message] = await messages_with(client, payment["text"])
    intent = paid(session)["payment_intent"]
    await taken(client, {**event("charge.refunded", {"id": "ch_1", "payment_intent": intent}), **marks})
    assert [shown["id"] for shown in await messages_with(client, payment["text"])] == [message["id"]]


@pytest.mark.parametrize(("of_event", "of_object"), [(True, False), (False, True), (True, True)])
async def test_an_event_of_another_mode_moves_nothing(
    client: httpx.AsyncClient, *, of_event: bool, of_object: bool
) -> None:
    """Both the event and its object must be in our mode, in events about sessions and about money."""
    payment, session = await new_payment(client)
    before = await _counted(client, "wrong_mode")
    await taken(client, {**completed(paid(session, livemode=of_object)), "livemode": of_event})
    for kind in ("charge.refunded", "charge.dispute.created"):
        about = {"id": "ch_1", "payment_intent": "pi_1", "livemode": of_object}
        await taken(client, {**event(kind, about), "livemode": of_event})
    assert await _counted(client, "wrong_mode") == before + 3
    assert (await look_up(client, payment["id"]))["status"] == "pending"
    assert await messages_with(client, payment["text"]) == []


async def test_a_refund_of_another_mode_asks_nothing(client: httpx.AsyncClient) -> None:
    """A refund has no mode of its own, so the event's counts."""
    before = await _counted(client, "wrong_mode")
    refund = {"id": "re_1", "object": "refund", "payment_intent": "pi_1"}
    await taken(client, {**event("refund.created", refund), "livemode": True})
    assert await _counted(client, "wrong_mode") == before + 1
