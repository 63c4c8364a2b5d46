"""The objects of the sandbox's account: account, webhook endpoint, tax settings."""

from paidchat.sandbox.shapes import NO_ADDRESS, Json

API_VERSION = "2026-10-28.endive"
"""The account's default API version, used if a call names none."""

SUBSCRIBED = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.closed",
)
"""The events that the account's one webhook endpoint gets; other events are recorded but not delivered."""

_CREATED = 1_700_000_000
_ACCOUNT_ID = "acct_1SandboxOnly0000000"
_ENDPOINT_ID = "we_1SandboxOnly00000000000000"


def webhook_endpoint(url: str) -> Json:
    """Return the account's only webhook endpoint."""
    return {
        "id": _ENDPOINT_ID,
        "object": "webhook_endpoint",
        "api_version": API_VERSION,
        "application": None,
        "created": _CREATED,
        "description": "Everything the board needs to know",
        "enabled_events": list(SUBSCRIBED),
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        "url": url,
    }


def tax_settings(*, head_office: bool) -> Json:
    """Return the tax settings; without a head office they are `pending`, and tax cannot be calculated."""
    office = {"address": NO_ADDRESS | {"country": "US", "state": "CA"}} if head_office else None
    active: Json = {"active": {}}
    pending: Json = {"pending": {"missing_fields": ["head_office"]}}
    return {
        "object": "tax.settings",
        "defaults": {"provider": "stripe", "tax_behavior": "exclusive", "tax_code": "txcd_10000000"},
        "head_office": office,
        "livemode": False,
        "status": "active" if head_office else "pending",
        "status_details": active if head_office else pending,
    }


def account() -> Json:
    """Return the account itself."""
    requirements: Json = {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": [],
        "disabled_reason": None,
        "errors": [],
        "eventually_due": [],
        "past_due": [],
        "pending_verification": [],
    }
    return {
        "id": _ACCOUNT_ID,
        "object": "account",
        "business_profile": {
            "annual_revenue": None,
            "estimated_worker_count": None,
            "mcc": None,
            "minority_owned_business_designation": None,
            "name": "Sandbox",
            "product_description": None,
            "support_address": None,
            "support_email": None,
            "support_phone": None,
            "support_url": None,
            "url": None,
        },
        "business_type": None,
        "capabilities": {"card_payments": "active", "us_bank_account_ach_payments": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "US",
        "created": _CREATED,
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/accounts/{_ACCOUNT_ID}/external_accounts",
        },
        "future_requirements": requirements,
        "metadata": {},
        "payouts_enabled": True,
        "requirements": requirements,
        "settings": _account_settings(),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": "standard",
    }


def _account_settings() -> Json:
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": "Sandbox", "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": None},
        "payments": {
            "statement_descriptor": None,
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "payouts": {
            "debit_negative_balances": False,
            "schedule": {"delay_days": 2, "interval": "daily"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }
