"""Every SELECT, INSERT and UPDATE, as functions of a connection. None of them commits."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from paidchat.domain import TO_BE_RETRIED, UNSETTLED, PaymentStatus, Question, Verdict
from paidchat.storage import clock
from paidchat.storage.tables import Board, LogEntry, Message, Payment, Refund, StripeEvent, Sweep, table

board = table(Board)
payment = table(Payment)
message = table(Message)
log_entry = table(LogEntry)
refund = table(Refund)
sweep = table(Sweep)
stripe_event = table(StripeEvent)

EPOCH_GAP = 1_000_000  # places in the log that a new epoch leaves out

LONG_AGO = datetime.fromtimestamp(0, UTC)


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


async def take_question(connection: AsyncConnection) -> Question:
    """Number a question to Stripe, before it is asked: what it answers is newer than any answer of a lower number.

    On SQLite this must be in a writing transaction.
    """
    if connection.dialect.name == "sqlite":
        taken = update(board).values(answers=board.c.answers + 1).returning(board.c.answers)
        return Question(number=(await connection.execute(taken)).scalar_one(), at=await clock.read(connection))
    number, at = (await connection.execute(select(func.nextval("answer_number"), clock.moment(connection)))).one()
    return Question(number=number, at=at)


# --- payments ---------------------------------------------------------------------------------------


def _payments(connection: AsyncConnection) -> Select[*tuple[Any, ...]]:
    """Select payments, each with its message's id, or None while it has none, and `read_at`, the time now."""
    return select(
        payment,
        message.c.id.label("message_id"),
        message.c.moderated,
        clock.moment(connection).label("read_at"),
    ).outerjoin(message, message.c.payment_id == payment.c.id)


async def insert_payment(
    connection: AsyncConnection, values: dict[str, Any], *, unless_same: str = "idempotency_key"
) -> bool:
    """Insert a payment; False if there is one with the same value in a column, of which there can be only one."""
    new = _insert(connection, payment).values(values)
    result = await connection.execute(new.on_conflict_do_nothing(index_elements=[unless_same]))
    return result.rowcount == 1


async def find_payment(connection: AsyncConnection, payment_id: str) -> Row[Any] | None:
    """Return a payment by its id."""
    return (await connection.execute(_payments(connection).where(payment.c.id == payment_id))).one_or_none()


async def find_payments(connection: AsyncConnection, payment_ids: Collection[str]) -> Sequence[Row[Any]]:
    """Return those of the payments that exist."""
    return (await connection.execute(_payments(connection).where(payment.c.id.in_(payment_ids)))).all()


async def find_payment_by_key(connection: AsyncConnection, idempotency_key: str) -> Row[Any] | None:
    """Return the payment that was made with this (hashed) Idempotency-Key."""
    return (
        await connection.execute(_payments(connection).where(payment.c.idempotency_key == idempotency_key))
    ).one_or_none()


async def lock_client(connection: AsyncConnection, client: str) -> None:
    """Keep other transactions from starting a payment of this client until the commit; SQLite has one writer."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(client))))


async def payment_times(connection: AsyncConnection, client: str, *, period: timedelta, limit: int) -> list[datetime]:
    """Return when this client started payments within the last `period`, the newest first."""
    times = select(payment.c.created_at).where(
        payment.c.client == client, clock.within(connection, payment.c.created_at, period)
    )
    return list((await connection.execute(times.order_by(payment.c.created_at.desc()).limit(limit))).scalars())


async def open_payments(
    connection: AsyncConnection, *, longest: timedelta, client: str | None = None
) -> tuple[int, datetime | None]:
    """Count the payments, of one client or of all, that can still be paid; return when the first of them expires, too.

    `longest` is how long a payment can be open: an expiry beyond that was written by a clock that was wrong.
    """
    counted = select(func.count(), func.min(payment.c.expires_at)).where(
        payment.c.status == PaymentStatus.PENDING, clock.in_force(connection, payment.c.expires_at, longest)
    )
    if client is not None:
        counted = counted.where(payment.c.client == client)
    count, earliest = (await connection.execute(counted)).one()
    return count, earliest


async def lock_payments(connection: AsyncConnection, payment_ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Return the payments by id and keep them from others until the commit, in id order: no two ways to wait."""
    rows = (
        _payments(connection)
        .where(payment.c.id.in_(sorted(payment_ids)))
        .order_by(payment.c.id)
        .with_for_update(of=payment)
    )
    return {row.id: row for row in await connection.execute(rows)}


async def update_payment(connection: AsyncConnection, payment_id: str, **values: Any) -> None:
    """Set columns of one payment."""
    await connection.execute(update(payment).where(payment.c.id == payment_id).values(**values))


async def claim_payment(connection: AsyncConnection, payment_id: str, ttl: timedelta) -> datetime | None:
    """Claim the right to ask Stripe for this payment's session; return when the claim lapses, None if it is held."""
    mine = (
        update(payment)
        .where(payment.c.id == payment_id, ~clock.in_force(connection, payment.c.claimed_until, ttl))
        .values(claimed_until=clock.moment(connection, ttl))
        .returning(payment.c.claimed_until)
    )
    until: datetime | None = (await connection.execute(mine)).scalar_one_or_none()
    return until


async def release_claim(connection: AsyncConnection, payment_id: str, until: datetime) -> None:
    """Release a claim that lapses at `until`; one that another request has taken since stays."""
    held = update(payment).where(payment.c.id == payment_id, payment.c.claimed_until == until)
    await connection.execute(held.values(claimed_until=None))


async def claim_question(connection: AsyncConnection, payment_id: str, interval: timedelta) -> bool:
    """Claim the right to ask Stripe about this unsettled payment; False if it was asked within the interval."""
    due = ~clock.within(connection, payment.c.asked_at, interval)
    mine = (
        update(payment)
        .where(
            payment.c.id == payment_id,
            payment.c.status.in_(UNSETTLED),
            payment.c.session_id.is_not(None),
            due,
        )
        .values(asked_at=clock.moment(connection))
    )
    return (await connection.execute(mine)).rowcount == 1


async def expire_payment(connection: AsyncConnection, payment_id: str) -> None:
    """Give up a payment that was never made at Stripe; anything else it has become in between stays."""
    gone = update(payment).where(payment.c.id == payment_id, payment.c.status == PaymentStatus.PENDING)
    await connection.execute(gone.values(status=PaymentStatus.EXPIRED, claimed_until=None))


async def move_payments(connection: AsyncConnection, moves: Sequence[dict[str, Any]]) -> None:
    """Write new standings, each only over the status it was decided on.

    Each move has `id_`, `from_`, `status`, `paid`, `refunded`, `disputed`, `payment_intent`, `known_number`,
    `known_at`, `closed_at`.

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

    An event that was handled before is not among them. One that spoke of a payment we did not have, or that could
    not be read, is: that may have changed since. So is one whose answer was overtaken, which decided nothing.
    """
    if not events:
        return set()
    new = _insert(connection, stripe_event).values(list(events))
    taken = new.on_conflict_do_update(
        index_elements=["id"],
        set_={"received_at": new.excluded.received_at},
        where=stripe_event.c.verdict.in_(TO_BE_RETRIED),
    ).returning(stripe_event.c.id)
    return set((await connection.execute(taken)).scalars())


async def judge_event(connection: AsyncConnection, event_id: str, verdict: Verdict) -> None:
    """Write down what became of an event."""
    await connection.execute(update(stripe_event).where(stripe_event.c.id == event_id).values(verdict=verdict))


async def note_event(connection: AsyncConnection, event: dict[str, Any]) -> bool:
    """Put an event into the inbox that nothing is to be done about. False if it is there already."""
    new = _insert(connection, stripe_event).values(**event)
    return (await connection.execute(new.on_conflict_do_nothing(index_elements=["id"]))).rowcount == 1


async def event_verdicts(connection: AsyncConnection, event_ids: Collection[str]) -> dict[str, Verdict]:
    """Return what became of those of the events that came before, by id."""
    found = select(stripe_event.c.id, stripe_event.c.verdict).where(stripe_event.c.id.in_(event_ids))
    return {row.id: Verdict(row.verdict) for row in await connection.execute(found)}


# --- refunds ----------------------------------------------------------------------------------------


