"""Records: what a payment, a message, a log entry and a refund are. Frozen; storage fills them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from paidchat.domain import EntryKind, PaymentState, PaymentStatus, Reason, RefundCause, RefundStatus, Verdict
from paidchat.pricing import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRecord:
    """The one row of the board: the tag that marks a Stripe session as ours, and how far the log has come."""

    tag: str
    epoch: str
    seq: int
    answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """A payment as it is first stored: with everything that Stripe will be asked, before it is asked.

    Attributes:
        client: a keyed hash of the address it came from, for the rate limit.
        stripe_key: the Idempotency-Key of the request to Stripe.
        stripe_params: the request's parameters, as the gateway made them.
        idempotency_key: a hash of the client's Idempotency-Key.
        claimed_until: until when a request has the right to ask Stripe for the session.
    """

    id: str
    text: str
    author: str | None
    price: Price
    created_at: datetime
    expires_at: datetime
    client: str
    stripe_key: str
    stripe_params: Mapping[str, object]
    idempotency_key: str | None = None
    claimed_until: datetime | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord(NewPayment):
    """A payment, with its message's id and moderation if it has a message.

    Attributes:
        status: its public status; `paid`, `refunded` and `disputed` are what the status alone can't tell.
        checkout_url: where the browser pays.
        asked_at: when Stripe was last asked about it.
        known_number: the number of the newest answer about refunds and disputes; `known_at` is when that was asked.
        closed_at: when Stripe said that no money will come.
        read_at: when this record was read, by the database's clock.
    """

    status: PaymentStatus
    paid: bool
    refunded: bool
    disputed: bool
    payment_intent: str | None
    checkout_url: str | None
    asked_at: datetime | None
    known_number: int | None
    known_at: datetime | None
    closed_at: datetime | None
    message_id: int | None
    moderated: bool | None
    read_at: datetime

    @property
    def amount(self) -> int:
        """The price without tax, in minor units."""
        return self.price.amount

    @property
    def currency(self) -> str:
        """The lower-case ISO 4217 code."""
        return self.price.currency

    @property
    def state(self) -> PaymentState:
        """What is known of its money."""
        return PaymentState(
            status=self.status,
            paid=self.paid,
            refunded=self.refunded,
            disputed=self.disputed,
            posted=self.message_id is not None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentMove:
    """A payment's new state, to be written only over the status it was decided on."""

    payment_id: str
    from_status: PaymentStatus
    state: PaymentState
    payment_intent: str | None
    known_number: int | None
    known_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecord:
    """A message. `hidden`: moderated, or its payment refunded or disputed."""

    id: int
    payment_id: str
    text: str
    author: str | None
    amount: int
    currency: str
    posted_at: datetime
    moderated: bool
    hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageState:
    """A message, and what became of its money."""

    message: MessageRecord
    refunded: bool
    disputed: bool

    @property
    def reason_hidden(self) -> Reason | None:
        """Why it is off the board; None if it is on it."""
        if self.message.moderated:
            return Reason.MODERATED
        if self.refunded:
            return Reason.REFUNDED
        return Reason.DISPUTED if self.disputed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """A log entry, with its message as it is now. `reason` is that of a removal."""

    seq: int
    kind: EntryKind
    reason: Reason | None
    message: MessageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRecord:
    """Money of an intent that is to go back. `attempts` have failed; it is not due before `due_at`."""

    payment_intent: str
    payment_id: str
    cause: RefundCause
    status: RefundStatus
    stripe_key: str
    attempts: int
    due_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A log entry to append, at a place taken before."""

    seq: int
    kind: EntryKind
    message_id: int
    reason: Reason | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEvent:
    """An event of Stripe's in the inbox."""

    id: str
    type: str
    verdict: Verdict
    received_at: datetime
    payment_id: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """A payment's message comes onto the board."""

    payment: PaymentRecord


@dataclass(frozen=True, slots=True)
class Removed:
    """A message leaves the board."""

    message_id: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Restored:
    """A message comes back."""

    message_id: int


BoardChange = Posted | Removed | Restored
