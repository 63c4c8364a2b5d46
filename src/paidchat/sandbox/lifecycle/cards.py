"""Stripe's test card numbers (docs.stripe.com/testing), and whether each pays or is declined."""

from paidchat.sandbox.objects.payment import Decline

GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
POOR_CARD = "4000000000009995"

GOOD_CARDS = frozenset({GOOD_CARD, "4000056655665556", "5555555555554444", "378282246310005"})

DECLINES = {
    DECLINED_CARD: Decline("card_declined", "generic_decline", "Your card was declined."),
    POOR_CARD: Decline("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    "4000000000009987": Decline("card_declined", "lost_card", "Your card was declined."),
    "4000000000000069": Decline("expired_card", None, "Your card has expired."),
    "4000000000000127": Decline("incorrect_cvc", None, "Your card's security code is incorrect."),
    "4000000000000119": Decline("processing_error", None, "An error occurred while processing your card."),
}

_NOT_A_TEST_CARD = Decline(
    "card_declined",
    "test_mode_live_card",
    "Your card was declined: only test cards work here. Never enter a real card.",
)
BANK_REFUSED = Decline("payment_intent_payment_attempt_failed", None, "The bank declined the debit.")

_SHORTEST, _LONGEST = 12, 19


class InvalidCardNumberError(ValueError):
    """Not a card number: wrong length, characters or check digit."""


def card_digits(number: str) -> str:
    """Return a card number without its spaces and dashes.

    Raises:
        InvalidCardNumberError: It is not a card number.
    """
    digits = number.replace(" ", "").replace("-", "")
    if not (digits.isascii() and digits.isdigit() and _SHORTEST <= len(digits) <= _LONGEST and _luhn(digits)):
        raise InvalidCardNumberError("Your card number is invalid.")
    return digits


def decline_of(digits: str) -> Decline | None:
    """Return why a card is declined, or None if it pays."""
    if digits in GOOD_CARDS:
        return None
    return DECLINES.get(digits, _NOT_A_TEST_CARD)


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0
