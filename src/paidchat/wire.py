"""The JSON shapes of the public contract, and how they are made from records."""

from datetime import datetime
from operator import attrgetter
from typing import Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import to_json

from paidchat.domain import PAYABLE, PaymentStatus, Reason, is_open
from paidchat.records import MessageRecord, PaymentRecord

VERSION = 2  # of the shapes, in the ETags: after an upgrade that changes them, nobody keeps an old answer
_NOW = b'"now":'


class Shape(BaseModel):
    """Base class of everything that is sent. Encode it once, with `encode`.

    Its schema requires every field that is always present, constants included, and allows fields added later.
    """

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)

    def encode(self) -> bytes:
        """Return the shape as JSON."""
        return self.model_dump_json().encode()


def without_now(shape: Shape) -> bytes:
    """Return the JSON of a shape whose last field is `now`, up to its value."""
    body = shape.encode()
    return body[: body.rindex(_NOW) + len(_NOW)]  # in a text, the quotes are escaped


def with_now(start: bytes, now: datetime) -> bytes:
    """Complete the JSON of such a shape."""
    return start + to_json(now) + b"}"


class Message(Shape):
    """A message on the board."""

    id: int = Field(description="Ascending and unique: the `seq` of the log entry that posted it.")
    text: str = Field(description="1 to 500 code points on at most 20 lines. Show it as text, never as HTML.")
    author: str | None = Field(description="Null if the payer gave none.")
    amount: int = Field(description="What was paid, in the currency's minor units.")
    currency: str = Field(description="Lower-case ISO 4217 code.")
    posted_at: datetime = Field(description="RFC 3339, UTC.")
    pinned_until: datetime | None = Field(
        description="Until when it is pinned on top of the board: RFC 3339, UTC. Fixed when it is posted; null if it "
        "never was pinned."
    )

    @classmethod
    def of(cls, message: MessageRecord) -> "Message":
        """Return the shape of a message."""
        return cls(
            id=message.id,
            text=message.text,
            author=message.author,
            amount=message.amount,
            currency=message.currency,
            posted_at=message.posted_at,
            pinned_until=message.pinned_until,
        )


_FIELDS: Final = tuple(Message.model_fields)
_values: Final = attrgetter(*_FIELDS)
_Message: Final = msgspec.defstruct("_Message", _FIELDS)


class Payment(Shape):
    """A payment, as its payer sees it: no Stripe id, no e-mail address."""

    id: str = Field(description="Opaque and unguessable; anyone who has it may look the payment up.")
    status: PaymentStatus
    text: str = Field(description="The text to be posted, cleaned.")
    author: str | None = Field(description="Null if the payer gave none.")
    amount: int = Field(description="The price without tax, in the currency's minor units.")
    currency: str = Field(description="Lower-case ISO 4217 code.")
    checkout_url: str | None = Field(description="Where to send the browser; null once payment is no longer possible.")
    message_id: int | None = Field(description="The message that this payment posted. Once set, it stays.")
    created_at: datetime = Field(description="RFC 3339, UTC.")
    expires_at: datetime = Field(description="When the checkout closes; RFC 3339, UTC.")

    @classmethod
    def of(cls, payment: PaymentRecord) -> "Payment":
        """Return the shape of a payment as it was when it was read."""
        payable = payment.status in PAYABLE and not payment.paid and is_open(payment.expires_at, payment.read_at)
        return cls(
            id=payment.id,
            status=payment.status,
            text=payment.text,
            author=payment.author,
            amount=payment.amount,
            currency=payment.currency,
            checkout_url=payment.checkout_url if payable else None,
            message_id=payment.message_id,
            created_at=payment.created_at,
            expires_at=payment.expires_at,
        )


class MessagePage(Shape):
    """A page of the board, oldest first, and the log position at which it was read."""

    messages: list[Message] = Field(description="Oldest first.")
    seq: int = Field(description="The log position at which the page was read.")
    epoch: str = Field(description="Ids and `seq` are only comparable within one epoch.")
    has_more: bool = Field(description="Whether there are more messages in the direction of paging.")


class PinnedPage(Shape):
    """What is pinned on top of the board, highest amount first, then newest."""

    messages: list[Message] = Field(description="At most 20.")
    seq: int = Field(description="The log position at which they were read.")
    epoch: str = Field(description="Ids and `seq` are only comparable within one epoch.")
    has_more: bool = Field(description="Whether more messages are pinned.")
    now: datetime = Field(
        description="The server's time: RFC 3339, UTC. Count `pinned_until` down from it by a clock that never jumps; "
        "your own may be wrong."
    )


class Tier(Shape):
    """An amount that a payer can choose."""

    amount: int = Field(description="In the currency's minor units.")
    pinned_seconds: int = Field(description="How long the message is pinned once it is posted; 0 for not at all.")


class Price(Shape):
    """What one message costs."""

    amount: int = Field(description="In the currency's minor units, unless the payer chooses a higher tier.")
    currency: str = Field(description="Lower-case ISO 4217 code.")
    tiers: list[Tier] = Field(description="Every amount that a payment may have, ascending; the first is `amount`.")


