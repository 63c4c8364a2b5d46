"""The audit: compares the sandbox's ledger with the board's database and its API."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row as DatabaseRow

from tests.support.shapes import Json
from tests.torture.harness.payers import ask
from tests.torture.harness.world import World
from tests.torture.table import Row

SETTLE_EVERY_S = 0.5
ADVANCE_S = 10  # of the sandbox's clock, at each look: deliveries wait up to a minute for their next attempt
LONGEST_ADVANCE_S = 1200  # its sessions last at least half an hour, and must not expire
AT_ONCE = 16
PATIENCE_S = 5
UNFORESEEN = ('"event": "request.failed"', '"event": "Exception in ASGI application')
FORESEEN = "timeout graceful shutdown exceeded"  # uvicorn logs this about a client that it did not wait for
UNSENT = "SELECT payment_intent AS id FROM refund WHERE status = 'wanted'"
ON_BOARD = "fulfilled"
UNPAID = frozenset({"pending", "processing", "expired", "failed"})


@dataclass
class Findings:
    """The findings; see `table.Row` for the kinds."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unpaid_posted: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.unpaid_posted or self.wrong)

    def into(self, row: Row, when: str = "at the end") -> None:
        """Add the findings to a row of the table."""
        for kind in ("lost", "doubled", "unpaid_posted", "wrong"):
            getattr(row, kind).extend(f"{when}: {what}" for what in getattr(self, kind))


@dataclass(frozen=True)
class Books:
    """A snapshot of the board's database, and the sandbox's ledger from just before."""

    ledger: Json
    payments: dict[str, DatabaseRow[Any]]
    messages: list[DatabaseRow[Any]]
    entries: list[DatabaseRow[Any]]
    events: set[str]
    unsent: list[str]
    seq: int
    damage: list[str]


async def settled_audit(world: World, row: Row, *, timeout_s: float) -> None:
    """Wait until the board has settled and everything is right; add to the row what is still wrong at the timeout.

    The board must be running, and there must be no more payers.
    """
    deadline = time.monotonic() + timeout_s
    advanced = 0
    while True:
        findings = await audit(world)
        if not findings or time.monotonic() > deadline:
            break
        if advanced < LONGEST_ADVANCE_S:
            advanced += ADVANCE_S
            await world.let_pass(ADVANCE_S)
        await asyncio.sleep(SETTLE_EVERY_S)
    findings.into(row)
    row.wrong += await check_api(world)
    row.lost += await check_taken(world)
    row.wrong += unforeseen(world)


async def audit(world: World, *, at_rest: bool = True) -> Findings:
    """Compare the sandbox's ledger with the board's database as they are now.

    While deliveries are in progress (not `at_rest`) the board may lag behind, so only invariants are checked.
    """
    books = await read_books(world)
    findings = Findings(wrong=list(books.damage))
    if at_rest:
        _check_payments(books, findings)
        findings.wrong += [f"the refund of {intent} was wanted but not sent" for intent in books.unsent]
    else:
        _check_unpaid(books, findings)
    _check_acknowledged(books, findings)
    _check_log(books, findings)
    return findings


async def read_books(world: World) -> Books:
    """Read both sides; the ledger first, so that the board has had time to catch up with it."""
    ledger = await world.ledger()
    async with world.records.reading() as reader:
        payments = await reader.rows("SELECT id, status, paid, refunded, disputed, payment_intent FROM payment")
        return Books(
            ledger=ledger,
            payments={row.id: row for row in payments},
            messages=await reader.rows("SELECT id, payment_id, text, moderated, hidden FROM message ORDER BY id"),
            entries=await reader.rows("SELECT seq, kind, message_id, reason FROM log_entry ORDER BY seq"),
            events={row.id for row in await reader.rows("SELECT id FROM stripe_event")},
            unsent=[row.id for row in await reader.rows(UNSENT)],
            seq=(await reader.rows("SELECT seq FROM board"))[0].seq,
            damage=await reader.damage(),
        )


# --- money ------------------------------------------------------------------------------------------


def _check_payments(books: Books, findings: Findings) -> None:
    sessions = defaultdict(list)
    for session in books.ledger["sessions"]:
        sessions[session["client_reference_id"]].append(session)
    messages = defaultdict(list)
    for message in books.messages:
        messages[message.payment_id].append(message)
    for payment_id in {*sessions, *books.payments, *messages}:
        _check_payment(payment_id, sessions[payment_id], books.payments.get(payment_id), messages[payment_id], findings)


def _check_payment(
    payment_id: str,
    sessions: list[Json],
    payment: DatabaseRow[Any] | None,
    messages: list[DatabaseRow[Any]],
    findings: Findings,
) -> None:
    """A message is shown exactly once if and only if it was paid, and not fully refunded or disputed."""
    paid = [session for session in sessions if session["payment_status"] == "paid"]
    kept = [session for session in paid if not is_held(session)]
    shown = [message for message in messages if not message.hidden]
    what = f"payment {payment_id} ({payment.status if payment else 'no row'})"
    if len(messages) > 1:
        findings.doubled.append(f"{what} has {len(messages)} messages")
    if len(kept) > 1:
        findings.wrong.append(f"{what} was paid {len(kept)} times and nothing went back")
    if shown and not paid:
        findings.unpaid_posted.append(f"{what} is shown and was not paid")
    elif shown and not kept:
        findings.unpaid_posted.append(f"{what} is shown and its money went back or is held")
    elif kept and not shown and not any(message.moderated for message in messages):
        findings.lost.append(f"{what} was paid and is not shown")
    elif payment is not None and not paid and payment.status not in UNPAID:
        findings.wrong.append(f"{what} was not paid")
    elif kept and payment is not None and payment.status != ON_BOARD:
        findings.wrong.append(f"{what} is paid and not {ON_BOARD}")


