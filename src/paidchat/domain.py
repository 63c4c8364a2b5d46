"""The domain: a payment's statuses, the allowed moves between them, and the facts that Stripe reports. Pure Python."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from paidchat.pricing import Price

# --- errors -----------------------------------------------------------------------------------------
#
# DomainError
# ├── InvalidText            the text or the author breaks a rule; .field and .message say which
# ├── InvalidAmount          no tier has the amount of a payment
# ├── IllegalMove            the payment's status does not allow this change
# ├── NotFound               no such payment or message
# ├── Gone                   the message was removed from the board; .reason says why
# ├── Conflict               the current state does not allow the request
# ├── IdempotencyConflict    the key was used with a different body
# ├── IdempotencyInProgress  the first request with this key is still in flight
# ├── RateLimited            too many payments; .retry_after in seconds
# ├── UnknownPayment         Stripe reports a payment with our tag that we don't have
# └── ProviderUnavailable    Stripe could not be reached, or failed; .retry_after in seconds


class DomainError(Exception):
    """Base class of the board's errors."""


class InvalidText(DomainError):
    """The text or the author breaks a rule.

    Attributes:
        field: `text` or `author`.
        message: the rule that the text breaks, worded for the person who typed it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class InvalidAmount(DomainError):
    """No tier has the amount of a payment. The text says which amounts there are."""


class IllegalMove(DomainError):
    """The payment's current status does not allow this change."""

    def __init__(self, current: "PaymentStatus", target: "PaymentStatus") -> None:
        super().__init__(f"a {current} payment cannot become {target}")
        self.current = current
        self.target = target


class NotFound(DomainError):
    """No such payment or message."""


class Gone(DomainError):
    """The message was removed from the board.

    Attributes:
        reason: `moderated`, `refunded` or `disputed`.
    """

    def __init__(self, reason: "Reason") -> None:
        super().__init__(f"The message was removed: {reason}.")
        self.reason = reason


class Conflict(DomainError):
    """The current state does not allow the request."""


class IdempotencyConflict(DomainError):
    """The Idempotency-Key was used before with a different body."""


class IdempotencyInProgress(DomainError):
    """The first request with this Idempotency-Key is still in flight.

    Attributes:
        retry_after: seconds to wait before retrying.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__("The first request with this Idempotency-Key is still being answered.")
        self.retry_after = retry_after


class RateLimited(DomainError):
    """The client starts payments too fast, or too many payments are open.

    Attributes:
        retry_after: seconds until the next payment is admitted.
    """

    def __init__(self, retry_after: int, detail: str = "Too many payments from here. Please wait a moment.") -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class UnknownPayment(DomainError):
    """Stripe reports a payment with this board's tag that the database does not have.

    Attributes:
        retry_after: seconds until Stripe should retry. The payment may still be being written, or a backup restored.
    """

    retry_after = 60


class ProviderUnavailable(DomainError):
    """Stripe could not be reached, or the request to it failed.

    Attributes:
        retry_after: seconds to wait before retrying.
    """

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


# --- the life of a payment --------------------------------------------------------------------------


class PaymentStatus(StrEnum):
    """A payment's status, as named in the public API."""

    PENDING = "pending"
    PROCESSING = "processing"
    FULFILLED = "fulfilled"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


S = PaymentStatus

MOVES: Mapping[PaymentStatus, frozenset[PaymentStatus]] = MappingProxyType(
    {
        S.PENDING: frozenset({S.PROCESSING, S.FULFILLED, S.EXPIRED, S.REFUNDED}),
        S.PROCESSING: frozenset({S.FULFILLED, S.FAILED, S.REFUNDED}),
        S.EXPIRED: frozenset({S.FULFILLED, S.REFUNDED}),  # money that arrives late still counts
        S.FAILED: frozenset({S.FULFILLED, S.REFUNDED}),
        S.FULFILLED: frozenset({S.REFUNDED, S.DISPUTED}),
        S.REFUNDED: frozenset({S.FULFILLED}),  # the refund failed
        S.DISPUTED: frozenset({S.FULFILLED}),  # the dispute was won
    }
)

