"""Foreign sales: objects of another application on the same account, for events that are not ours."""

import secrets

from paidchat.sandbox.ids import new_id
from paidchat.sandbox.objects.checkout import checkout_session, customer_details, line_item
from paidchat.sandbox.objects.payment import Method, charge, dispute, payment_intent, refund, succeeded
from paidchat.sandbox.shapes import Json
from paidchat.sandbox.store import Store

_UNPAID = ("checkout.session.expired", "checkout.session.async_payment_failed")
_METHOD = Method("card", "4242")
_EMAIL = "customer@shop.example"


def sell_elsewhere(store: Store, kind: str, *, created: int) -> tuple[str, Json]:
    """Store a sale of another application; return its session's id and the object an event `kind` is about.

    All its objects are stored, so that the API can return them.
    """
    session, intent, paid = _sale(kind, created=created)
    session_id = session["id"]
    private = {"foreign": True, "lines": [], "intent": {}}
    store.insert(session, session=session_id, private=private)
    store.insert(intent, session=session_id)
    store.insert(paid, session=session_id)
    if kind.startswith("refund."):
        about = refund(paid, {"amount": paid["amount"]}, created=created)
        about["status"] = "failed" if kind == "refund.failed" else "succeeded"
        store.insert(about, session=session_id)
    elif kind.startswith("charge.dispute."):
        about = dispute(paid, status="needs_response", created=created)
        if kind == "charge.dispute.closed":
            about["status"] = "lost"
        store.insert(about, session=session_id)
    else:
        about = paid if kind.startswith("charge.") else session
    return session_id, about


def _sale(kind: str, *, created: int) -> tuple[Json, Json, Json]:
    """Return session, intent and charge of a sale in the state that fits an event `kind`."""
    order = str(secrets.randbelow(9000) + 1000)
    price = {"currency": "usd", "unit_amount": 100, "product_data": {"name": f"Order {order}"}}
    params = {
        "mode": "payment",
        "expires_at": created + 3600,
        "success_url": "https://shop.example/thanks",
        "client_reference_id": f"order-{order}",
        "metadata": {"order_id": order},
    }
    lines = [line_item({"price_data": price}, new_id("prod_"), created=created)]
    session = checkout_session(params, created=created, public_url="", lines=lines)
    intent = payment_intent(session, {"metadata": {"order_id": order}}, created=created)
    paid = succeeded(charge(intent, _METHOD, email=_EMAIL, created=created))
    intent |= {"status": "succeeded", "amount_received": paid["amount"], "latest_charge": paid["id"]}
    if kind == "charge.refunded" or kind.startswith("refund."):
        paid |= {"refunded": True, "amount_refunded": paid["amount"]}
    paid["disputed"] = kind.startswith("charge.dispute.")
    session |= {
        "status": "expired" if kind == "checkout.session.expired" else "complete",
        "payment_status": "unpaid" if kind in _UNPAID else "paid",
        "payment_intent": None if kind == "checkout.session.expired" else intent["id"],
        "customer_details": customer_details(_EMAIL, country="US"),
        "url": None,
    }
    return session, intent, paid
