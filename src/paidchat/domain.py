"""What a payment is: its statuses, what may become what, and what Stripe can say of it. Knows no framework."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from paidchat.pricing import Price

# --- errors -----------------------------------------------------------------------------------------
#
# DomainError
# ├── InvalidText            the text or the author breaks a rule; .field and .message say which
# ├── IllegalMove            a payment was asked to become what it may not become
# ├── NotFound               no such payment or message
# ├── Gone                   the message was taken off the board; .reason says why
# ├── Conflict               the state of things forbids it
# ├── IdempotencyConflict    the key was used for another body
# ├── IdempotencyInProgress  the first request with this key is still being answered
# ├── RateLimited            too many payments from one client; .retry_after in seconds
# ├── UnknownPayment         Stripe speaks of a payment that bears our tag and that we don't have
# └── ProviderUnavailable    Stripe could not be asked; .retry_after in seconds


class DomainError(Exception):
    """The base of all that can go wrong by the rules of the board."""


class InvalidText(DomainError):
    """A text or an author that the board refuses.

    Attributes:
        field: `text` or `author`.
        message: the rule, in words for the person who typed it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class IllegalMove(DomainError):
    """A payment was asked to become what it may not become."""

    def __init__(self, current: "PaymentStatus", target: "PaymentStatus") -> None:
        super().__init__(f"a {current} payment cannot become {target}")
        self.current = current
        self.target = target


class NotFound(DomainError):
    """No such payment or message."""


class Gone(DomainError):
    """The message was on the board and is not any more.

    Attributes:
        reason: `moderated`, `refunded` or `disputed`.
    """

    def __init__(self, reason: "Reason") -> None:
        super().__init__(f"The message was removed: {reason}.")
        self.reason = reason


class Conflict(DomainError):
    """The state of things forbids what was asked."""


class IdempotencyConflict(DomainError):
    """The Idempotency-Key was used before, with another body."""


class IdempotencyInProgress(DomainError):
    """The first request with this Idempotency-Key is still being answered.

    Attributes:
        retry_after: seconds until asking again makes sense.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__("The first request with this Idempotency-Key is still being answered.")
        self.retry_after = retry_after


class RateLimited(DomainError):
    """One client starts payments faster than it may, or too many are open.

    Attributes:
        retry_after: seconds until the next one is admitted.
    """

    def __init__(self, retry_after: int, detail: str = "Too many payments from here. Please wait a moment.") -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class UnknownPayment(DomainError):
    """Stripe says that a payment was made which bears this board's tag, but the board does not have it.

    Attributes:
        retry_after: seconds until it may be there: the payment is being written, or a backup is yet to be restored.
    """

    retry_after = 60


class ProviderUnavailable(DomainError):
    """Stripe could not be asked, or did not answer as it should.

    Attributes:
        retry_after: seconds until asking again makes sense.
    """

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


# --- the life of a payment --------------------------------------------------------------------------


class PaymentStatus(StrEnum):
    """Where a payment stands, as the public contract names it."""

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
        S.EXPIRED: frozenset({S.FULFILLED, S.REFUNDED}),  # money that did arrive wins
        S.FAILED: frozenset({S.FULFILLED, S.REFUNDED}),
        S.FULFILLED: frozenset({S.REFUNDED, S.DISPUTED}),
        S.REFUNDED: frozenset({S.FULFILLED}),  # the refund failed
        S.DISPUTED: frozenset({S.FULFILLED}),  # the dispute was won
    }
)

_PAYMENT_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def is_payment_id(text: str) -> bool:
    """Tell whether a text could be a payment's id at all. What could not is not looked for."""
    return _PAYMENT_ID.fullmatch(text) is not None


PAYABLE = frozenset({S.PENDING})  # the checkout page still takes money
UNSETTLED = frozenset({S.PENDING, S.PROCESSING})  # Stripe may know more than we do
LONGEST_OPEN = timedelta(hours=24)  # Stripe lets no Checkout Session be open for longer


def is_open(expires_at: datetime, now: datetime) -> bool:
    """Tell whether a checkout can still be open. An expiry farther off than Stripe allows came from a wrong clock."""
    return now < expires_at <= now + LONGEST_OPEN


def move(current: PaymentStatus, target: PaymentStatus) -> PaymentStatus:
    """Return `target` if a `current` payment may become it; a repeat returns it unchanged.

    Raises:
        IllegalMove: the table of moves does not hold it.
    """
    if target != current and target not in MOVES[current]:
        raise IllegalMove(current, target)
    return target


class Reason(StrEnum):
    """Why a message is off the board. Any number of them may hold at once."""

    MODERATED = "moderated"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


class EntryKind(StrEnum):
    """What a log entry says of its message."""

    POSTED = "posted"
    REMOVED = "removed"
    RESTORED = "restored"