_PAYMENT_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def is_payment_id(text: str) -> bool:
    """Return whether `text` has the form of a payment id: a lower-case UUID."""
    return _PAYMENT_ID.fullmatch(text) is not None


PAYABLE = frozenset({S.PENDING})  # the checkout page still takes money
UNSETTLED = frozenset({S.PENDING, S.PROCESSING})  # Stripe may know more than we do
LONGEST_OPEN = timedelta(hours=24)  # Stripe's limit for a Checkout Session


def is_open(expires_at: datetime, now: datetime) -> bool:
    """Return whether a checkout can still be open.

    An expiry further ahead than Stripe allows was computed from a wrong clock, so it does not count as open.
    """
    return now < expires_at <= now + LONGEST_OPEN


def move(current: PaymentStatus, target: PaymentStatus) -> PaymentStatus:
    """Return `target` if a payment may move to it from `current`. Moving to the same status is a no-op.

    Raises:
        IllegalMove: MOVES does not allow it.
    """
    if target != current and target not in MOVES[current]:
        raise IllegalMove(current, target)
    return target


class Reason(StrEnum):
    """Why a message is off the board. Several reasons can apply at once."""

    MODERATED = "moderated"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


class EntryKind(StrEnum):
    """What a log entry says happened to its message."""

    POSTED = "posted"
    REMOVED = "removed"
    RESTORED = "restored"


class RefundCause(StrEnum):
    """Why money is sent back."""

    DUPLICATE_PAYMENT = "surplus"  # the payment was paid twice
    OPERATOR = "operator"


class RefundStatus(StrEnum):
    """The status of a refund that we requested."""

    WANTED = "wanted"
    SENT = "sent"
    REFUSED = "refused"


class Fact(StrEnum):
    """One thing that Stripe reports about a payment's money. Facts may come from any source and in any order."""

    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute_won"


class PaymentState(Struct, frozen=True, kw_only=True):
    """What is known about a payment: its public status, and the facts that the status alone does not show."""

    status: PaymentStatus = S.PENDING
    paid: bool = False
    refunded: bool = False
    disputed: bool = False
    posted: bool = False


def learn(state: PaymentState, fact: Fact) -> PaymentState:
    """Return the state after one more fact.

    Facts may arrive late, more than once and in any order. So this never raises and never moves backwards: a repeated
    or outdated fact changes nothing, and a paid payment never becomes unpaid.
    """
    match fact:
        case Fact.PROCESSING if state.status is S.PENDING:
            return replace(state, status=move(state.status, S.PROCESSING))
        case Fact.EXPIRED if state.status is S.PENDING:
            return replace(state, status=move(state.status, S.EXPIRED))
        case Fact.FAILED if state.status in UNSETTLED:
            # The event that reports processing may arrive after this one, so pass through that status.
            return replace(state, status=move(move(state.status, S.PROCESSING), S.FAILED))
        case Fact.PAID:
            return _settle(replace(state, paid=True))
        case Fact.REFUNDED:
            return _settle(replace(state, paid=True, refunded=True))
        case Fact.REFUND_FAILED if state.refunded:
            return _settle(replace(state, refunded=False))
        case Fact.DISPUTED:
            return _settle(replace(state, paid=True, disputed=True))
        case Fact.DISPUTE_WON if state.disputed:
            return _settle(replace(state, disputed=False))
        case Fact.PROCESSING | Fact.EXPIRED | Fact.FAILED | Fact.REFUND_FAILED | Fact.DISPUTE_WON:
            return state
        case never:
            assert_never(never)


def _settle(state: PaymentState) -> PaymentState:
    """Bring the status in line with the facts about the money, through allowed moves only."""
    while (target := _target(state)) is not state.status:
        status = move(state.status, target)
        state = replace(state, status=status, posted=state.posted or status is S.FULFILLED)
    return state


