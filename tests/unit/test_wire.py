"""The JSON that is sent: exactly the contract's fields, with the contract's types."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from paidchat import wire
from paidchat.domain import PaymentStatus, Reason
from paidchat.feed.entries import encode_text

NOW = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
RFC_3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


def message_row(**changes: Any) -> Any:
    """A message's row, as the database returns it."""
    columns = {
        "id": 7,
        "text": "Hi \U0001f600",
        "author": None,
        "amount": 100,
        "currency": "usd",
        "posted_at": NOW,
        "pinned_until": None,
    }
    return SimpleNamespace(**{**columns, **changes})


def payment_row(**changes: Any) -> Any:
    """A pending payment's row, with columns that are not public."""
    columns = {
        "id": "00000000-0000-4000-8000-000000000000",
        "status": "pending",
        "paid": False,
        "refunded": False,
        "disputed": False,
        "text": "Hi",
        "author": "Ann",
        "amount": 100,
        "currency": "usd",
        "checkout_url": "https://checkout.stripe.com/c/pay/cs_1",
        "message_id": None,
        "created_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
        "session_id": "cs_1",
        "payment_intent": "pi_1",
        "stripe_key": "key",
        "stripe_params": {},
        "idempotency_key": "hash",
    }
    return SimpleNamespace(**{**columns, **changes})


def decoded(shape: wire.Shape) -> Any:
    """The JSON of an object, as a client reads it."""
    return json.loads(shape.encode())


def payment(now: datetime = NOW, **changes: Any) -> Any:
    """The JSON of a payment, as a client reads it."""
    return decoded(wire.Payment.of(payment_row(read_at=now, **changes)))


def test_a_message_has_exactly_its_fields() -> None:
    """A message is id, text, author, amount, currency, posted_at and pinned_until, and nothing else."""
    assert decoded(wire.Message.of(message_row())) == {
        "id": 7,
        "text": "Hi \U0001f600",
        "author": None,
        "amount": 100,
        "currency": "usd",
        "posted_at": "2026-01-02T03:04:05.678900Z",
        "pinned_until": None,
    }


def test_a_payment_has_exactly_its_fields() -> None:
    """A payment has the contract's ten fields; no Stripe id, no key, and nothing else from its row."""
    assert payment() == {
        "id": "00000000-0000-4000-8000-000000000000",
        "status": "pending",
        "text": "Hi",
        "author": "Ann",
        "amount": 100,
        "currency": "usd",
        "checkout_url": "https://checkout.stripe.com/c/pay/cs_1",
        "message_id": None,
        "created_at": "2026-01-02T03:04:05.678900Z",
        "expires_at": "2026-01-02T04:04:05.678900Z",
    }


@pytest.mark.parametrize("status", [status for status in PaymentStatus if status != "pending"])
def test_the_checkout_url_ends_with_the_wait_for_money(status: str) -> None:
    """A payment that is no longer pending cannot be paid, so it has no checkout_url."""
    assert payment(status=status)["checkout_url"] is None


def test_the_checkout_url_ends_with_the_session() -> None:
    """A pending payment whose session has expired has no checkout_url."""
    assert payment(now=NOW + timedelta(hours=1))["checkout_url"] is None


def test_what_is_paid_is_not_to_be_paid_again() -> None:
    """A payment that is known to be paid has no checkout_url, even if its status does not show it yet."""
    assert payment(paid=True, disputed=True)["checkout_url"] is None


@pytest.mark.parametrize("posted_at", [NOW, NOW.replace(microsecond=0), NOW.astimezone(timezone(timedelta(hours=5)))])
def test_times_are_rfc_3339_in_utc(posted_at: datetime) -> None:
    """Times are sent in UTC with an offset."""
    written = decoded(wire.Message.of(message_row(posted_at=posted_at.astimezone(UTC))))["posted_at"]
    assert RFC_3339_UTC.fullmatch(written)
    assert datetime.fromisoformat(written) == posted_at


