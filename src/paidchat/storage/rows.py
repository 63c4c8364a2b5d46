"""Rows: what the database returns and takes, turned into records and back."""

from typing import Any, Final, TypeAlias

from msgspec import Struct
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

AnyRow: TypeAlias = Row[Any]  # whose columns the type checker doesn't know: each is read here, once
# It has no column; the parameters sent to Stripe say whether it calculates tax.
TAX_PARAMETER = "automatic_tax"


def columns_of(record: Struct) -> dict[str, Any]:
    """Return a record's fields by name. `asdict` would copy each value too: 40 % of the CPU of a fulfilment."""
    return {name: getattr(record, name) for name in record.__struct_fields__}


def board_record(row: AnyRow) -> BoardRecord:
    """Read the board's row."""
    return BoardRecord(tag=row.tag, epoch=row.epoch, seq=row.seq)


def payment_record(row: AnyRow) -> PaymentRecord:
    """Read a payment with its message's id and moderation, and `read_at`."""
    return PaymentRecord(
        id=row.id,
        status=PaymentStatus(row.status),
        paid=row.paid,
        refunded=row.refunded,
        disputed=row.disputed,
        text=row.text,
        author=row.author,
        price=Price(amount=row.amount, currency=row.currency, taxed=TAX_PARAMETER in row.stripe_params),
        requested_amount=row.requested_amount,
        pinned_seconds=row.pinned_seconds,
        created_at=row.created_at,
        expires_at=row.expires_at,
        client=row.client,
        stripe_key=row.stripe_key,
        stripe_params=row.stripe_params,
        session_id=row.session_id,
        payment_intent=row.payment_intent,
        checkout_url=row.checkout_url,
        idempotency_key=row.idempotency_key,
        claimed_until=row.claimed_until,
        asked_at=row.asked_at,
        answered_number=row.known_number,
        answered_at=row.known_at,
        closed_at=row.closed_at,
        message_id=row.message_id,
        moderated=row.moderated,
        read_at=row.read_at,
    )


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
