"""The statements, as functions of a connection; the reconciler's are in `reconciliation`. None of them commits.

Those that every request runs are built once: SQLAlchemy would spend more time on building such a statement and finding
its compiled form than SQLite does on running it.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Insert,
    Integer,
    Select,
    Table,
    Text,
    Update,
    any_,
    bindparam,
    column,
    func,
    insert,
    null,
    select,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection

from paidchat.domain import PaymentStatus, Question
from paidchat.records import (
    BoardRecord,
    LogEntry,
    LogRecord,
    MessageRecord,
    MessageState,
    NewPayment,
    PaymentMove,
    PaymentRecord,
)
from paidchat.storage import clock
from paidchat.storage.bulk import BulkStatement
from paidchat.storage.rows import (
    MOVED_COLUMNS,
    board_record,
    columns_of,
    log_record,
    message_record,
    message_state,
    move_values,
    payment_record,
    payment_values,
)
from paidchat.storage.tables import Board, Message, Payment, Sweep, table
from paidchat.storage.tables import LogEntry as LogEntryTable
from paidchat.storage.tail import tail_of

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

board = table(Board)
payment = table(Payment)
message = table(Message)
log_entry = table(LogEntryTable)
sweep = table(Sweep)

EPOCH_GAP = 1_000_000  # places in the log that a new epoch skips


def insert_into(backend: str, into: Table) -> "sqlite.Insert | postgresql.Insert":
    """Start an INSERT with ON CONFLICT, which both databases support outside the SQL standard."""
    if backend == "sqlite":
        return sqlite.insert(into)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - the engine has imported it; SQLite does without

    return postgresql.insert(into)


# --- the board --------------------------------------------------------------------------------------


def ensure_board(connection: Connection, *, tag: str, epoch: str) -> None:
    """Insert the board's only row unless it exists."""
    new = insert_into(connection.dialect.name, board).values(id=1, tag=tag, epoch=epoch, seq=0)
    connection.execute(new.on_conflict_do_nothing())


def begin_epoch(connection: Connection, epoch: str) -> None:
    """Begin a new epoch, which invalidates the cursors of the old one.

    It begins far beyond the end of the old one, because a backup doesn't know how far that went on, and the ids that
    were used after it was made must not be used again.
    """
    connection.execute(update(board).values(epoch=epoch, seq=board.c.seq + EPOCH_GAP))


def read_board(connection: Connection) -> BoardRecord:
    """Return the board's row."""
    return board_record(connection.execute(_READ_BOARD).one())


_READ_BOARD: Final = select(board)
_TAKE_SEQS: Final = update(board).values(seq=board.c.seq + bindparam("count")).returning(board.c.seq, board.c.epoch)


def take_seqs(connection: Connection, count: int) -> range:
    """Take the next `count` places in the log.

    The counter's row stays locked until the commit, so places are dense and are committed in order. Call this last:
    every other writer waits for it.
    """
    head, epoch = connection.execute(_TAKE_SEQS, {"count": count}).one()
    tail = tail_of(connection)
    tail.epoch, tail.taken = epoch, tail.taken + count
    return range(head - count + 1, head + 1)


_TAKE_ANSWER: Final = update(board).values(answers=board.c.answers + 1).returning(board.c.answers)


def take_question(connection: Connection) -> Question:
    """Return a number for a question to Stripe, before it is asked. Answers are ordered by these numbers.

    On SQLite this needs a writing transaction.
    """
    if connection.dialect.name == "sqlite":
        return Question(number=connection.execute(_TAKE_ANSWER).scalar_one(), at=clock.read(connection))
    number, at = connection.execute(select(func.nextval("answer_number"), clock.moment(connection.dialect.name))).one()
    return Question(number=number, at=at)


# --- payments ---------------------------------------------------------------------------------------


