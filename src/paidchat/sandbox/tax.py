"""Automatic tax: the account's head-office setting, the rate, and the tax on an amount."""

from dataclasses import dataclass
from typing import Any

from paidchat.sandbox.store import Store

_SETTING = "tax"


@dataclass(frozen=True)
class Tax:
    """The account's tax settings; without a head office tax cannot be calculated. The rate is in percent."""

    head_office: bool = False
    rate_percent: float = 10.0

    def on(self, amount: int, behavior: str) -> int:
        """Return the tax on an amount, in the same minor unit, rounded half up.

        Inclusive tax is part of `amount`; exclusive tax is added to it.
        """
        rate = self.rate_percent / 100
        exact = amount - amount / (1 + rate) if behavior == "inclusive" else amount * rate
        return int(exact + 0.5)


def load_tax(store: Store) -> Tax:
    """Return the current settings."""
    return Tax(**store.setting(_SETTING, {}))


def save_tax(store: Store, tax: Tax) -> None:
    """Store new settings."""
    store.set_setting(_SETTING, {"head_office": tax.head_office, "rate_percent": tax.rate_percent})


def apply_tax(session: dict[str, Any], lines: list[dict[str, Any]], tax: Tax) -> None:
    """Add tax to a session and its lines in place, as Stripe does once the buyer's address is known.

    A price with unspecified behaviour uses the account's default, exclusive.
    """
    if not session["automatic_tax"]["enabled"]:
        return
    for line in lines:
        behavior = line["price"]["tax_behavior"]
        line["amount_tax"] = tax.on(line["amount_subtotal"], behavior)
        on_top = 0 if behavior == "inclusive" else line["amount_tax"]
        line["amount_total"] = line["amount_subtotal"] + on_top
    session["amount_total"] = sum(line["amount_total"] for line in lines)
    session["total_details"]["amount_tax"] = sum(line["amount_tax"] for line in lines)
    session["automatic_tax"]["status"] = "complete"
