"""Refunds: they succeed at once for cards, after days for bank debits, and sometimes fail."""

from typing import Any

from paidchat.sandbox import errors
from paidchat.sandbox.api.parameters import Array, Boolean, Integer, Metadata, NotOffered, Record, Text
from paidchat.sandbox.delivery.events import BY_ITSELF, Cause
from paidchat.sandbox.errors import ApiError, ExecutionError, StateError
from paidchat.sandbox.lifecycle.sessions import find_session
from paidchat.sandbox.money import in_words
from paidchat.sandbox.objects.payment import refund
from paidchat.sandbox.parts import Parts

Json = dict[str, Any]

_LIVE = ("pending", "succeeded")
_BANK_REFUND_S = 5 * 24 * 3600

CREATE = Record(
    {
        "amount": Integer(least=1),
        "charge": Text(),
        "currency": NotOffered(),
        "customer": NotOffered(),
        "expand": Array(of=Text(), most=20),
        "instructions_email": Text(),
        "metadata": Metadata(),
        "origin": NotOffered(),
        "payment_intent": Text(),
        "reason": Text(choices=("duplicate", "fraudulent", "requested_by_customer")),
        "refund_application_fee": Boolean(),
        "reverse_transfer": Boolean(),
    }
)


def create_refund(parts: Parts, params: Json, cause: Cause) -> Json:
    """Refund a charge, given by its id or by its intent's, fully or partly, and return the refund.

    Raises:
        ApiError: Bad parameters, nothing to refund, more than is left, or a disputed charge.
    """
    given = CREATE.read(params)
    charge = _named_charge(parts, given)
    left = charge["amount"] - charge["amount_refunded"]
    if charge["status"] != "succeeded":
        raise ExecutionError(f"Charge {charge['id']} has not succeeded, so it cannot be refunded.")
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise ExecutionError(message, code="charge_already_refunded")
    if _chargeback(parts, charge):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise ExecutionError(message, code="charge_disputed")
    if given.setdefault("amount", left) > left:
        money = in_words(left, charge["currency"])
        message = f"Refund amount is greater than the unrefunded amount on the charge ({money})."
        raise ApiError(message, param="amount")
    return _refund(parts, charge, given, cause)


def refund_session(parts: Parts, session_id: str, *, partly: bool) -> Json:
    """Refund what is left of a session's payment, or half of that, as a merchant would in the Dashboard.

    Raises:
        StateError: There is nothing to refund.
    """
    charge = paid_charge(parts, session_id)
    left = charge["amount"] - charge["amount_refunded"]
    amount = left // 2 if partly else left
    if amount == 0:
        raise StateError("There is nothing left to refund.")
    if _chargeback(parts, charge):
        raise StateError("A disputed charge cannot be refunded.")
    return _refund(parts, charge, {"amount": amount, "reason": "requested_by_customer"}, BY_ITSELF)


def fail_refund(parts: Parts, session_id: str) -> Json:
    """Let the latest refund of a session fail: the money goes back to the account.

    If there is no refund that could fail, the payment is fully refunded first.

    Raises:
        StateError: There is nothing to refund.
    """
    charge = paid_charge(parts, session_id)
    live = [item for item in parts.store.of_session(session_id, "refund") if item["status"] in _LIVE]
    with parts.store.transaction():
        latest = live[0] if live else refund_session(parts, session_id, partly=False)
        charge = paid_charge(parts, session_id)
        before = latest["status"]
        latest |= {"status": "failed", "failure_reason": "expired_or_canceled_card"}
        charge["amount_refunded"] -= latest["amount"]
        charge["refunded"] = False
        parts.store.save(latest)
        parts.store.set_due(latest["id"], None)
        parts.store.save(charge)
        previous = {"status": before}
        parts.events.record("refund.updated", latest, session=session_id, previous=previous)
        parts.events.record("refund.failed", latest, session=session_id)
    return latest


def settle_refund(parts: Parts, refund_id: str) -> Json:
    """Let a pending refund succeed.

    Raises:
        StateError: It is not pending.
    """
    found = parts.store.get("refund", refund_id)
    if found is None or found["status"] != "pending":
        raise StateError("This refund is not pending.")
    with parts.store.transaction():
        found["status"] = "succeeded"
        parts.store.save(found)
        parts.store.set_due(refund_id, None)
        session_id = parts.store.session_of(refund_id)
        parts.events.record("refund.updated", found, session=session_id, previous={"status": "pending"})
    return found


def settle_refunds(parts: Parts, session_id: str) -> None:
    """Let every pending refund of a session succeed.

    Raises:
        StateError: None is pending.
    """
    pending = [item for item in parts.store.of_session(session_id, "refund") if item["status"] == "pending"]
    if not pending:
        raise StateError("No refund is pending.")
    for item in pending:
        settle_refund(parts, item["id"])


def paid_charge(parts: Parts, session_id: str) -> Json:
    """Return the charge that paid a session.

    Raises:
        StateError: It has not been paid.
    """
    find_session(parts, session_id)
    for charge in parts.store.of_session(session_id, "charge"):
        if charge["status"] == "succeeded":
            return charge
    raise StateError("This session has not been paid.")


def _refund(parts: Parts, charge: Json, given: Json, cause: Cause) -> Json:
    """Refund `given["amount"]`, with `metadata` and `reason` if given; cards at once, bank debits later."""
    now = parts.clock.stamp()
    session_id = parts.store.session_of(charge["id"])
    made = refund(charge, given, created=now)
    by_card = charge["payment_method_details"]["type"] == "card"
    if by_card:
        made["status"] = "succeeded"
    charge["amount_refunded"] += made["amount"]
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    with parts.store.transaction():
        due = None if by_card else parts.clock.now() + _BANK_REFUND_S
        parts.store.insert(made, session=session_id, due=due)
        parts.store.save(charge)
        parts.events.record("refund.created", made, session=session_id, cause=cause)
        parts.events.record("charge.refunded", charge, session=session_id, cause=cause)
    return made


def _named_charge(parts: Parts, given: Json) -> Json:
    if "charge" in given:
        charge = parts.store.get("charge", given["charge"])
        if charge is None:
            raise errors.no_such("charge", given["charge"], "charge")
        return charge
    if "payment_intent" not in given:
        raise errors.missing("charge")
    intent = parts.store.get("payment_intent", given["payment_intent"])
    if intent is None:
        raise errors.no_such("payment_intent", given["payment_intent"], "payment_intent")
    charge = parts.store.get("charge", intent["latest_charge"] or "")
    if charge is None or charge["status"] != "succeeded":
        message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        raise ExecutionError(message)
    return charge


def _chargeback(parts: Parts, charge: Json) -> bool:
    """Whether a dispute holds the charge's money; an inquiry does not."""
    session_id = parts.store.session_of(charge["id"])
    disputes = parts.store.of_session(session_id or "", "dispute")
    return any(not item["is_charge_refundable"] for item in disputes)