MESSAGE = wire.Message.of(message_row())
FRAMES: list[tuple[wire.Shape, dict[str, Any]]] = [
    (
        wire.Snapshot(epoch="e", seq=9, messages=[MESSAGE], has_more=True, pinned=[MESSAGE], now=NOW),
        {
            "type": "snapshot",
            "epoch": "e",
            "seq": 9,
            "messages": [decoded(MESSAGE)],
            "has_more": True,
            "pinned": [decoded(MESSAGE)],
            "now": "2026-01-02T03:04:05.678900Z",
        },
    ),
    (
        wire.Resumed(epoch="e", seq=9, now=NOW),
        {"type": "resumed", "epoch": "e", "seq": 9, "now": "2026-01-02T03:04:05.678900Z"},
    ),
    (wire.MessagePosted(seq=7, message=MESSAGE), {"type": "message.posted", "seq": 7, "message": decoded(MESSAGE)}),
    (
        wire.MessageRemoved(seq=8, message_id=7, reason=Reason.MODERATED),
        {"type": "message.removed", "seq": 8, "message_id": 7, "reason": "moderated"},
    ),
    (
        wire.MessageRestored(seq=9, message=MESSAGE),
        {"type": "message.restored", "seq": 9, "message": decoded(MESSAGE)},
    ),
    (wire.MessageWithheld(seq=7, message_id=7), {"type": "message.withheld", "seq": 7, "message_id": 7}),
    (
        wire.PaymentUpdated(payment=wire.Payment.of(payment_row(read_at=NOW))),
        {"type": "payment.updated", "payment": payment()},
    ),
    (wire.Heartbeat(seq=9), {"type": "heartbeat", "seq": 9}),
    (
        wire.FeedError(code="invalid_request", detail="No."),
        {"type": "error", "code": "invalid_request", "detail": "No."},
    ),
    (
        wire.FeedError(code="not_found", detail="No.", payment_id="p"),
        {"type": "error", "code": "not_found", "detail": "No.", "payment_id": "p"},
    ),
]


@pytest.mark.parametrize(("frame", "expected"), FRAMES, ids=lambda value: type(value).__name__)
def test_a_frame_has_exactly_its_fields(frame: wire.Shape, expected: dict[str, Any]) -> None:
    """Each frame of the feed has the contract's fields and nothing else."""
    assert decoded(frame) == expected


def test_a_page_has_exactly_its_fields() -> None:
    """A page has messages, seq, epoch and has_more."""
    page = wire.MessagePage(messages=[MESSAGE], seq=9, epoch="e", has_more=False)
    assert decoded(page) == {"messages": [decoded(MESSAGE)], "seq": 9, "epoch": "e", "has_more": False}


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_a_frame_is_what_the_library_writes(size: int) -> None:
    """A text of any size is framed as websockets would frame it."""
    text = b"x" * size
    assert encode_text(text) == Frame(Opcode.TEXT, text).serialize(mask=False)


@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    author=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    amount=st.integers(1, 2**53),
    posted_at=st.datetimes(timezones=st.just(UTC)),
    pinned_until=st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_a_post_is_encoded_as_its_shape_is(**columns: Any) -> None:
    """The quick way to encode a post gives the same bytes as its documented shape, for every text and time."""
    row = message_row(**columns)
    assert wire.encode_posted(9, row) == wire.MessagePosted(seq=9, message=wire.Message.of(row)).encode()


@pytest.mark.parametrize("text", ["Hi", '"now":', 'a", "now":"b', '\\"now":', "\\"])
def test_the_time_is_put_into_what_was_encoded(text: str) -> None:
    """JSON that is completed with another time is that of the shape with this time, whatever its texts say."""
    first, later = NOW, NOW.replace(microsecond=0) + timedelta(days=1)
    message = wire.Message.of(message_row(text=text))
    made, expected = (
        wire.PinnedPage(messages=[message], seq=9, epoch="e", has_more=False, now=now) for now in (first, later)
    )
    assert wire.with_now(wire.without_now(made), later) == expected.encode()
