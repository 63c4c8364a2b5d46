"""Parameters of a Checkout Session: stored with the payment before the request, and sent exactly as stored.

See docs.stripe.com/api/checkout/sessions/create. No other module reads them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from paidchat.excerpt import excerpt
from paidchat.pricing import Price
from paidchat.settings import Settings
from paidchat.stripe.events import BOARD_METADATA_KEY, PAYMENT_METADATA_KEY, PINNED_METADATA_KEY

LONGEST_DESCRIPTION: Final = 200  # characters; Stripe takes 40,000, but a buyer is to see the whole page


def session_params(
    settings: Settings,
    payment_id: str,
    board_tag: str,
    text: str,
    price: Price,
    expires_at: datetime,
    *,
    pinned_seconds: int = 0,
) -> dict[str, object]:
    """Return the parameters of a payment's Checkout Session.

    Stripe's page shows the beginning of the message's text below the product's name.

    URLs come from the settings only, since anyone can send any Host header. The metadata says how long the message is
    to be pinned, so that a payment that is lost with the database can be adopted as it was promised.
    """
    tags = {PAYMENT_METADATA_KEY: payment_id, BOARD_METADATA_KEY: board_tag}
    if pinned_seconds:
        tags[PINNED_METADATA_KEY] = str(pinned_seconds)
    price_data: dict[str, object] = {
        "currency": price.currency,
        "unit_amount": price.amount,
        "product_data": {"name": settings.product_name, "description": excerpt(text, LONGEST_DESCRIPTION)},
    }
    params: dict[str, object] = {
        "mode": "payment",
        "ui_mode": "hosted_page",
        "client_reference_id": payment_id,
        "metadata": tags,
        "payment_intent_data": {"metadata": tags},
        "line_items": [{"quantity": 1, "price_data": price_data}],
        "expires_at": int(expires_at.timestamp()),
        "success_url": f"{settings.page_url}/?payment={payment_id}",
        "cancel_url": f"{settings.page_url}/?cancelled={payment_id}",
        # Either would make the amount differ from the price.
        "adaptive_pricing": {"enabled": False},
        "allow_promotion_codes": False,
    }
    if price.taxed:
        params["automatic_tax"] = {"enabled": True}
        price_data["tax_behavior"] = settings.automatic_tax
    return params


def expiry_of(params: Mapping[str, object]) -> datetime:
    """Return the expiry in a session's parameters, by Stripe's clock."""
    expires_at = params["expires_at"]
    assert isinstance(expires_at, int)  # noqa: S101 - `session_params` made them
    return datetime.fromtimestamp(expires_at, UTC)


def with_expiry(params: Mapping[str, object], expires_at: datetime) -> dict[str, object]:
    """Return the parameters with another expiry."""
    return {**params, "expires_at": int(expires_at.timestamp())}


def taxed_params(*, taxed: bool) -> dict[str, object]:
    """Return parameters for a session that we did not create: they only say whether Stripe calculates tax."""
    return {"automatic_tax": {"enabled": True}} if taxed else {}
