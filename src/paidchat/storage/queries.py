"""Every SELECT, INSERT and UPDATE, as functions of a connection. None of them commits."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, Table, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from paidchat.domain import UNSETTLED, PaymentStatus, Verdict
from paidchat.storage.tables import Board, LogEntry, Message, Payment, Refund, StripeEvent, Sweep, table

board = table(Board)
payment = table(Payment)
message = table(Message)
log_entry = table(LogEntry)
refund = table(Refund)
sweep = table(Sweep)
stripe_event = table(StripeEvent)

EPOCH_GAP = 1_000_000  # places in the log that a new epoch leaves out


def _insert(connection: AsyncConnection, into: Table) -> sqlite.Insert | postgresql.Insert:
    """Start an INSERT that knows ON CONFLICT, which both databases have and SQL has not."""
    return sqlite.insert(into) if connection.dialect.name == "sqlite" else postgresql.insert(into)


# --- the board --------------------------------------------------------------------------------------


async def ensure_board(connection: AsyncConnection, *, tag: str, epoch: str) -> None:
    """Make the one row, unless it is there."""
    new = _insert(connection, board).values(id=1, tag=tag, epoch=epoch, seq=0)
    await connection.execute(new.on_conflict_do_nothing())


async def begin_epoch(connection: AsyncConnection, epoch: str) -> None:
    """Begin a new history: cursors of the old one are worth nothing.

    It begins far beyond the old one's end. A backup does not know how far that was, and an id that was given out
    after it was made must not become another message's.
    """
    await connection.execute(update(board).values(epoch=epoch, seq=board.c.seq + EPOCH_GAP))


async def read_board(connection: AsyncConnection) -> Row[Any]:
    """Return the one row: tag, epoch, seq."""
    return (await connection.execute(select(board))).one()


async def take_seqs(connection: AsyncConnection, count: int) -> range:
    """Take the next `count` places in the log.

    The counter's row stays locked until the commit, so places are dense and commit in their order. Take it last:
    every writer waits here.
    """
    taken = update(board).values(seq=board.c.seq + count).returning(board.c.seq)
    head: int = (await connection.execute(taken)).scalar_one()
    return range(head - count + 1, head + 1)


# --- payments ---------------------------------------------------------------------------------------


def _payments() -> Select[*tuple[Any, ...]]:
    """Select payments, each with its message's id, or None while it has none."""
    return select(payment, message.c.id.label("message_id"), message.c.moderated).outerjoin(
        message, message.c.payment_id == payment.c.id
    )


async def insert_payment(connection: AsyncConnection, values: dict[str, Any]) -> bool:
    """Insert a payment; False if another one has its Idempotency-Key, its id or its session."""
    new = _insert(connection, payment).values(values)
    result = await connection.execute(new.on_conflict_do_nothing())
    return result.rowcount == 1


async def find_payment(connection: AsyncConnection, payment_id: str) -> Row[Any] | None:
    """Return a payment by its id."""
    return (await connection.execute(_payments().where(payment.c.id == payment_id))).one_or_none()


async def find_payments(connection: AsyncConnection, payment_ids: Collection[str]) -> Sequence[Row[Any]]:
    """Return those of the payments that exist."""
    return (await connection.execute(_payments().where(payment.c.id.in_(payment_ids)))).all()


async def find_payment_by_key(connection: AsyncConnection, idempotency_key: str) -> Row[Any] | None:
    """Return the payment that was made with this (hashed) Idempotency-Key."""
    return (await connection.execute(_payments().where(payment.c.idempotency_key == idempotency_key))).one_or_none()


async def lock_client(connection: AsyncConnection, client: str) -> None:
    """Keep other transactions from starting a payment of this client until the commit; SQLite has one writer."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(client))))


async def payment_times(connection: AsyncConnection, client: str, *, since: datetime, limit: int) -> list[datetime]:
    """Return when this client started payments since a time, the newest first."""
    times = select(payment.c.created_at).where(payment.c.client == client, payment.c.created_at > since)
    return list((await connection.execute(times.order_by(payment.c.created_at.desc()).limit(limit))).scalars())


async def lock_payments(connection: AsyncConnection, payment_ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Return the payments by id and keep them from others until the commit, in id order: no two ways to wait."""
    rows = _payments().where(payment.c.id.in_(sorted(payment_ids))).order_by(payment.c.id).with_for_update(of=payment)
    return {row.id: row for row in await connection.execute(rows)}


async def update_payment(connection: AsyncConnection, payment_id: str, **values: Any) -> None:
    """Set columns of one payment."""
    await connection.execute(update(payment).where(payment.c.id == payment_id).values(**values))


async def claim_payment(connection: AsyncConnection, payment_id: str, *, now: datetime, until: datetime) -> bool:
    """Make the caller the one who asks Stripe for this payment's session; False if somebody is at it."""
    free = or_(payment.c.claimed_until.is_(None), payment.c.claimed_until <= now)
    mine = update(payment).where(payment.c.id == payment_id, free).values(claimed_until=until)
    return (await connection.execute(mine)).rowcount == 1


