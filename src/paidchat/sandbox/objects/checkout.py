"""The objects of a checkout session as the API returns them: session, line item, price, product."""

from paidchat.sandbox.ids import new_id
from paidchat.sandbox.shapes import NO_ADDRESS, Json

_ECHOED = {
    "after_expiration": None,
    "allow_promotion_codes": None,
    "allowed_payment_method_types": None,
    "billing_address_collection": None,
    "cancel_url": None,
    "client_reference_id": None,
    "consent_collection": None,
    "customer_creation": "if_required",
    "customer_email": None,
    "excluded_payment_method_types": None,
    "integration_identifier": None,
    "locale": None,
    "origin_context": None,
    "payment_method_collection": "if_required",
    "submit_type": None,
    "success_url": None,
}
"""Parameters that are returned on the session unchanged, with their defaults."""

_SENTENCES = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
"""The four places where a merchant may add one, in `custom_text`."""


def checkout_session(params: Json, *, created: int, public_url: str, lines: list[Json]) -> Json:
    """Return a new, open session; `params` are the checked parameters of its creation.

    Amounts are the lines' totals, in the currency's minor unit, tax not yet known.
    """
    session_id = new_id("cs_test_")
    subtotal = sum(line["amount_subtotal"] for line in lines)
    email = params.get("customer_email")
    session: Json = {
        "id": session_id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": params.get("adaptive_pricing", {}).get("enabled", False)},
        "amount_subtotal": subtotal,
        "amount_total": subtotal,
        "automatic_tax": _automatic_tax(params),
        "branding_settings": params.get("branding_settings"),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "created": created,
        "currency": lines[0]["currency"],
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": dict.fromkeys(_SENTENCES) | params.get("custom_text", {}),
        "customer": None,
        "customer_account": None,
        "customer_details": customer_details(email) if email else None,
        "discounts": [],
        "expires_at": params["expires_at"],
        "invoice": None,
        "invoice_creation": _invoice_creation(),
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": params.get("metadata", {}),
        "mode": params["mode"],
        "name_collection": None,
        "optional_items": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": params.get("payment_method_types", ["card", "us_bank_account"]),
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "presentment_details": None,
        "recovered_from": None,
        "redirect_on_completion": None,
        "return_url": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "subscription": None,
        "tax_id_collection": {"enabled": False, "required": "never"},
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": params.get("ui_mode", "hosted_page"),
        "url": f"{public_url}/pay/{session_id}",
        "wallet_options": None,
    }
    return session | {name: params.get(name, default) for name, default in _ECHOED.items()}


def customer_details(email: str | None, *, country: str | None = None) -> Json:
    """Return what is known about the buyer; the address is only known once the buyer has completed the page."""
    return {
        "address": NO_ADDRESS | {"country": country} if country else None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": None,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [] if country else None,
    }


def line_item(params: Json, product_id: str, *, created: int) -> Json:
    """Return one line of a session, tax not yet known; `params` is one element of `line_items`.

    Its description is the product's name; the product has its own.
    """
    price_data = params["price_data"]
    quantity = params.get("quantity", 1)
    amount = price_data["unit_amount"] * quantity
    return {
        "id": new_id("li_"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price_data["currency"],
        "description": price_data["product_data"]["name"],
        "metadata": params.get("metadata", {}),
        "price": _price(price_data, product_id, created=created),
        "quantity": quantity,
    }


def product(params: Json, *, created: int) -> Json:
    """Return the product of a line; `params` is its `product_data`."""
    return {
        "id": new_id("prod_"),
        "object": "product",
        "active": False,  # as its price
        "created": created,
        "default_price": None,
        "description": params.get("description"),
        "images": params.get("images", []),
        "livemode": False,
        "marketing_features": [],
        "metadata": params.get("metadata", {}),
        "name": params["name"],
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": params.get("tax_code"),
        "tax_details": None,
        "type": "service",
        "unit_label": params.get("unit_label"),
        "updated": created,
        "url": None,
    }


def _price(price_data: Json, product_id: str, *, created: int) -> Json:
    return {
        "id": new_id("price_"),
        "object": "price",
        "active": False,  # an inline price cannot be used for another session
        "billing_scheme": "per_unit",
        "created": created,
        "currency": price_data["currency"],
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product_id,
        "recurring": None,
        "tax_behavior": price_data.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": price_data["unit_amount"],
        "unit_amount_decimal": str(price_data["unit_amount"]),
    }


def _automatic_tax(params: Json) -> Json:
    enabled = params.get("automatic_tax", {}).get("enabled", False)
    return {
        "enabled": enabled,
        "liability": {"type": "self"} if enabled else None,
        "provider": "stripe" if enabled else None,
        "status": "requires_location_inputs" if enabled else None,
    }


def _invoice_creation() -> Json:
    return {
        "enabled": False,
        "invoice_data": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": None,
            "metadata": {},
            "rendering_options": None,
        },
    }