def _target(state: PaymentState) -> PaymentStatus:
    """Return the next status that the facts call for, or the current one if it already fits."""
    held = state.refunded or state.disputed
    match state.status:
        case S.REFUNDED if state.refunded:
            return S.REFUNDED
        case S.DISPUTED if state.disputed:
            return S.DISPUTED
        case S.REFUNDED | S.DISPUTED:
            # A message that was never on the board is not posted while another reason keeps it off.
            return S.FULFILLED if state.posted or not held else state.status
        case S.FULFILLED if state.disputed and not state.refunded:
            return S.DISPUTED
        case S.PENDING | S.PROCESSING | S.EXPIRED | S.FAILED | S.FULFILLED:
            if state.refunded:
                return S.REFUNDED
            return S.FULFILLED if state.paid and not held else state.status
        case never:
            assert_never(never)


class SessionFact(Struct, frozen=True, kw_only=True):
    """What Stripe says about one Checkout Session, in an event or in a response.

    Amounts are in minor units. `payment_id` and `board_tag` are the session's metadata: the payment it is for and
    the board that made it. `fact` is None if nothing in the session could move a payment. `livemode` is None if the
    event and the session in it disagree about the mode.
    """

    session_id: str
    fact: Fact | None
    payment_status: str
    payment_id: str | None
    board_tag: str | None
    payment_intent: str | None
    amount_subtotal: int | None
    amount_total: int | None
    currency: str | None
    livemode: bool | None
    event_id: str | None = None
    event_type: str = "retrieved"


class Question(Struct, frozen=True, kw_only=True):
    """The place of a request to Stripe among all such requests.

    The number is taken from a counter in the database before the request is sent, so the response with the higher
    number is the newer one. `at` is when it was taken; versions without the counter order responses by this time.
    """

    number: int
    at: datetime


class IntentFact(Struct, frozen=True, kw_only=True):
    """What Stripe's response says about the money of one payment intent.

    `refunded` means in full. `disputed` means that a dispute holds the money; a mere inquiry does not count.
    """

    payment_intent: str
    payment_id: str | None
    board_tag: str | None
    livemode: bool
    amount: int
    currency: str
    refunded: bool
    disputed: bool
    question: Question
    event_id: str | None = None
    event_type: str = "retrieved"


class Verdict(StrEnum):
    """How a fact was handled. Only `applied` changed a payment; those in ALARMING need an operator's attention."""

    APPLIED = "applied"
    REPEATED = "repeated"  # already known, or outdated
    OVERTAKEN = "overtaken"  # not handled: a newer response about the money was first, or it needs one beside it
    DUPLICATE = "duplicate"  # this event was handled before
    UNREADABLE = "unreadable"  # does not have the form that Stripe documents
    FOREIGN = "foreign"  # from another application on the same Stripe account, or from another account
    UNKNOWN = "unknown"  # has our tag, but there is no such payment
    WRONG_MODE = "wrong_mode"  # a test event on a live board, or the reverse
    WRONG_AMOUNT = "wrong_amount"
    NOT_PAID = "not_paid"  # `no_payment_required`: our price is never zero
    DUPLICATE_PAYMENT = "surplus"  # a second session of a payment that is already paid: this money is refunded
    DUPLICATE_PAYMENT_MOVED = "surplus_moved"  # reports that the money of a second session went back, or may have


ALARMING = frozenset(
    {
        Verdict.UNKNOWN,
        Verdict.UNREADABLE,
        Verdict.WRONG_MODE,
        Verdict.WRONG_AMOUNT,
        Verdict.NOT_PAID,
        Verdict.DUPLICATE_PAYMENT,
    }
)
# An event with one of these verdicts is handled again: by then the payment may exist, or a newer program can read it.
TO_BE_RETRIED = frozenset({Verdict.UNKNOWN, Verdict.UNREADABLE, Verdict.OVERTAKEN})


def amount_matches(fact: SessionFact, price: Price) -> bool:
    """Return whether a session charges exactly the price, plus tax only if the price is taxed."""
    total = fact.amount_total
    return fact.amount_subtotal == price.amount and total is not None and total_matches(total, fact.currency, price)


def total_matches(total: int, currency: str | None, price: Price) -> bool:
    """Return whether a total is the price, plus tax only if the price is taxed."""
    allowed = total >= price.amount if price.taxed else total == price.amount
    return currency == price.currency and allowed