async def claim_question(connection: AsyncConnection, payment_id: str, *, now: datetime, before: datetime) -> bool:
    """Make the caller the one who asks Stripe about this unsettled payment now; False if it was asked of late."""
    due = or_(payment.c.asked_at.is_(None), payment.c.asked_at <= before)
    mine = (
        update(payment)
        .where(
            payment.c.id == payment_id,
            payment.c.status.in_(UNSETTLED),
            payment.c.session_id.is_not(None),
            due,
        )
        .values(asked_at=now)
    )
    return (await connection.execute(mine)).rowcount == 1


async def expire_payment(connection: AsyncConnection, payment_id: str) -> None:
    """Give up a payment that was never made at Stripe; anything else it has become in between stays."""
    gone = update(payment).where(payment.c.id == payment_id, payment.c.status == PaymentStatus.PENDING)
    await connection.execute(gone.values(status=PaymentStatus.EXPIRED, claimed_until=None))


async def move_payments(connection: AsyncConnection, moves: Sequence[dict[str, Any]]) -> None:
    """Write new standings, each only over the status it was decided on.

    Each move has `id_`, `from_`, `status`, `paid`, `refunded`, `disputed`, `payment_intent`, `known_at`.

    Raises:
        RuntimeError: a payment was moved by somebody else in between; the transaction must not commit.
    """
    for values in moves:
        statement = (
            update(payment)
            .where(payment.c.id == bindparam("id_"), payment.c.status == bindparam("from_"))
            .values({name: bindparam(name) for name in values if not name.endswith("_")})
        )
        if (await connection.execute(statement, values)).rowcount != 1:
            raise RuntimeError(f"payment {values['id_']} is not {values['from_']} any more")


# --- messages and the log ---------------------------------------------------------------------------


async def insert_messages(connection: AsyncConnection, messages: Sequence[dict[str, Any]]) -> None:
    """Insert messages; their payment's unique key refuses a second one."""
    await connection.execute(insert(message), messages)


async def insert_log_entries(connection: AsyncConnection, entries: Sequence[dict[str, Any]]) -> None:
    """Append to the log, at places taken before."""
    await connection.execute(insert(log_entry), entries)


async def find_message(connection: AsyncConnection, message_id: int) -> Row[Any] | None:
    """Return a message, shown or not, with its payment's `refunded` and `disputed`."""
    found = (
        select(message, payment.c.refunded, payment.c.disputed)
        .join(payment, payment.c.id == message.c.payment_id)
        .where(message.c.id == message_id)
    )
    return (await connection.execute(found)).one_or_none()


async def lock_message(connection: AsyncConnection, message_id: int) -> Row[Any] | None:
    """Return a message as `find_message` does and keep it and its payment from others until the commit."""
    # The payment first: whoever moves money locks payments first, too.
    owner = select(message.c.payment_id).where(message.c.id == message_id).scalar_subquery()
    await connection.execute(select(payment.c.id).where(payment.c.id == owner).with_for_update())
    return await find_message(connection, message_id)


async def update_message(connection: AsyncConnection, message_id: int, **values: Any) -> None:
    """Set columns of one message."""
    await connection.execute(update(message).where(message.c.id == message_id).values(**values))


async def messages_before(connection: AsyncConnection, before: int | None, limit: int) -> tuple[list[Row[Any]], bool]:
    """Return the shown messages right before an id, oldest first, and whether there are older ones."""
    page = select(message).where(~message.c.hidden).order_by(message.c.id.desc()).limit(limit + 1)
    if before is not None:
        page = page.where(message.c.id < before)
    rows = list(await connection.execute(page))
    return rows[:limit][::-1], len(rows) > limit


async def messages_after(connection: AsyncConnection, after: int, limit: int) -> tuple[list[Row[Any]], bool]:
    """Return the shown messages right after an id, oldest first, and whether there are newer ones."""
    page = select(message).where(~message.c.hidden, message.c.id > after).order_by(message.c.id).limit(limit + 1)
    rows = list(await connection.execute(page))
    return rows[:limit], len(rows) > limit


async def log_after(connection: AsyncConnection, seq: int, limit: int) -> Sequence[Row[Any]]:
    """Return log entries after a place, in order: `seq`, `kind`, `reason` and their message's columns."""
    entries = (
        select(log_entry.c.seq, log_entry.c.kind, log_entry.c.reason, message)
        .join(message, message.c.id == log_entry.c.message_id)
        .where(log_entry.c.seq > seq)
        .order_by(log_entry.c.seq)
        .limit(limit)
    )
    return (await connection.execute(entries)).all()


# --- Stripe's events --------------------------------------------------------------------------------


