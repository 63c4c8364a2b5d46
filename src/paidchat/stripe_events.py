"""What Stripe sends: events, checked and read down to the few fields that decide anything. Needs no SDK."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from paidchat.domain import Fact, IntentFact, SessionFact

SIGNATURE_TOLERANCE_S = 300  # docs.stripe.com/webhooks#verify-official-libraries
MAX_STAMP_DIGITS = 12

# The metadata that every session of ours and its payment intent carry.
PAYMENT_TAG = "paidchat_payment"
BOARD_TAG = "paidchat_board"

# docs.stripe.com/checkout/fulfillment: what each event says; of the first two the session's own status decides.
SESSION_EVENTS: Final[dict[str, Fact | None]] = {
    "checkout.session.completed": None,
    "checkout.session.async_payment_succeeded": None,
    "checkout.session.async_payment_failed": Fact.FAILED,
    "checkout.session.expired": Fact.EXPIRED,
}
# Their objects carry none of our metadata and come in any order, so each only means: ask about this intent.
INTENT_EVENTS: Final = frozenset(
    {
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.refunded",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    }
)
# An inquiry is no dispute: no money has moved (docs.stripe.com/disputes/how-disputes-work#inquiries).
DISPUTES_THAT_HOLD = frozenset({"needs_response", "under_review", "lost"})

# The delayed method came to nothing, and a completed session takes no other.
ENDED_INTENTS = frozenset({"requires_payment_method", "canceled"})


class InvalidSignature(Exception):
    """The webhook was not signed by Stripe with one of our secrets within the last minutes."""


class MalformedEvent(Exception):
    """The webhook is signed but is no event that could be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentNews:
    """Something happened to the money of a payment intent; what, is to be asked."""

    payment_intent: str
    event_id: str
    event_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTerms:
    """When a session was made and until when it could be paid, and whether Stripe works out its tax."""

    created_at: datetime
    expires_at: datetime
    taxed: bool


class _Session(msgspec.Struct):
    """The few fields of a `checkout.session`."""

    id: str
    status: str | None
    payment_status: str
    livemode: bool
    payment_intent: Any = None  # an id, or the object where it was expanded
    metadata: dict[str, str] | None = None
    amount_subtotal: int | None = None
    amount_total: int | None = None
    currency: str | None = None


class _AutomaticTax(msgspec.Struct):
    enabled: bool


class _Terms(msgspec.Struct):
    """The fields of a `checkout.session` that never change."""

    created: int
    expires_at: int
    automatic_tax: _AutomaticTax


class _MovedMoney(msgspec.Struct):
    """The one field of a `refund`, `charge` or `dispute` that leads to a payment."""

    payment_intent: str | None = None


class _Data(msgspec.Struct):
    object: Any


class _Event(msgspec.Struct):
    """The few fields of an `event`."""

    id: str
    type: str
    object: str
    data: _Data | None = None


_decode_event = msgspec.json.Decoder(_Event).decode


def verify_signature(payload: bytes, header: str, secrets: tuple[bytes, ...], now: float) -> None:
    """Check a webhook's Stripe-Signature over its raw bytes (docs.stripe.com/webhooks#verify-manually).

    Raises:
        InvalidSignature: not from Stripe, or more than five minutes from `now`, either way.
    """
    fields = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in fields if name == "t"]
    if len(stamps) != 1 or not (stamps[0].isascii() and stamps[0].isdecimal()) or len(stamps[0]) > MAX_STAMP_DIGITS:
        raise InvalidSignature("the Stripe-Signature header has no timestamp")
    if abs(now - int(stamps[0])) > SIGNATURE_TOLERANCE_S:
        raise InvalidSignature("the signature's timestamp is more than five minutes from now")
    given = [value.encode(errors="replace") for name, _, value in fields if name == "v1"]
    signed = stamps[0].encode() + b"." + payload
    valid = [hmac.new(secret, signed, hashlib.sha256).hexdigest().encode() for secret in secrets]
    if not any(hmac.compare_digest(ours, theirs) for ours in valid for theirs in given):
        raise InvalidSignature("no signature matches the payload")


