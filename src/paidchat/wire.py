"""The JSON shapes of the public contract, and the one place that makes them from rows."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row

from paidchat.domain import PAYABLE, PaymentStatus, Reason, is_open


class Shape(BaseModel):
    """The base of every shape that goes out. Encode with `encode`, once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def encode(self) -> bytes:
        """Return the shape as JSON."""
        return self.__pydantic_serializer__.to_json(self)


class Message(Shape):
    """A message on the board."""

    id: int = Field(description="Ascending and unique: the `seq` of the log entry that posted it.")
    text: str
    author: str | None
    amount: int = Field(description="What was paid, in the currency's minor units.")
    currency: str = Field(description="Lower-case ISO 4217 code.")
    posted_at: datetime

    @classmethod
    def of(cls, row: Row[Any]) -> "Message":
        """Make the shape of a row of `message`."""
        return cls.model_construct(
            id=row.id,
            text=row.text,
            author=row.author,
            amount=row.amount,
            currency=row.currency,
            posted_at=row.posted_at,
        )


class Payment(Shape):
    """A payment, as its payer sees it: no Stripe id, no e-mail address."""

    id: str = Field(description="Unguessable; who has it may look the payment up.")
    status: PaymentStatus
    text: str
    author: str | None
    amount: int = Field(description="The price without tax, in the currency's minor units.")
    currency: str
    checkout_url: str | None = Field(description="Where to send the browser; only while the payment can be made.")
    message_id: int | None = Field(description="The message this payment posted. Once set, it stays.")
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, row: Row[Any]) -> "Payment":
        """Make the shape of a row that `queries` selected."""
        payable = row.status in PAYABLE and not row.paid and is_open(row.expires_at, row.read_at)
        return cls.model_construct(
            id=row.id,
            status=PaymentStatus(row.status),
            text=row.text,
            author=row.author,
            amount=row.amount,
            currency=row.currency,
            checkout_url=row.checkout_url if payable else None,
            message_id=row.message_id,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )


class MessagePage(Shape):
    """A page of the board, oldest first, and the log position at which it was read."""

    messages: list[Message]
    seq: int
    epoch: str
    has_more: bool = Field(description="Whether there is more in the direction read.")


class Price(Shape):
    """What one message costs."""

    amount: int
    currency: str


class BoardInfo(Shape):
    """What a page needs to know before anybody types."""

    title: str
    price: Price
    tax_behavior: Literal["exclusive", "inclusive"] | None
    max_text_length: int
    max_author_length: int
    test_mode: bool


class Received(Shape):
    """The answer to a webhook: what it said is committed."""

    received: Literal[True] = True


# --- frames of the feed -----------------------------------------------------------------------------


class Snapshot(Shape):
    """The board as it stands at `seq`: forget what you had."""

    type: Literal["snapshot"] = "snapshot"
    epoch: str
    seq: int
    messages: list[Message]
    has_more: bool


class Resumed(Shape):
    """Every entry after `seq` follows."""

    type: Literal["resumed"] = "resumed"
    epoch: str
    seq: int


class MessagePosted(Shape):
    """A message came onto the board."""

    type: Literal["message.posted"] = "message.posted"
    seq: int
    message: Message


class MessageRemoved(Shape):
    """A message left the board."""

    type: Literal["message.removed"] = "message.removed"
    seq: int
    message_id: int
    reason: Reason


class MessageRestored(Shape):
    """A message came back: insert it at its id."""

    type: Literal["message.restored"] = "message.restored"
    seq: int
    message: Message


class MessageWithheld(Shape):
    """In a replay: an entry whose message is off the board by now."""

    type: Literal["message.withheld"] = "message.withheld"
    seq: int
    message_id: int


class PaymentUpdated(Shape):
    """A watched payment as it is now."""

    type: Literal["payment.updated"] = "payment.updated"
    payment: Payment


class Heartbeat(Shape):
    """Nothing happened; the connection is alive."""

    type: Literal["heartbeat"] = "heartbeat"
    seq: int


class FeedError(Shape):
    """What was wrong with a frame that the client sent."""

    type: Literal["error"] = "error"
    code: str
    detail: str
    payment_id: str | None = None

    def encode(self) -> bytes:
        """Return the frame as JSON; without a payment there is no `payment_id`."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)


Frame = Snapshot | Resumed | MessagePosted | MessageRemoved | MessageRestored | MessageWithheld
Frame |= PaymentUpdated | Heartbeat | FeedError