@cache
def select_payments(backend: str) -> Select[*tuple[Any, ...]]:
    """Select payments, each with the id of its message or None, and the current time as `read_at`."""
    read_at = clock.moment(backend).label("read_at")
    return select(payment, message.c.id.label("message_id"), message.c.moderated, read_at).outerjoin(
        message, message.c.payment_id == payment.c.id
    )


@cache
def one_of(backend: str, name: str, wanted: ColumnElement[str]) -> ColumnElement[bool]:
    """Return a condition on a column for any number of texts: one statement, compiled and prepared once.

    The parameter `name` is a list.
    """
    if backend == "sqlite":
        return wanted.in_(select(func.json_each(bindparam(name, type_=JSON)).table_valued("value").c.value))
    return wanted == any_(bindparam(name, type_=ARRAY(Text)))


def _without_message(backend: str) -> list[ColumnElement[Any]]:
    """Return the columns of `select_payments` for a payment that has no message, or whose message is read later."""
    return [
        *payment.c,
        null().label("message_id"),
        null().label("moderated"),
        clock.moment(backend).label("read_at"),
    ]


def _lock_payments() -> Select[*tuple[Any, ...]]:
    these = one_of("postgresql", "payment_ids", payment.c.id)
    return select(*_without_message("postgresql")).where(these).order_by(payment.c.id).with_for_update()


_LOCK_PAYMENTS: Final = _lock_payments()


@cache
def _find_payment(backend: str) -> Select[*tuple[Any, ...]]:
    return select_payments(backend).where(payment.c.id == bindparam("payment_id"))


@cache
def _find_payments(backend: str) -> Select[*tuple[Any, ...]]:
    return select_payments(backend).where(one_of(backend, "payment_ids", payment.c.id))


@cache
def _find_payment_by_key(backend: str) -> Select[*tuple[Any, ...]]:
    return select_payments(backend).where(payment.c.idempotency_key == bindparam("idempotency_key"))


@cache
def _insert_payment(backend: str, unless_same: str) -> Insert:
    inserted = insert_into(backend, payment).on_conflict_do_nothing(index_elements=[unless_same])
    return inserted.returning(*_without_message(backend))


def insert_payment(
    connection: Connection, new: NewPayment, *, unless_same: str = "idempotency_key"
) -> PaymentRecord | None:
    """Insert a payment and return it, or None if that would violate a unique key."""
    inserted = _insert_payment(connection.dialect.name, unless_same)
    row = connection.execute(inserted, payment_values(new)).one_or_none()
    return None if row is None else payment_record(row)


def find_payment(connection: Connection, payment_id: str) -> PaymentRecord | None:
    """Return a payment by its id."""
    row = connection.execute(_find_payment(connection.dialect.name), {"payment_id": payment_id}).one_or_none()
    return None if row is None else payment_record(row)


def get_payment(connection: Connection, payment_id: str) -> PaymentRecord:
    """Return a payment that exists.

    Raises:
        NoResultFound: it does not.
    """
    return payment_record(connection.execute(_find_payment(connection.dialect.name), {"payment_id": payment_id}).one())


def find_payments(connection: Connection, payment_ids: Collection[str]) -> list[PaymentRecord]:
    """Return the payments with these ids that exist."""
    found = connection.execute(_find_payments(connection.dialect.name), {"payment_ids": list(payment_ids)})
    return [payment_record(row) for row in found]


def find_payment_by_key(connection: Connection, idempotency_key: str) -> PaymentRecord | None:
    """Return the payment that was created with this (hashed) Idempotency-Key."""
    found = connection.execute(_find_payment_by_key(connection.dialect.name), {"idempotency_key": idempotency_key})
    row = found.one_or_none()
    return None if row is None else payment_record(row)


