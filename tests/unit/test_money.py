"""Money and durations in words: the server's documents say what the page's script says."""

import json
from pathlib import Path

from paidchat.pages.formats import duration
from paidchat.pages.money import format_price
from paidchat.pricing import CURRENCIES

# The page's tests read it too (tests/frontend/format.test.js).
SUPPORT = Path(__file__).parents[1] / "support"
CASES = json.loads((SUPPORT / "money_cases.json").read_text())
DURATIONS = json.loads((SUPPORT / "durations.json").read_text())


def test_amounts_are_written_as_on_the_page() -> None:
    """Every currency that Stripe charges in is written as `Intl.NumberFormat` writes it in English."""
    assert {case["currency"] for case in CASES} == CURRENCIES
    written = [{**case, "text": format_price(case["amount"], case["currency"])} for case in CASES]
    assert written == CASES


def test_amounts_are_written_as_on_a_german_page() -> None:
    """The same in German, where the currency stands behind."""
    written = [{**case, "german": format_price(case["amount"], case["currency"], "de")} for case in CASES]
    assert written == CASES


def test_durations_are_written_as_on_the_page() -> None:
    """How long a message is pinned is written as `Intl.NumberFormat` writes it, in both languages."""
    written = [
        {"seconds": seconds, "text": duration(seconds, "en"), "german": duration(seconds, "de")}
        for seconds in (case["seconds"] for case in DURATIONS)
    ]
    assert written == DURATIONS
