"""Stripe's events: decoding the few fields that we decide by. Doesn't import the SDK."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from paidchat.domain import Fact, IntentFact, Question, SessionFact
from paidchat.pricing import MAX_PINNED_SECONDS

# Metadata on each of our sessions and its payment intent.
PAYMENT_METADATA_KEY = "paidchat_payment"
BOARD_METADATA_KEY = "paidchat_board"
PINNED_METADATA_KEY = "paidchat_pinned_seconds"

# docs.stripe.com/checkout/fulfillment: what each event means. For the first two the session's own status decides.
SESSION_EVENTS: Final[dict[str, Fact | None]] = {
    "checkout.session.completed": None,
    "checkout.session.async_payment_succeeded": None,
    "checkout.session.async_payment_failed": Fact.FAILED,
    "checkout.session.expired": Fact.EXPIRED,
}
# Their objects have none of our metadata and arrive in any order, so each only tells us to ask about its intent.
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
# An inquiry is not a dispute: no money has moved (docs.stripe.com/disputes/how-disputes-work#inquiries).
DISPUTES_THAT_HOLD = frozenset({"needs_response", "under_review", "lost"})

# The delayed payment failed, and a completed session accepts no other.
ENDED_INTENTS = frozenset({"requires_payment_method", "canceled"})


_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class UnreadableEvent(Exception):
    """A signed or listed event is not as Stripe documents it.

    Attributes:
        event_id: its id, or if it has no usable one, a digest of it, which is the same each time it arrives.
        event_type: its type, if readable.
    """

    def __init__(self, message: str, event_id: str, event_type: str = "unreadable") -> None:
        super().__init__(message)
        self.event_id = event_id
        self.event_type = event_type


class UnreadableObject(Exception):
    """An object in a response lacks a documented field, or has one of another type."""


class IntentNews(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to a payment intent's money; Stripe must be asked what.

    `livemode` is None if the event and its object disagree.
    """

    payment_intent: str
    livemode: bool | None
    event_id: str
    event_type: str


class ForeignEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event from another Stripe account: a connected one, or one in the same organization."""

    event_id: str
    event_type: str


News = SessionFact | IntentNews | ForeignEvent

# Every Stripe id that is stored or queried by must be printable ASCII, which any database accepts.
Id = Annotated[str, msgspec.Meta(max_length=255, pattern=r"\A[!-~]+\Z")]
_is_id = re.compile(r"[!-~]{1,255}").fullmatch


class SessionTerms(msgspec.Struct, frozen=True, kw_only=True):
    """When a session was created and expires, whether Stripe calculates its tax, and how long its message is pinned."""

    created_at: datetime
    expires_at: datetime
    taxed: bool
    pinned_seconds: int


class _Expanded(msgspec.Struct):
    """A payment intent that was expanded, whether we asked for that or not."""

    id: Id
    status: str | None = None


class _Tags(msgspec.Struct, rename={"payment": PAYMENT_METADATA_KEY, "board": BOARD_METADATA_KEY}):
    """What our metadata says."""

    payment: Id | None = None
    board: Id | None = None


class _Session(msgspec.Struct):
    """The fields of a `checkout.session` that we use."""

    id: Id
    status: str | None
    payment_status: str
    livemode: bool
    payment_intent: Id | _Expanded | None = None
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
    metadata: dict[str, str] | None = None


class _MovedMoney(msgspec.Struct):
    """The fields that link a `refund`, `charge` or `dispute` to a payment. A refund has no `livemode`."""

    payment_intent: Id | _Expanded | None = None
    livemode: bool | None = None


class _Charge(msgspec.Struct):
    refunded: bool
    disputed: bool = False


class _Intent(msgspec.Struct):
    """The fields that we use of a `payment_intent` with `latest_charge` expanded."""

    id: Id
    livemode: bool
    amount: int
    currency: str
    metadata: dict[str, str] | None = None
    latest_charge: _Charge | None = None


class _AboutSession(msgspec.Struct):
    object: _Session


class _AboutMoney(msgspec.Struct):
    object: _MovedMoney


class _Event(msgspec.Struct):
    """The fields of an `event` that we use, decoded separately: a bad one must not lose the others."""

    id: Any = None
    type: Any = None
    object: Any = None
    livemode: Any = None
    account: Any = None  # Connect
    context: Any = None  # Organizations
    data: Any = None


class _Delivered(_Event):
    """The same in a webhook, where `data` stays JSON until its type is known: 31 µs in all instead of 41."""

    data: msgspec.Raw = msgspec.Raw(b"null")


_decode_event: Final = msgspec.json.Decoder(_Delivered).decode
_decode_session: Final = msgspec.json.Decoder(_AboutSession).decode
_decode_money: Final = msgspec.json.Decoder(_AboutMoney).decode


def read_event(payload: bytes) -> News | None:
    """Decode the raw body of a verified webhook; returns None for an event that does not concern us.

    Raises:
        UnreadableEvent: it is not an event as Stripe documents it.
    """
    try:
        event = _decode_event(payload)
    except _UNDECODABLE as error:
        raise UnreadableEvent(str(error), _digest(payload)) from None
    if not _concerns_us(event, lambda: payload):
        return None
    return _news(event, lambda: _decode_session(event.data), lambda: _decode_money(event.data))


def read_listed_event(event: object) -> News | None:
    """Decode an item of the list of events, whatever it is; returns None for an event that does not concern us.

    Raises:
        UnreadableEvent: it is not an event as Stripe documents it.
    """

    def raw() -> bytes:
        try:
            return json.dumps(event, sort_keys=True).encode()
        except RecursionError:
            return b"nested too deeply"

    try:
        converted = msgspec.convert(event, _Event)
    except msgspec.ValidationError as error:
        raise UnreadableEvent(str(error), _digest(raw())) from None
    if not _concerns_us(converted, raw):
        return None
    data = converted.data
    return _news(converted, lambda: msgspec.convert(data, _AboutSession), lambda: msgspec.convert(data, _AboutMoney))


def _digest(raw: bytes) -> str:
    """Return a stable id for something without a usable one, to recognize it when it arrives again."""
    return f"unreadable_{hashlib.sha256(raw).hexdigest()}"


def _concerns_us(event: _Event, raw: Callable[[], bytes]) -> bool:
    """Tell whether it is an event of a type that we act on."""
    has_id = isinstance(event.id, str) and _is_id(event.id)
    if not has_id or not isinstance(event.type, str) or not isinstance(event.object, str):
        raise UnreadableEvent("it lacks an id, a type or an object", event.id if has_id else _digest(raw()))
    return event.object == "event" and (event.type in SESSION_EVENTS or event.type in INTENT_EVENTS)


def _news(
    event: _Event, about_session: Callable[[], _AboutSession], about_money: Callable[[], _AboutMoney]
) -> News | None:
    if event.account is not None or event.context is not None:
        return ForeignEvent(event_id=event.id, event_type=event.type)
    try:
        livemode = msgspec.convert(event.livemode, bool)
        if event.type in SESSION_EVENTS:
            return _session_news(event, livemode, about_session().object)
        return _intent_news(event, livemode, about_money().object)
    except _UNDECODABLE as error:
        raise UnreadableEvent(str(error), event.id, event.type) from None


def _session_news(event: _Event, livemode: bool, session: _Session) -> SessionFact:
    fact = SESSION_EVENTS[event.type] or _fact_of_completed(session)
    agreed = session.livemode if session.livemode == livemode else None
    return _session_fact(session, fact, livemode=agreed, event_id=event.id, event_type=event.type)


def _intent_news(event: _Event, livemode: bool, moved: _MovedMoney) -> IntentNews | None:
    if moved.payment_intent is None:
        return None
    return IntentNews(
        payment_intent=_id_of(moved.payment_intent),
        livemode=livemode if moved.livemode in {None, livemode} else None,
        event_id=event.id,
        event_type=event.type,
    )


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except (msgspec.ValidationError, ValueError, OverflowError, OSError) as error:  # or a time out of range
        raise UnreadableObject(f"{what} cannot be read: {error}") from None


def read_session(retrieved: object) -> SessionFact:
    """Decode a session that was retrieved with `payment_intent.latest_charge` expanded, or listed.

    Raises:
        UnreadableObject: it is not a session.
    """
    with _reading("the session"):
        session = msgspec.convert(retrieved, _Session)
        return _session_fact(session, _fact_of_retrieved(session), livemode=session.livemode)


def read_terms(retrieved: object) -> SessionTerms:
    """Decode the terms of a session.

    Raises:
        UnreadableObject: it lacks them.
    """
    with _reading("the session's terms"):
        terms = msgspec.convert(retrieved, _Terms)
        return SessionTerms(
            created_at=datetime.fromtimestamp(terms.created, UTC),
            expires_at=datetime.fromtimestamp(terms.expires_at, UTC),
            taxed=terms.automatic_tax.enabled,
            pinned_seconds=_pinned_seconds((terms.metadata or {}).get(PINNED_METADATA_KEY, "")),
        )


def _pinned_seconds(text: str) -> int:
    """Read what our metadata says; 0 if it says nothing, or something that no board of ours has written."""
    seconds = int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0
    return seconds if seconds <= MAX_PINNED_SECONDS else 0


def read_intent(retrieved: object, disputes: list[str], question: Question) -> IntentFact:
    """Decode a payment intent that was retrieved with `latest_charge` expanded, given its disputes' statuses.

    Raises:
        UnreadableObject: it is not such a payment intent.
    """
    with _reading("the payment intent"):
        intent = msgspec.convert(retrieved, _Intent)
        payment_id, board = _tags(intent.metadata)
    return IntentFact(
        payment_intent=intent.id,
        payment_id=payment_id,
        board_tag=board,
        livemode=intent.livemode,
        amount=intent.amount,
        currency=intent.currency,
        # A partial refund does not remove the message.
        refunded=intent.latest_charge is not None and intent.latest_charge.refunded,
        disputed=not DISPUTES_THAT_HOLD.isdisjoint(disputes),
        question=question,
    )


def disputed_intent(retrieved: object) -> str | None:
    """Return the id of a retrieved payment intent if its charge was ever disputed; the disputes say how that went.

    Raises:
        UnreadableObject: it is not such a payment intent.
    """
    with _reading("the payment intent"):
        intent = msgspec.convert(retrieved, _Intent)
    return intent.id if intent.latest_charge is not None and intent.latest_charge.disputed else None


def _fact_of_completed(session: _Session) -> Fact | None:
    """Decode a completed session: paid, or waiting for a delayed method."""
    return {"paid": Fact.PAID, "unpaid": Fact.PROCESSING}.get(session.payment_status)


def _fact_of_retrieved(session: _Session) -> Fact | None:
    if session.status == "expired":
        return Fact.EXPIRED
    if session.status != "complete":
        return None
    intent = session.payment_intent
    if session.payment_status == "unpaid" and isinstance(intent, _Expanded) and intent.status in ENDED_INTENTS:
        return Fact.FAILED
    return _fact_of_completed(session)


def _session_fact(session: _Session, fact: Fact | None, **more: Any) -> SessionFact:
    payment_id, board = _tags(session.metadata)
    return SessionFact(
        session_id=session.id,
        fact=fact,
        payment_status=session.payment_status,
        payment_id=payment_id,
        board_tag=board,
        payment_intent=None if session.payment_intent is None else _id_of(session.payment_intent),
        amount_subtotal=session.amount_subtotal,
        amount_total=session.amount_total,
        currency=session.currency,
        **more,
    )


def _tags(metadata: dict[str, str] | None) -> tuple[str | None, str | None]:
    """Return the payment id and board tag in an object's metadata, checked because queries use them."""
    tags = msgspec.convert(metadata or {}, _Tags)  # msgspec prepares a Struct once, a tuple's type at each call
    return tags.payment, tags.board


def _id_of(intent: str | _Expanded) -> str:
    return intent.id if isinstance(intent, _Expanded) else intent