async def want_refund(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """Write down that an intent's money is to go back. One that Stripe refused before is wanted anew."""
    new = _insert(connection, refund).values(values)
    again = {name: new.excluded[name] for name in ("status", "stripe_key", "attempts", "due_at")}
    await connection.execute(
        new.on_conflict_do_update(index_elements=["payment_intent"], set_=again, where=refund.c.status != "wanted")
    )


async def due_refunds(
    connection: AsyncConnection, delays: Sequence[timedelta], *, payment_id: str | None = None, limit: int = 100
) -> Sequence[Row[Any]]:
    """Return refunds that are to be sent now; of one payment, those that are to be sent at all.

    `delays` says for how long one is put off after so many attempts, the last for any more: one that seems to be put
    off for longer is due.
    """
    last = len(delays) - 1
    put_off = or_(
        *(
            and_(
                refund.c.attempts >= attempts if attempts == last else refund.c.attempts == attempts,
                clock.in_force(connection, refund.c.due_at, delay),
            )
            for attempts, delay in enumerate(delays)
        )
    )
    due = refund.c.payment_id == payment_id if payment_id else ~put_off
    wanted = select(refund).where(refund.c.status == "wanted", due).order_by(refund.c.due_at).limit(limit)
    return (await connection.execute(wanted)).all()


async def postpone_refund(connection: AsyncConnection, payment_intent: str, delay: timedelta, **values: Any) -> None:
    """Put a refund off."""
    await update_refund(connection, payment_intent, due_at=clock.moment(connection, delay), **values)


async def update_refund(connection: AsyncConnection, payment_intent: str, **values: Any) -> None:
    """Set columns of one refund."""
    await connection.execute(update(refund).where(refund.c.payment_intent == payment_intent).values(**values))


# --- the sweep --------------------------------------------------------------------------------------


async def hold_sweep(connection: AsyncConnection, holder: str, lease: timedelta) -> datetime | None:
    """Take or renew the lease on the sweep; return since when events are to be read, None if another holds it."""
    now = clock.moment(connection)
    first = _insert(connection, sweep).values(id=1, held_until=now, events_since=now)
    await connection.execute(first.on_conflict_do_nothing())
    free = or_(sweep.c.holder == holder, ~clock.in_force(connection, sweep.c.held_until, lease))
    mine = update(sweep).where(free).values(holder=holder, held_until=clock.moment(connection, lease))
    since: datetime | None = (await connection.execute(mine.returning(sweep.c.events_since))).scalar_one_or_none()
    return since


async def release_sweep(connection: AsyncConnection, holder: str, *, events_since: datetime | None = None) -> None:
    """Let another sweep; with `events_since`, say how far the events were read."""
    values: dict[str, Any] = {"held_until": LONG_AGO}  # by any clock, ours included once it is set right
    if events_since is not None:
        values["events_since"] = events_since
    await connection.execute(update(sweep).where(sweep.c.holder == holder).values(values))


async def payments_to_ask_about(
    connection: AsyncConnection,
    intervals: Mapping[PaymentStatus, Sequence[tuple[timedelta, timedelta]]],
    *,
    claim_ttl: timedelta,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return unsettled payments that Stripe was not asked about of late, the longest unasked first.

    `intervals` gives for each status, by age, how long ago it must have been asked about: pairs of the age up to
    which it holds and the interval, youngest first. Payments that a request has claimed are left out.
    """
    asked_at = case((payment.c.asked_at <= clock.moment(connection), payment.c.asked_at))  # NULL if it is to come
    due = [
        and_(
            payment.c.status == status,
            payment.c.created_at > clock.moment(connection, -age),
            ~clock.within(connection, payment.c.asked_at, interval),
        )
        for status, by_age in intervals.items()
        for age, interval in by_age
    ]
    unclaimed = ~clock.in_force(connection, payment.c.claimed_until, claim_ttl)
    page = _payments(connection).where(or_(*due), unclaimed).order_by(asked_at.asc().nulls_first()).limit(limit)
    return (await connection.execute(page)).all()


async def unsettled_payments(connection: AsyncConnection, *, after: str, limit: int) -> Sequence[Row[Any]]:
    """Return unsettled payments, whenever they were asked about, in the order of their ids."""
    page = _payments(connection).where(payment.c.status.in_(UNSETTLED), payment.c.id > after)
    return (await connection.execute(page.order_by(payment.c.id).limit(limit))).all()


async def mark_asked(connection: AsyncConnection, payment_ids: Collection[str]) -> None:
    """Note that Stripe is being asked about these."""
    asked = update(payment).where(payment.c.id.in_(payment_ids))
    await connection.execute(asked.values(asked_at=clock.moment(connection)))


async def prune(
    connection: AsyncConnection, *, closed_kept: timedelta, unpaid_kept: timedelta, events_kept: timedelta
) -> int:
    """Delete old payments that nobody made, and old events; return how many payments went.

    A payment goes `closed_kept` after Stripe said that no money will come; one that only our clock has expired,
    `unpaid_kept` after it was made.
    """
    before: ColumnElement[bool] = or_(
        payment.c.closed_at < clock.moment(connection, -closed_kept),
        and_(payment.c.closed_at.is_(None), payment.c.created_at < clock.moment(connection, -unpaid_kept)),
    )
    unpaid = and_(~payment.c.paid, payment.c.status.in_((PaymentStatus.EXPIRED, PaymentStatus.FAILED)))
    gone = await connection.execute(delete(payment).where(unpaid, before))
    old = stripe_event.c.received_at < clock.moment(connection, -events_kept)
    await connection.execute(delete(stripe_event).where(old))
    return gone.rowcount