def read_event(payload: bytes) -> SessionFact | IntentNews | None:
    """Read the raw body of a verified webhook; None for an event that is none of our business.

    Raises:
        MalformedEvent: this is not an event.
    """
    try:
        return _read(_decode_event(payload))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEvent(f"the event cannot be read: {error}") from None


def read_listed_event(event: dict[str, Any]) -> SessionFact | IntentNews | None:
    """Read an event that was listed and not sent.

    Raises:
        MalformedEvent: this is not an event.
    """
    try:
        return _read(msgspec.convert(event, _Event))
    except msgspec.ValidationError as error:
        raise MalformedEvent(f"the event cannot be read: {error}") from None


def _read(event: _Event) -> SessionFact | IntentNews | None:
    if event.object != "event" or event.data is None:
        return None
    if event.type in SESSION_EVENTS:
        session = msgspec.convert(event.data.object, _Session)
        fact = SESSION_EVENTS[event.type] or _fact_of_completed(session)
        return _session_fact(session, fact, event_id=event.id, event_type=event.type)
    if event.type in INTENT_EVENTS:
        moved = msgspec.convert(event.data.object, _MovedMoney)
        if moved.payment_intent is not None:
            return IntentNews(payment_intent=moved.payment_intent, event_id=event.id, event_type=event.type)
    return None


def read_session(retrieved: dict[str, Any]) -> SessionFact:
    """Read a session that was retrieved with `payment_intent.latest_charge` expanded."""
    session = msgspec.convert(retrieved, _Session)
    return _session_fact(session, _fact_of_retrieved(session))


def read_terms(retrieved: dict[str, Any]) -> SessionTerms:
    """Read on what terms a session was made."""
    terms = msgspec.convert(retrieved, _Terms)
    return SessionTerms(
        created_at=datetime.fromtimestamp(terms.created, UTC),
        expires_at=datetime.fromtimestamp(terms.expires_at, UTC),
        taxed=terms.automatic_tax.enabled,
    )


def read_intent(retrieved: dict[str, Any], disputes: list[str], asked_at: datetime) -> IntentFact:
    """Read a payment intent that was retrieved with its `latest_charge` expanded, and its disputes' statuses."""
    charge = retrieved.get("latest_charge")
    charge = charge if isinstance(charge, dict) else {}
    tags = retrieved.get("metadata") or {}
    return IntentFact(
        payment_intent=retrieved["id"],
        payment_id=tags.get(PAYMENT_TAG),
        board=tags.get(BOARD_TAG),
        livemode=retrieved["livemode"],
        # A part of it back retracts nothing.
        refunded=bool(charge.get("refunded")),
        disputed=not DISPUTES_THAT_HOLD.isdisjoint(disputes),
        asked_at=asked_at,
    )


def _fact_of_completed(session: _Session) -> Fact | None:
    """Read a completed session: paid, or a delayed method is on its way."""
    return {"paid": Fact.PAID, "unpaid": Fact.PROCESSING}.get(session.payment_status)


def _fact_of_retrieved(session: _Session) -> Fact | None:
    if session.status == "expired":
        return Fact.EXPIRED
    if session.status != "complete":
        return None
    intent = session.payment_intent
    if session.payment_status == "unpaid" and isinstance(intent, dict) and intent.get("status") in ENDED_INTENTS:
        return Fact.FAILED
    return _fact_of_completed(session)


def _session_fact(session: _Session, fact: Fact | None, **event: str) -> SessionFact:
    intent = session.payment_intent
    tags = session.metadata or {}
    return SessionFact(
        session_id=session.id,
        fact=fact,
        payment_status=session.payment_status,
        payment_id=tags.get(PAYMENT_TAG),
        board=tags.get(BOARD_TAG),
        payment_intent=intent["id"] if isinstance(intent, dict) else intent,
        amount_subtotal=session.amount_subtotal,
        amount_total=session.amount_total,
        currency=session.currency,
        livemode=session.livemode,
        **event,
    )