def lock_payments(connection: Connection, payment_ids: Iterable[str]) -> dict[str, PaymentRecord]:
    """Return the payments by id, locked until the commit, in id order so that two transactions cannot deadlock."""
    ids = sorted(payment_ids)
    if connection.dialect.name == "sqlite":  # which has only one writer
        return {record.id: record for record in find_payments(connection, ids)}
    records = {row.id: payment_record(row) for row in connection.execute(_LOCK_PAYMENTS, {"payment_ids": ids})}
    # Lock first, then read: a statement that waited for a lock sees the locked row as it is by then, but whatever is
    # joined to it, such as its message, as it was before (postgresql.org/docs/current/transaction-iso.html). A payment
    # that is not paid has no message.
    if paid := [record.id for record in records.values() if record.paid]:
        records |= {record.id: record for record in find_payments(connection, paid)}
    return records


@cache
def _update_payment(names: tuple[str, ...]) -> Update:
    values = {name: bindparam(f"new_{name}", type_=payment.c[name].type) for name in names}
    return update(payment).where(payment.c.id == bindparam("of_payment")).values(values)


def update_payment(connection: Connection, payment_id: str, /, **values: Any) -> None:
    """Set columns of one payment."""
    new = {f"new_{name}": value for name, value in values.items()}
    connection.execute(_update_payment(tuple(values)), {"of_payment": payment_id, **new})


def expire_payment(connection: Connection, payment_id: str) -> None:
    """Mark a pending payment as expired; any other status it has reached stays."""
    gone = update(payment).where(payment.c.id == payment_id, payment.c.status == PaymentStatus.PENDING)
    connection.execute(gone.values(status=PaymentStatus.EXPIRED, claimed_until=None))


def move_payments(connection: Connection, moves: Sequence[PaymentMove]) -> None:
    """Write new states, each only if the payment still has the status that the move was decided on.

    Raises:
        RuntimeError: another transaction has moved a payment meanwhile; this one must not commit.
    """
    if not moves:
        return
    moved = (_move_on_sqlite if connection.dialect.name == "sqlite" else _move_on_postgresql)(connection, moves)
    if moved != len(moves):
        raise RuntimeError(f"{len(moves) - moved} of these payments have another status by now: {moves}")


_MOVED: Final = tuple(each for each in payment.c if each.name in MOVED_COLUMNS)
_MOVE_ONE: Final = BulkStatement(
    update(payment)
    .where(payment.c.id == bindparam("of_payment"), payment.c.status == bindparam("from_status"))
    .values({moved: bindparam(f"to_{moved.name}", type_=moved.type) for moved in _MOVED})
)
_MOVES: Final = (
    func.unnest(
        bindparam("of_payment", type_=ARRAY(Text)),
        bindparam("from_status", type_=ARRAY(Text)),
        *(bindparam(f"to_{moved.name}", type_=ARRAY(moved.type)) for moved in _MOVED),
    )
    .table_valued("id", "from_status", *(column(moved.name, moved.type) for moved in _MOVED), name="move")
    .render_derived()
)
_MOVE_ALL: Final = (
    update(payment)
    .where(payment.c.id == _MOVES.c.id, payment.c.status == _MOVES.c.from_status)
    .values({moved: _MOVES.c[moved.name] for moved in _MOVED})
    .returning(payment.c.id)
)


def _move_parameters(move: PaymentMove) -> dict[str, Any]:
    values = {f"to_{name}": value for name, value in move_values(move).items()}
    return {"of_payment": move.payment_id, "from_status": move.from_status, **values}


def _move_on_sqlite(connection: Connection, moves: Sequence[PaymentMove]) -> int:
    return _MOVE_ONE.execute_many(connection, [_move_parameters(move) for move in moves])


def _move_on_postgresql(connection: Connection, moves: Sequence[PaymentMove]) -> int:
    """Move them with one statement: asyncpg doesn't say how many rows `executemany` has changed."""
    each = [_move_parameters(move) for move in moves]
    columns = {name: [parameters[name] for parameters in each] for name in each[0]}
    return len(connection.execute(_MOVE_ALL, columns).all())


# --- messages and the log ---------------------------------------------------------------------------


