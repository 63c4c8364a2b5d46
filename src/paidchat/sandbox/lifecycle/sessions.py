"""Checkout sessions: creating them from the API's parameters, and expiring them."""

import re
from urllib.parse import urlsplit

from paidchat.sandbox import errors
from paidchat.sandbox.api.parameters import Array, Boolean, Integer, Metadata, Record, Text, not_offered
from paidchat.sandbox.delivery.events import BY_ITSELF, Cause
from paidchat.sandbox.errors import ApiError, StateError
from paidchat.sandbox.lifecycle.state import State
from paidchat.sandbox.money import MINIMUM, MULTIPLE_OF, is_currency
from paidchat.sandbox.objects.checkout import checkout_session, line_item, product
from paidchat.sandbox.parts import Parts
from paidchat.sandbox.shapes import Json
from paidchat.sandbox.tax import load_tax

_SHORTEST_LIFE_S = 30 * 60
_LONGEST_LIFE_S = 24 * 3600
_TRAVEL_S = 10  # tolerance, because a request for exactly the limit takes time to arrive
_MOST_AMOUNT = 99_999_999
_METHODS = ("card", "us_bank_account")

_URL = Text()
_ENABLED = Record({"enabled": Boolean()})
_MESSAGE = Record({"message": Text(longest=1200)})

_PRODUCT = Record(
    {
        "description": Text(),
        "images": Array(of=Text(), most=8),
        "metadata": Metadata(),
        "name": Text(),
        "tax_code": Text(),
        "unit_label": Text(),
        **not_offered("tax_details"),
    },
    required=("name",),
)

_PRICE = Record(
    {
        "currency": Text(longest=3),
        "product_data": _PRODUCT,
        "tax_behavior": Text(choices=("exclusive", "inclusive", "unspecified")),
        "unit_amount": Integer(least=0, most=_MOST_AMOUNT),
        **not_offered("product", "recurring", "unit_amount_decimal"),
    },
    required=("currency", "product_data", "unit_amount"),
)

_LINE = Record(
    {
        "metadata": Metadata(),
        "price_data": _PRICE,
        "quantity": Integer(least=1, most=999_999),
        **not_offered("adjustable_quantity", "price", "tax_rates"),
    },
    required=("price_data",),
)

_INTENT_DATA = Record(
    {
        "capture_method": Text(choices=("automatic", "automatic_async")),
        "description": Text(),
        "metadata": Metadata(),
        "receipt_email": Text(longest=512),
        "statement_descriptor": Text(longest=22),
        "statement_descriptor_suffix": Text(longest=22),
        "transfer_group": Text(),
        **not_offered("application_fee_amount", "on_behalf_of", "setup_future_usage", "shipping", "transfer_data"),
    }
)

CREATE = Record(
    {
        "adaptive_pricing": _ENABLED,
        "allow_promotion_codes": Boolean(),
        "allowed_payment_method_types": Array(of=Text()),
        "automatic_tax": Record(
            {"enabled": Boolean(), "liability": Record({"type": Text(choices=("self",))})},
            required=("enabled",),
        ),
        "billing_address_collection": Text(choices=("auto", "required")),
        "cancel_url": _URL,
        "client_reference_id": Text(longest=200),
        "custom_text": Record(
            {
                "after_submit": _MESSAGE,
                "shipping_address": _MESSAGE,
                "submit": _MESSAGE,
                "terms_of_service_acceptance": _MESSAGE,
            }
        ),
        "customer_creation": Text(choices=("if_required",)),
        "customer_email": Text(longest=800),
        "excluded_payment_method_types": Array(of=Text()),
        "expand": Array(of=Text(), most=20),
        "expires_at": Integer(),
        "integration_identifier": Text(longest=100),
        "line_items": Array(of=_LINE),
        "locale": Text(longest=10),
        "managed_payments": Record({"enabled": Boolean()}),
        "metadata": Metadata(),
        "mode": Text(choices=("payment", "setup", "subscription")),
        "origin_context": Text(choices=("mobile_app", "web")),
        "payment_intent_data": _INTENT_DATA,
        "submit_type": Text(choices=("auto", "book", "donate", "pay", "subscribe")),
        "success_url": _URL,
        "ui_mode": Text(choices=("elements", "embedded_page", "form", "hosted_page")),
        **not_offered(
            "after_expiration",
            "branding_settings",
            "consent_collection",
            "currency",
            "custom_fields",
            "customer",
            "customer_account",
            "customer_update",
            "discounts",
            "invoice_creation",
            "name_collection",
            "optional_items",
            "payment_method_collection",
            "payment_method_configuration",
            "payment_method_data",
            "payment_method_options",
            "permissions",
            "phone_number_collection",
            "redirect_on_completion",
            "return_url",
            "saved_payment_method_options",
            "setup_intent_data",
            "shipping_address_collection",
            "shipping_options",
            "subscription_data",
            "tax_id_collection",
            "wallet_options",
        ),
    },
    required=("mode",),
)


