"""Rows: what the database returns and takes, turned into records and back."""

from typing import Any, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Row

from paidchat.domain import EntryKind, PaymentStatus, Reason, RefundCause, RefundStatus
from paidchat.pricing import Price
from paidchat.records import (
    BoardRecord,
    LogRecord,
    MessageRecord,
    MessageState,
    NewPayment,
    PaymentMove,
    PaymentRecord,
    RefundRecord,
)
from paidchat.storage.tables import Payment, table

AnyRow: TypeAlias = Row[Any]  # whose columns the type checker doesn't know: each is read here, once
# It has no column; the parameters sent to Stripe say whether it calculates tax.
TAX_PARAMETER = "automatic_tax"


def columns_of(record: Struct) -> dict[str, Any]:
    """Return a record's fields by name."""
    return asdict(record)


def board_record(row: AnyRow) -> BoardRecord:
    """Read the board's row."""
    return BoardRecord(tag=row.tag, epoch=row.epoch, seq=row.seq)


# What a payment is read with, after its own columns, and what its record calls the columns that it names otherwise.
_READ_WITH: Final = ("message_id", "moderated", "read_at")
_NAMES: Final = tuple(
    {"known_number": "answered_number", "known_at": "answered_at"}.get(name, name)
    for name in (*table(Payment).c.keys(), *_READ_WITH)
)


def payment_record(row: AnyRow) -> PaymentRecord:
    """Read a payment: its columns, then its message's id and moderation, and `read_at`, by their places.

    By their names it took 40 µs instead of 16 (cProfile): SQLAlchemy finds each after a failed lookup.
    """
    values = dict(zip(_NAMES, row, strict=True))
    taxed = TAX_PARAMETER in values["stripe_params"]
    price = Price(amount=values.pop("amount"), currency=values.pop("currency"), taxed=taxed)
    return PaymentRecord(**{**values, "status": PaymentStatus(values["status"]), "price": price})


def payment_values(new: NewPayment) -> dict[str, object]:
    """Return the columns of a new payment, which is pending."""
    columns = columns_of(new)
    del columns["price"]
    return {
        **columns,
        "amount": new.price.amount,
        "currency": new.price.currency,
        "status": PaymentStatus.PENDING,
        "paid": False,
        "refunded": False,
        "disputed": False,
    }


MOVED_COLUMNS: Final = frozenset(
    ("status", "paid", "refunded", "disputed", "payment_intent", "known_number", "known_at", "closed_at")
)


def move_values(move: PaymentMove) -> dict[str, object]:
    """Return the columns that a move writes: those of MOVED_COLUMNS."""
    return {
        "status": move.state.status,
        "paid": move.state.paid,
        "refunded": move.state.refunded,
        "disputed": move.state.disputed,
        "payment_intent": move.payment_intent,
        "known_number": move.answered_number,
        "known_at": move.answered_at,
        "closed_at": move.closed_at,
    }


def message_record(row: AnyRow) -> MessageRecord:
    """Read a message."""
    return MessageRecord(
        id=row.id,
        payment_id=row.payment_id,
        text=row.text,
        author=row.author,
        amount=row.amount,
        currency=row.currency,
        posted_at=row.posted_at,
        pinned_until=row.pinned_until,
        moderated=row.moderated,
        hidden=row.hidden,
    )


def message_state(row: AnyRow) -> MessageState:
    """Read a message with its payment's `refunded` and `disputed`."""
    return MessageState(message=message_record(row), refunded=row.refunded, disputed=row.disputed)


def log_record(row: AnyRow) -> LogRecord:
    """Read a log entry with its message."""
    reason = None if row.reason is None else Reason(row.reason)
    return LogRecord(seq=row.seq, kind=EntryKind(row.kind), reason=reason, message=message_record(row))


def refund_record(row: AnyRow) -> RefundRecord:
    """Read a refund."""
    return RefundRecord(
        payment_intent=row.payment_intent,
        payment_id=row.payment_id,
        cause=RefundCause(row.cause),
        status=RefundStatus(row.status),
        stripe_key=row.stripe_key,
        attempts=row.attempts,
        due_at=row.due_at,
        created_at=row.created_at,
    )