def _check_unpaid(books: Books, findings: Findings) -> None:
    """Nothing unpaid is shown, and nothing twice, however far the board lags behind."""
    sessions = books.ledger["sessions"]
    paid = {session["client_reference_id"] for session in sessions if session["payment_status"] == "paid"}
    for message in books.messages:
        if message.payment_id not in paid:
            findings.unpaid_posted.append(f"message {message.id} of payment {message.payment_id} was not paid")
    twice = Counter(message.payment_id for message in books.messages)
    findings.doubled += [
        f"payment {payment_id} has {count} messages" for payment_id, count in twice.items() if count > 1
    ]


def is_held(session: Json) -> bool:
    """Tell whether a paid session was fully refunded, or a dispute holds the money."""
    return bool(session["disputed"] or session["amount_refunded"] >= session["amount_total"])


def _check_acknowledged(books: Books, findings: Findings) -> None:
    for delivery in _acknowledged(books.ledger["deliveries"]):
        if delivery["event"] not in books.events:
            findings.lost.append(f"event {delivery['event']} ({delivery['type']}) was acknowledged and forgotten")


def _acknowledged(deliveries: Iterable[Json]) -> list[Json]:
    return [delivery for delivery in deliveries if delivery["status"] is not None and delivery["status"] < 300]


# --- the log ----------------------------------------------------------------------------------------


def _check_log(books: Books, findings: Findings) -> None:
    seqs = [entry.seq for entry in books.entries]
    if seqs != list(range(1, books.seq + 1)):
        gaps = sorted(set(range(1, books.seq + 1)) ^ set(seqs))
        findings.wrong.append(f"the log is not dense up to {books.seq}: {gaps[:10]}")
    if [message.id for message in books.messages] != [e.seq for e in books.entries if e.kind == "posted"]:
        findings.wrong.append("the messages differ from those that the log posted")
    shown: dict[int, bool] = {}
    for entry in books.entries:
        expected = {"posted": None, "removed": True, "restored": False}[entry.kind]
        if shown.get(entry.message_id) is not expected:
            findings.wrong.append(f"log entry {entry.seq}: message {entry.message_id} can't be {entry.kind} here")
        shown[entry.message_id] = entry.kind != "removed"
    for message in books.messages:
        if shown.get(message.id) is bool(message.hidden):
            findings.wrong.append(f"message {message.id} is hidden={message.hidden} against the log")


# --- the API ----------------------------------------------------------------------------------------


async def check_api(world: World) -> list[str]:
    """Compare the API with the database: the same messages, each once, in order."""
    shown = await read_board(world)
    async with world.records.reading() as reader:
        rows = await reader.rows("SELECT id, text FROM message WHERE NOT hidden ORDER BY id")
    wrong = []
    if [(message["id"], message["text"]) for message in shown] != [(row.id, row.text) for row in rows]:
        wrong.append(f"GET /api/messages shows {len(shown)} messages, the database has {len(rows)}, or others")
    twice = [text for text, count in Counter(message["text"] for message in shown).items() if count > 1]
    return wrong + [f"the board shows twice: {text}" for text in twice]


async def read_board(world: World) -> list[Json]:
    """Read the whole board over the API, oldest first."""
    messages: list[Json] = []
    after = 0
    while True:
        page = (await ask(world, "GET", "/api/messages", params={"after": after, "limit": 100})).json()
        messages += page["messages"]
        if not page["has_more"]:
            return messages
        after = messages[-1]["id"]


async def check_taken(world: World) -> list[str]:
    """Look up every payment that got a 201, and report those that are missing or changed."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def check(payment_id: str, text: str) -> str | None:
        async with gate:
            try:
                answer = await ask(world, "GET", f"/api/payments/{payment_id}", patience_s=PATIENCE_S)
            except TimeoutError as error:
                return str(error)
        if answer.status_code != 200:
            return f"payment {payment_id} was answered with 201 and is {answer.status_code}"
        return None if answer.json()["text"] == text else f"payment {payment_id} has another text"

    checks = await asyncio.gather(*(check(*item) for item in world.taken.items()))
    return [finding for finding in checks if finding]


def unforeseen(world: World) -> list[str]:
    """Return the unexpected errors in the board's logs, each kind once."""
    found: Counter[str] = Counter()
    for line in world.log.read_text().splitlines():
        if any(mark in line for mark in UNFORESEEN) and FORESEEN not in line:
            event = json.loads(line)
            found[f"{event['event'].strip()}: {event['exception'].strip().splitlines()[-1]}"] += 1
    return [f"logged {count} times: {what}" for what, count in found.items()]