def create_session(parts: Parts, params: Json, api_version: str) -> Json:
    """Create an open session from decoded parameters and return it.

    Raises:
        ApiError: Parameters that Stripe would refuse, or that the sandbox does not support.
    """
    given = CREATE.read(params)
    now = parts.clock.stamp()
    _check_mode(given)
    _check_urls(given)
    _check_lines(given)
    _check_tax(parts, given)
    given["expires_at"] = _expiry(given, now)
    given["payment_method_types"] = _methods(given)
    products = [product(line["price_data"]["product_data"], created=now) for line in given["line_items"]]
    lines = [line_item(line, made["id"], created=now) for line, made in zip(given["line_items"], products, strict=True)]
    session = checkout_session(given, created=now, public_url=parts.settings.public_url, lines=lines)
    _check_total(session)
    private = {"lines": lines, "intent": given.get("payment_intent_data", {}), "api_version": api_version}
    due = session["expires_at"] + parts.clock.advance_s
    parts.store.insert(session, session=session["id"], private=private, due=due)
    for made in products:
        parts.store.insert(made, session=session["id"])
    return session


def expirable(state: State) -> Json:
    """Return the session if it can be expired.

    Raises:
        StateError: It is not open.
    """
    if state.session["status"] != "open":
        message = f"Only open Checkout Sessions can be expired; this one is {state.session['status']}."
        raise StateError(message)
    return state.session


def expire_session(parts: Parts, session_id: str, cause: Cause = BY_ITSELF) -> Json:
    """Expire an open session; its payment intent, if the buyer had started to pay, is cancelled."""
    session = expirable(State(parts, session_id))
    with parts.store.transaction():
        session |= {"status": "expired", "url": None}
        parts.store.save(session)
        parts.store.set_due(session_id, None)
        if session["payment_intent"]:
            _cancel_intent(parts, session, cause)
        parts.events.record("checkout.session.expired", session, session=session_id, cause=cause)
    return session


def _cancel_intent(parts: Parts, session: Json, cause: Cause) -> None:
    intent = parts.store.get("payment_intent", session["payment_intent"])
    if intent is None:
        return
    intent |= {
        "status": "canceled",
        "canceled_at": parts.clock.stamp(),
        "cancellation_reason": "automatic",
    }
    parts.store.save(intent)
    parts.events.record("payment_intent.canceled", intent, session=session["id"], cause=cause)


def _check_mode(given: Json) -> None:
    if given["mode"] != "payment":
        raise errors.invalid("mode", f"The sandbox does not support the mode {given['mode']}.")
    if given.get("ui_mode", "hosted_page") != "hosted_page":
        raise errors.invalid("ui_mode", f"The sandbox does not support the ui_mode {given['ui_mode']}.")
    if given.get("managed_payments", {}).get("enabled"):
        raise errors.not_offered("managed_payments[enabled]")


def _check_urls(given: Json) -> None:
    if "success_url" not in given:
        raise errors.missing("success_url")
    for name in ("success_url", "cancel_url"):
        url = given.get(name)
        if url is not None and not _is_url(url):
            raise errors.invalid(name, "Not a valid URL", "url_invalid")


def _is_url(url: str) -> bool:
    try:
        split = urlsplit(url)
    except ValueError:
        return False
    return split.scheme in ("http", "https") and bool(split.hostname) and not re.search(r"[\s\x00-\x1f]", url)


def _check_lines(given: Json) -> None:
    lines = given.get("line_items")
    if not lines:
        raise errors.missing("line_items")
    for index, line in enumerate(lines):
        currency = line["price_data"]["currency"].lower()
        line["price_data"]["currency"] = currency
        param = f"line_items[{index}][price_data][currency]"
        if not is_currency(currency):
            raise errors.invalid(param, f"Invalid currency: {currency}.")
        if currency != lines[0]["price_data"]["currency"]:
            raise errors.invalid(param, "All prices of a session must have the same currency.")
        step = MULTIPLE_OF.get(currency, 1)
        if line["price_data"]["unit_amount"] % step:
            message = f"Invalid amount for {currency}: it must be evenly divisible by {step}."
            raise errors.invalid(f"line_items[{index}][price_data][unit_amount]", message)


def _check_tax(parts: Parts, given: Json) -> None:
    if given.get("automatic_tax", {}).get("enabled") and not load_tax(parts.store).head_office:
        message = "You must have a valid head office address to enable automatic tax calculation in test mode."
        raise errors.invalid("automatic_tax", message, "stripe_tax_inactive")


def _check_total(session: Json) -> None:
    total, currency = session["amount_total"], session["currency"]
    if total < MINIMUM.get(currency, 1):
        message = f"The Checkout Session's total must come to at least 50 cents; it is {total} {currency}."
        raise ApiError(message, code="amount_too_small", param="line_items")
    if total > _MOST_AMOUNT:
        raise ApiError(
            f"The Checkout Session's total amount must be no more than {_MOST_AMOUNT} {currency}.",
            code="amount_too_large",
            param="line_items",
        )


def _expiry(given: Json, now: int) -> int:
    expires_at: int = given.get("expires_at", now + _LONGEST_LIFE_S)
    if expires_at < now + _SHORTEST_LIFE_S - _TRAVEL_S:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise errors.invalid("expires_at", message)
    if expires_at > now + _LONGEST_LIFE_S + _TRAVEL_S:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise errors.invalid("expires_at", message)
    return expires_at


def _methods(given: Json) -> list[str]:
    allowed = given.get("allowed_payment_method_types", _METHODS)
    excluded = given.get("excluded_payment_method_types", ())
    methods = [method for method in _METHODS if method in allowed and method not in excluded]
    if not methods:
        raise errors.invalid("allowed_payment_method_types", "The sandbox supports none of these payment methods.")
    return methods