class BoardInfo(Shape):
    """What a page needs to know before anyone types."""

    title: str = Field(description="The board's name.")
    price: Price
    tax_behavior: Literal["exclusive", "inclusive"] | None = Field(
        description="Whether tax is added to the price or included in it; null if none is charged."
    )
    max_text_length: int = Field(description="In code points.")
    max_author_length: int = Field(description="In code points.")
    test_mode: bool = Field(description="True if no real money is charged.")
    terms_url: str | None = Field(description="The address of the operator's terms: http or https. Null if not set.")
    privacy_url: str | None = Field(description="The address of their privacy policy: http or https. Null if not set.")
    contact: str | None = Field(
        description="Where to reach the operator: an e-mail address, or an http or https address. Null if not set."
    )
    links: bool = Field(description="Whether to show http and https addresses in texts as links.")


class Received(Shape):
    """The response to a webhook: the event's effects are committed."""

    received: Literal[True] = True


# --- frames of the feed -----------------------------------------------------------------------------


class Snapshot(Shape):
    """The board as it stands at `seq`. Forget what you had."""

    type: Literal["snapshot"] = "snapshot"
    epoch: str = Field(description="Send it back with the cursor.")
    seq: int = Field(description="The cursor: the next entry has `seq` + 1.")
    messages: list[Message] = Field(description="The newest 50, oldest first.")
    has_more: bool = Field(description="Whether there are older messages.")
    pinned: list[Message] = Field(
        description="What is pinned on top: highest amount first, then newest, at most 20. Some may also be in "
        "`messages`."
    )
    now: datetime = Field(description="The server's time, to count pins down from: RFC 3339, UTC.")


class Resumed(Shape):
    """Every entry after `seq` follows, in order."""

    type: Literal["resumed"] = "resumed"
    epoch: str = Field(description="The cursor's epoch.")
    seq: int = Field(description="The cursor that was accepted: the next entry has `seq` + 1.")
    now: datetime = Field(description="The server's time, to count pins down from: RFC 3339, UTC.")


class MessagePosted(Shape):
    """A message came onto the board."""

    type: Literal["message.posted"] = "message.posted"
    seq: int = Field(description="The entry's place in the log.")
    message: Message


_Posted: Final = msgspec.defstruct("_Posted", MessagePosted.model_fields)
_POSTED: Final = MessagePosted.model_fields["type"].default


def encode_posted(seq: int, message: MessageRecord) -> bytes:
    """Return a `MessagePosted` as JSON.

    Every webhook needs one: 1 µs instead of 12, as msgspec checks nothing of what comes from our own records.
    """
    return msgspec.json.encode(_Posted(_POSTED, seq, _Message(*_values(message))))


class MessageRemoved(Shape):
    """A message left the board."""

    type: Literal["message.removed"] = "message.removed"
    seq: int = Field(description="The entry's place in the log.")
    message_id: int
    reason: Reason


class MessageRestored(Shape):
    """A message came back: insert it at its id."""

    type: Literal["message.restored"] = "message.restored"
    seq: int = Field(description="The entry's place in the log.")
    message: Message


class MessageWithheld(Shape):
    """In a replay: an entry whose message is off the board by now."""

    type: Literal["message.withheld"] = "message.withheld"
    seq: int = Field(description="The entry's place in the log.")
    message_id: int


class PaymentUpdated(Shape):
    """A watched payment as it is now."""

    type: Literal["payment.updated"] = "payment.updated"
    payment: Payment


class Heartbeat(Shape):
    """Nothing happened; the connection is alive."""

    type: Literal["heartbeat"] = "heartbeat"
    seq: int = Field(description="Where the log stands.")


class Viewers(Shape):
    """How many watch the board, in all processes: approximately. If the operator shows it, also what was raised."""

    type: Literal["viewers"] = "viewers"
    count: int = Field(description="Exact up to 100, then rounded to two digits.")
    raised: int | SkipJsonSchema[None] = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="What was paid for the messages on the board, in minor units. Only if the operator shows it.",
    )
    currency: str | SkipJsonSchema[None] = Field(
        default=None, exclude_if=lambda value: value is None, description="That of `raised`: the board's."
    )


class FeedError(Shape):
    """What was wrong with a frame that the client sent."""

    type: Literal["error"] = "error"
    code: Literal["invalid_request", "not_found"] = Field(
        description="`invalid_request`: not a valid watch frame; the third one ends the connection. "
        "`not_found`: there is no such payment."
    )
    detail: str = Field(description="In words.")
    payment_id: str | SkipJsonSchema[None] = Field(
        default=None, exclude_if=lambda value: value is None, description="Which payment, with `not_found`."
    )


Frame = Snapshot | Resumed | MessagePosted | MessageRemoved | MessageRestored | MessageWithheld
Frame |= PaymentUpdated | Heartbeat | Viewers | FeedError
