"""When a session's amounts match our price exactly."""

import pytest

from paidchat.domain import SessionFact, amount_matches
from paidchat.pricing import Price


def asked(subtotal: int | None, total: int | None, currency: str | None) -> SessionFact:
    """What Stripe reports about a paid session with these amounts."""
    return SessionFact(
        session_id="cs_1",
        fact=None,
        payment_status="paid",
        payment_id="p",
        board_tag="b",
        payment_intent="pi_1",
        amount_subtotal=subtotal,
        amount_total=total,
        currency=currency,
        livemode=False,
    )


@pytest.mark.parametrize(
    ("subtotal", "total", "currency", "taxed"),
    [(100, 100, "usd", False), (100, 100, "usd", True), (100, 119, "usd", True)],
)
def test_our_price_matches(subtotal: int, total: int, currency: str, taxed: bool) -> None:
    """The subtotal must be our price; a higher total is tax, and only allowed if tax is on."""
    assert amount_matches(asked(subtotal, total, currency), Price(amount=100, currency="usd", taxed=taxed))


@pytest.mark.parametrize(
    ("subtotal", "total", "currency", "taxed"),
    [
        (99, 99, "usd", False),
        (101, 101, "usd", False),
        (1, 100, "usd", False),
        (100, 99, "usd", False),
        (100, 119, "usd", False),
        (100, 0, "usd", True),
        (99, 119, "usd", True),
        (100, 100, "eur", False),
        (100, 100, "USD", False),
        (None, 100, "usd", False),
        (100, None, "usd", True),
        (100, 100, None, False),
        (10000, 10000, "jpy", False),
    ],
)
def test_anything_else_does_not(subtotal: int | None, total: int | None, currency: str | None, taxed: bool) -> None:
    """A lower or higher amount, another currency or no amount does not match our price."""
    assert not amount_matches(asked(subtotal, total, currency), Price(amount=100, currency="usd", taxed=taxed))