_INSERT_MESSAGE: Final = BulkStatement(insert(message))
_INSERT_LOG_ENTRY: Final = BulkStatement(insert(log_entry))


def insert_messages(connection: Connection, messages: Sequence[MessageRecord]) -> None:
    """Insert messages; a unique key rejects a second one for the same payment."""
    _INSERT_MESSAGE.execute_many(connection, [columns_of(each) for each in messages])


def insert_log_entries(connection: Connection, entries: Sequence[LogEntry]) -> None:
    """Append entries to the log, at places taken with `take_seqs`."""
    _INSERT_LOG_ENTRY.execute_many(connection, [columns_of(entry) for entry in entries])


def find_message(connection: Connection, message_id: int) -> MessageState | None:
    """Return a message, shown or hidden, with the state of its money."""
    found = (
        select(message, payment.c.refunded, payment.c.disputed)
        .join(payment, payment.c.id == message.c.payment_id)
        .where(message.c.id == message_id)
    )
    row = connection.execute(found).one_or_none()
    return None if row is None else message_state(row)


def lock_message(connection: Connection, message_id: int) -> MessageState | None:
    """Return a message as `find_message` does, and lock it and its payment until the commit."""
    # The payment first, in the same order as `Fulfilment`.
    owner = select(message.c.payment_id).where(message.c.id == message_id).scalar_subquery()
    connection.execute(select(payment.c.id).where(payment.c.id == owner).with_for_update())
    return find_message(connection, message_id)


def update_message(connection: Connection, message_id: int, /, **values: Any) -> None:
    """Set columns of one message."""
    connection.execute(update(message).where(message.c.id == message_id).values(**values))


_LIMIT: Final = bindparam("most", type_=Integer)
_SHOWN: Final = select(message).where(~message.c.hidden)
_NEWEST: Final = _SHOWN.order_by(message.c.id.desc()).limit(_LIMIT)
_BEFORE: Final = _NEWEST.where(message.c.id < bindparam("before"))
_AFTER: Final = _SHOWN.where(message.c.id > bindparam("after")).order_by(message.c.id).limit(_LIMIT)
_PINNED: Final = (
    _SHOWN.where(message.c.pinned_until > bindparam("now"))
    .order_by(message.c.amount.desc(), message.c.id.desc())
    .limit(_LIMIT)
)
_LOG_AFTER: Final = (
    select(log_entry.c.seq, log_entry.c.kind, log_entry.c.reason, message)
    .join(message, message.c.id == log_entry.c.message_id)
    .where(log_entry.c.seq > bindparam("after"))
    .order_by(log_entry.c.seq)
    .limit(_LIMIT)
)


def messages_before(connection: Connection, before: int | None, limit: int) -> tuple[list[MessageRecord], bool]:
    """Return the shown messages just before an id, oldest first, and whether there are older ones."""
    page, start = (_NEWEST, {}) if before is None else (_BEFORE, {"before": before})
    rows = [message_record(row) for row in connection.execute(page, {"most": limit + 1, **start})]
    return rows[:limit][::-1], len(rows) > limit


def pinned_messages(connection: Connection, now: datetime, most: int) -> list[MessageRecord]:
    """Return the shown messages that are pinned at `now`, highest amount first, then newest."""
    return [message_record(row) for row in connection.execute(_PINNED, {"now": now, "most": most})]


def messages_after(connection: Connection, after: int, limit: int) -> tuple[list[MessageRecord], bool]:
    """Return the shown messages just after an id, oldest first, and whether there are newer ones."""
    rows = [message_record(row) for row in connection.execute(_AFTER, {"after": after, "most": limit + 1})]
    return rows[:limit], len(rows) > limit


def log_after(connection: Connection, seq: int, limit: int) -> list[LogRecord]:
    """Return log entries after a place, in order."""
    return [log_record(row) for row in connection.execute(_LOG_AFTER, {"after": seq, "most": limit})]