async def take_events(connection: AsyncConnection, events: Sequence[dict[str, Any]]) -> set[str]:
    """Put events into the inbox and return the ids of those that are to be handled.

    An event that was handled before is not among them. One that spoke of a payment we did not have is: the
    payment may have come since.
    """
    if not events:
        return set()
    new = _insert(connection, stripe_event).values(list(events))
    taken = new.on_conflict_do_update(
        index_elements=["id"],
        set_={"received_at": new.excluded.received_at},
        where=and_(stripe_event.c.verdict == Verdict.UNKNOWN),
    ).returning(stripe_event.c.id)
    return set((await connection.execute(taken)).scalars())


async def judge_event(connection: AsyncConnection, event_id: str, verdict: Verdict) -> None:
    """Write down what became of an event."""
    await connection.execute(update(stripe_event).where(stripe_event.c.id == event_id).values(verdict=verdict))


async def seen_events(connection: AsyncConnection, event_ids: Collection[str]) -> set[str]:
    """Return those of the events that were handled before."""
    seen = select(stripe_event.c.id).where(stripe_event.c.id.in_(event_ids), stripe_event.c.verdict != Verdict.UNKNOWN)
    return set((await connection.execute(seen)).scalars())


# --- refunds ----------------------------------------------------------------------------------------


async def want_refund(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """Write down that an intent's money is to go back. One that Stripe refused before is wanted anew."""
    new = _insert(connection, refund).values(values)
    again = {name: new.excluded[name] for name in ("status", "stripe_key", "attempts", "due_at")}
    await connection.execute(
        new.on_conflict_do_update(index_elements=["payment_intent"], set_=again, where=refund.c.status != "wanted")
    )


async def due_refunds(
    connection: AsyncConnection, now: datetime, *, payment_id: str | None = None, limit: int = 100
) -> Sequence[Row[Any]]:
    """Return refunds that are to be sent now; of one payment, those that are to be sent at all."""
    due = refund.c.payment_id == payment_id if payment_id else refund.c.due_at <= now
    wanted = select(refund).where(refund.c.status == "wanted", due).order_by(refund.c.due_at).limit(limit)
    return (await connection.execute(wanted)).all()


async def update_refund(connection: AsyncConnection, payment_intent: str, **values: Any) -> None:
    """Set columns of one refund."""
    await connection.execute(update(refund).where(refund.c.payment_intent == payment_intent).values(**values))


# --- the sweep --------------------------------------------------------------------------------------


async def hold_sweep(connection: AsyncConnection, holder: str, *, now: datetime, until: datetime) -> datetime | None:
    """Make the caller the one who sweeps, and return since when events are to be read; None if another is."""
    first = _insert(connection, sweep).values(id=1, held_until=now, events_since=now)
    await connection.execute(first.on_conflict_do_nothing())
    free = or_(sweep.c.holder == holder, sweep.c.held_until <= now)
    mine = update(sweep).where(free).values(holder=holder, held_until=until).returning(sweep.c.events_since)
    since: datetime | None = (await connection.execute(mine)).scalar_one_or_none()
    return since


async def release_sweep(
    connection: AsyncConnection, holder: str, *, now: datetime, events_since: datetime | None = None
) -> None:
    """Let another sweep; with `events_since`, say how far the events were read."""
    values = {"held_until": now} | ({"events_since": events_since} if events_since else {})
    await connection.execute(update(sweep).where(sweep.c.holder == holder).values(values))


async def unsettled_payments(
    connection: AsyncConnection, *, now: datetime, due: Mapping[str, datetime], limit: int
) -> Sequence[Row[Any]]:
    """Return unsettled payments that nobody is asking about, the longest unasked first.

    `due` gives for each status the time before which it must have been asked last.
    """
    asked = [
        and_(payment.c.status == status, or_(payment.c.asked_at.is_(None), payment.c.asked_at <= before))
        for status, before in due.items()
    ]
    free = or_(payment.c.claimed_until.is_(None), payment.c.claimed_until <= now)
    page = _payments().where(or_(*asked), free).order_by(payment.c.asked_at.asc().nulls_first()).limit(limit)
    return (await connection.execute(page)).all()


async def mark_asked(connection: AsyncConnection, payment_ids: Collection[str], now: datetime) -> None:
    """Note that Stripe is being asked about these."""
    await connection.execute(update(payment).where(payment.c.id.in_(payment_ids)).values(asked_at=now))


async def prune(connection: AsyncConnection, *, payments_before: datetime, events_before: datetime) -> int:
    """Delete old payments that nobody made, and old events; return how many payments went."""
    unpaid = and_(~payment.c.paid, payment.c.status.in_((PaymentStatus.EXPIRED, PaymentStatus.FAILED)))
    gone = await connection.execute(delete(payment).where(unpaid, payment.c.created_at < payments_before))
    await connection.execute(delete(stripe_event).where(stripe_event.c.received_at < events_before))
    return gone.rowcount
