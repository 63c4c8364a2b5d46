"""Complete objects: every field that Stripe documents is there, with a value of the right type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench, Receiver
    from tests.support.shapes import Json


# The fields of Stripe's published sample objects, API 2026-10-28 (github.com/stripe/openapi).
FIELDS = {
    "checkout.session": """
        adaptive_pricing after_expiration allow_promotion_codes amount_subtotal amount_total
        automatic_tax billing_address_collection cancel_url client_reference_id client_secret
        collected_information consent consent_collection created currency currency_conversion
        custom_fields custom_text customer customer_account customer_creation customer_details
        customer_email discounts expires_at id integration_identifier invoice invoice_creation
        livemode locale managed_payments metadata mode object origin_context payment_intent
        payment_link payment_method_collection payment_method_configuration_details
        payment_method_options payment_method_types payment_status permissions
        phone_number_collection recovered_from saved_payment_method_options setup_intent
        shipping_address_collection shipping_cost shipping_options status submit_type
        subscription success_url total_details ui_mode url wallet_options
    """,
    "payment_intent": """
        amount amount_capturable amount_details amount_received application
        application_fee_amount automatic_payment_methods canceled_at cancellation_reason
        capture_method client_secret confirmation_method created currency customer
        customer_account description excluded_payment_method_types id last_payment_error
        latest_charge livemode managed_payments metadata next_action object on_behalf_of
        payment_method payment_method_configuration_details payment_method_options
        payment_method_types processing receipt_email review setup_future_usage shipping source
        statement_descriptor statement_descriptor_suffix status transfer_data transfer_group
    """,
    "charge": """
        amount amount_captured amount_refunded application application_fee
        application_fee_amount balance_transaction billing_details
        calculated_statement_descriptor captured created currency customer description disputed
        failure_balance_transaction failure_code failure_message fraud_details id livemode
        metadata object on_behalf_of outcome paid payment_intent payment_method
        payment_method_details receipt_email receipt_number receipt_url refunded refunds review
        shipping source source_transfer statement_descriptor statement_descriptor_suffix status
        transfer_data transfer_group
    """,
    "refund": """
        amount balance_transaction charge created currency customer customer_account
        destination_details id metadata object payment_intent payment_method reason
        receipt_number source_transfer_reversal status transfer_reversal
    """,
    "dispute": """
        amount balance_transactions charge created currency enhanced_eligibility_types evidence
        evidence_details id is_charge_refundable livemode metadata object payment_intent
        payment_method_details reason status
    """,
    "event": """
        api_version created data id livemode object pending_webhooks request type
    """,
    "item": """
        adjustable_quantity amount_discount amount_subtotal amount_tax amount_total currency
        description id metadata object price quantity
    """,
    "price": """
        active billing_scheme created currency custom_unit_amount id livemode lookup_key
        metadata nickname object product recurring tax_behavior tiers_mode transform_quantity
        type unit_amount unit_amount_decimal
    """,
    "product": """
        active created default_price description id images livemode marketing_features metadata
        name object package_dimensions shippable statement_descriptor tax_code tax_details type
        unit_label updated url
    """,
    "webhook_endpoint": """
        api_version application created description enabled_events id livemode metadata object
        status url
    """,
    "tax.settings": """
        defaults head_office livemode object status status_details
    """,
    "account": """
        business_profile business_type capabilities charges_enabled controller country created
        default_currency details_submitted email external_accounts future_requirements id
        metadata object payouts_enabled requirements settings tos_acceptance type
    """,
}


def names(kind: str) -> set[str]:
    """Return the names of an object's fields."""
    return set(FIELDS[kind].split())


async def test_every_object_is_whole(bench: Bench, receiver: Receiver) -> None:
    """Each kind of object that the API returns has every documented field, and nulls only where Stripe has them."""
    created = await bench.create()
    await bench.do(created.id, "pay")
    await bench.do(created.id, "refund_partial")
    await bench.do(created.id, "dispute")
    receiver.wait_for("charge.dispute.created")
    session = await bench.session(created.id, "payment_intent.latest_charge", "line_items.data.price.product")
    answers = {
        "checkout.session": session,
        "payment_intent": session["payment_intent"],
        "charge": session["payment_intent"]["latest_charge"],
        "item": session["line_items"]["data"][0],
        "price": session["line_items"]["data"][0]["price"],
        "product": session["line_items"]["data"][0]["price"]["product"],
        "refund": await _first(bench, "/refunds"),
        "dispute": await _first(bench, "/disputes"),
        "event": receiver.arrivals[0].event,
        "webhook_endpoint": await _first(bench, "/webhook_endpoints"),
        "tax.settings": (await bench.raw("GET", "/tax/settings")).json(),
        "account": (await bench.raw("GET", "/account")).json(),
    }
    assert set(answers) == set(FIELDS)
    for kind, answer in answers.items():
        assert answer["object"] == kind
        assert names(kind) <= set(answer), (kind, names(kind) - set(answer))
        never_null = {"id", "object", "created", "livemode", "status", "amount", "currency", "metadata"}
        assert not [name for name in never_null & names(kind) if answer[name] is None], kind


async def test_events_snapshot_their_object(bench: Bench, receiver: Receiver) -> None:
    """An event has the object as it was then, the caller's API version, and the number of pending webhooks."""
    receiver.answer = lambda _event: 500
    price = "line_items[0][price_data]"
    body = {
        "mode": "payment",
        "success_url": "http://board.example/",
        f"{price}[currency]": "usd",
        f"{price}[unit_amount]": "100",
        f"{price}[product_data][name]": "A message",
    }
    headers = {"Stripe-Version": "2025-03-31.basil"}
    created = await bench.raw("POST", "/checkout/sessions", data=body, headers=headers)
    assert created.headers["stripe-version"] == "2025-03-31.basil"
    session_id = created.json()["id"]
    await bench.do(session_id, "pay_later")
    await bench.do(session_id, "settle")
    event = receiver.of("checkout.session.completed")[0].event
    assert event["data"]["object"]["payment_status"] == "unpaid"
    assert event["api_version"] == "2025-03-31.basil"
    assert event["pending_webhooks"] == 1
    assert event["request"] == {"id": None, "idempotency_key": None}
    stored = await bench.stripe.v1.events.retrieve_async(event["id"])
    assert json.loads(json.dumps(stored.to_dict())) == event
    receiver.answer = lambda _event: 200
    await bench.delivered(event["id"])


async def _first(bench: Bench, path: str) -> Json:
    answer: Json = (await bench.raw("GET", path)).json()["data"][0]
    return answer
