"""Currencies: the board refuses to start with prices that the sandbox, like Stripe, would refuse."""

import pytest

from paidchat import pricing
from paidchat.sandbox import money


@pytest.mark.parametrize("currency", sorted(pricing.CURRENCIES))
def test_the_board_and_the_sandbox_know_the_same_rules(currency: str) -> None:
    """Each of Stripe's currencies has the same minimum charge and the same fractions on both sides."""
    assert money.is_currency(currency)
    assert money.MINIMUM.get(currency) == pricing.MINIMUM.get(currency)
    assert money.MULTIPLE_OF.get(currency) == pricing.MULTIPLE_OF.get(currency)


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [(1, "usd", "at least 50"), (100_000_000, "usd", "at most 99999999"), (0, "vnd", "at least 1"), (5, "zzz", "zzz")],
)
def test_an_amount_that_stripe_would_refuse_is_said(amount: int, currency: str, words: str) -> None:
    """An invalid amount is explained in a sentence."""
    assert words in str(pricing.problem(amount, currency))


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [(1990, "kwd", "1.990 KWD"), (500, "ugx", "5.00 UGX"), (100, "jpy", "¥100"), (1234567, "usd", "$12,345.67")],
)
def test_the_sandbox_writes_amounts_as_people_do(amount: int, currency: str, words: str) -> None:
    """An amount in minor units is shown with its currency's decimals."""
    assert money.in_words(amount, currency) == words