class RefundCause(StrEnum):
    """Why money is sent back."""

    DUPLICATE_PAYMENT = "surplus"  # the payment was paid twice
    OPERATOR = "operator"


class RefundStatus(StrEnum):
    """How far a refund of ours has come."""

    WANTED = "wanted"
    SENT = "sent"
    REFUSED = "refused"


class Fact(StrEnum):
    """One thing that is known of a payment's money, whoever told it and in whatever order."""

    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute_won"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentState:
    """What is known of a payment: its public status and the facts that the status alone can't tell."""

    status: PaymentStatus = S.PENDING
    paid: bool = False
    refunded: bool = False
    disputed: bool = False
    posted: bool = False


def learn(state: PaymentState, fact: Fact) -> PaymentState:
    """Return the state after one more fact.

    Facts come late, twice and in any order, so this never raises and never goes back: what is known already
    or overtaken changes nothing, and what was paid never becomes unpaid.
    """
    match fact:
        case Fact.PROCESSING if state.status is S.PENDING:
            return replace(state, status=move(state.status, S.PROCESSING))
        case Fact.EXPIRED if state.status is S.PENDING:
            return replace(state, status=move(state.status, S.EXPIRED))
        case Fact.FAILED if state.status in UNSETTLED:
            # The event that said "on its way" may come after this one, so go by way of it.
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
    """Bring the status in line with the facts about money, by legal moves only."""
    while (target := _target(state)) is not state.status:
        status = move(state.status, target)
        state = replace(state, status=status, posted=state.posted or status is S.FULFILLED)
    return state


def _target(state: PaymentState) -> PaymentStatus:
    """Return the next status that the facts ask for, or the present one if it may stay."""
    held = state.refunded or state.disputed
    match state.status:
        case S.REFUNDED if state.refunded:
            return S.REFUNDED
        case S.DISPUTED if state.disputed:
            return S.DISPUTED
        case S.REFUNDED | S.DISPUTED:
            # What was never on the board is not put there while another reason holds it.
            return S.FULFILLED if state.posted or not held else state.status
        case S.FULFILLED if state.disputed and not state.refunded:
            return S.DISPUTED
        case S.PENDING | S.PROCESSING | S.EXPIRED | S.FAILED | S.FULFILLED:
            if state.refunded:
                return S.REFUNDED
            return S.FULFILLED if state.paid and not held else state.status
        case never:
            assert_never(never)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFact:
    """What Stripe says of one Checkout Session, in an event or in answer to a question.

    Amounts are in minor units. `payment_id` and `board_tag` are the session's metadata: the payment it is for and
    the board's own tag. `fact` is None when the session tells nothing that could move a payment, `livemode` when
    an event and the session in it disagree on it.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question to Stripe. Its number was taken in the database before it was asked, so numbers order the answers.

    `at` is when that was: programs before this one have nothing else to go by.
    """

    number: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentFact:
    """How the money of one payment intent stands: what Stripe answered to a question.

    `refunded` means wholly; `disputed` that a dispute, not an inquiry, holds the money.
    """

    payment_intent: str
    payment_id: str | None
    board_tag: str | None
    livemode: bool
    refunded: bool
    disputed: bool
    question: Question
    event_id: str | None = None
    event_type: str = "retrieved"


class Verdict(StrEnum):
    """What became of a fact. Only `applied` moved anything; the alarming ones want a person to look."""

    APPLIED = "applied"
    REPEATED = "repeated"  # known already, or overtaken
    OVERTAKEN = "overtaken"  # a later answer about the same money was heard first, so this one decides nothing
    DUPLICATE = "duplicate"  # this very event was handled before
    UNREADABLE = "unreadable"  # not what Stripe documents, so it could not be read
    FOREIGN = "foreign"  # another application on the same Stripe account, or another account
    UNKNOWN = "unknown"  # ours by its tag, but there is no such payment
    WRONG_MODE = "wrong_mode"  # test event on a live board or the reverse
    WRONG_AMOUNT = "wrong_amount"
    NOT_PAID = "not_paid"  # `no_payment_required`: our price is never zero
    DUPLICATE_PAYMENT = "surplus"  # a second session of a payment that is paid already: its money goes back
    DUPLICATE_PAYMENT_MOVED = "surplus_moved"  # and this is it, going back


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
# An event that got one of these is handled if it comes again: the payment, or a way to read it, may be there by then.
TO_BE_RETRIED = frozenset({Verdict.UNKNOWN, Verdict.UNREADABLE, Verdict.OVERTAKEN})


def amount_matches(fact: SessionFact, price: Price) -> bool:
    """Tell whether a session asks for exactly the price, plus tax only where that is added."""
    if (fact.currency, fact.amount_subtotal) != (price.currency, price.amount) or fact.amount_total is None:
        return False
    return fact.amount_total >= price.amount if price.taxed else fact.amount_total == price.amount
