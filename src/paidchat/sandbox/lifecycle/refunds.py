"""Refunds: they succeed at once for cards, after days for bank debits, and sometimes fail."""

from paidchat.sandbox import errors
from paidchat.sandbox.api.parameters import Array, Boolean, Integer, Metadata, Record, Text, not_offered
from paidchat.sandbox.delivery.events import BY_ITSELF, Cause
from paidchat.sandbox.errors import ApiError, ExecutionError, StateError
from paidchat.sandbox.lifecycle.state import State
from paidchat.sandbox.money import in_words
from paidchat.sandbox.objects.payment import refund
from paidchat.sandbox.parts import Parts
from paidchat.sandbox.shapes import Json

_LIVE = ("pending", "succeeded")
_BANK_REFUND_S = 5 * 24 * 3600

CREATE = Record(
    {
        "amount": Integer(least=1),
        "charge": Text(),
        "expand": Array(of=Text(), most=20),
        "instructions_email": Text(),
        "metadata": Metadata(),
        "payment_intent": Text(),
        "reason": Text(choices=("duplicate", "fraudulent", "requested_by_customer")),
        "refund_application_fee": Boolean(),
        "reverse_transfer": Boolean(),
        **not_offered("currency", "customer", "origin"),
    }
)


def paid_charge(state: State) -> Json:
    """Return the charge that paid a session.

    Raises:
        StateError: It has not been paid.
    """
    if state.charge is None or state.charge["status"] != "succeeded":
        raise StateError("This session has not been paid.")
    return state.charge


def refundable(state: State, *, partly: bool = False) -> Json:
    """Return the charge that paid a session, if what is left of it can be refunded, or half of that.

    Raises:
        StateError: It has not been paid, nothing is left, a dispute holds the money, or what is left has no half.
    """
    charge = paid_charge(state)
    if _left(charge) == 0:
        raise StateError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if state.chargeback is not None:
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise StateError(message, code="charge_disputed")
    if partly and _left(charge) == 1:
        raise StateError("What is left of this payment is too little to refund half of it.")
    return charge


def failable(state: State) -> Json | None:
    """Return the refund that would fail: the latest live one, or None if one must be attempted first.

    Raises:
        StateError: There is none, and none can be attempted.
    """
    live = next((item for item in state.refunds if item["status"] in _LIVE), None)
    if live is None:
        refundable(state)
    return live


def pending_refunds(state: State) -> list[Json]:
    """Return the pending refunds.

    Raises:
        StateError: None is.
    """
    pending = [item for item in state.refunds if item["status"] == "pending"]
    if not pending:
        raise StateError("No refund is pending.")
    return pending


def create_refund(parts: Parts, params: Json, cause: Cause) -> Json:
    """Refund a charge, given by its id or by its intent's, fully or partly, and return the refund.

    Raises:
        ApiError: Bad parameters, no such charge, or more than is left of it.
        StateError: See `refundable`.
    """
    given = CREATE.read(params)
    named = _named_charge(parts, given)
    charge = refundable(State(parts, parts.store.session_of(named["id"]) or ""))
    left = _left(charge)
    if given.setdefault("amount", left) > left:
        money = in_words(left, charge["currency"])
        message = f"Refund amount is greater than the unrefunded amount on the charge ({money})."
        raise ApiError(message, param="amount")
    return _refund(parts, charge, given, cause)


def refund_session(parts: Parts, session_id: str, *, partly: bool) -> Json:
    """Refund what is left of a session's payment, or half of that, as a merchant would in the Dashboard."""
    charge = refundable(State(parts, session_id), partly=partly)
    amount = _left(charge) // 2 if partly else _left(charge)
    return _refund(parts, charge, {"amount": amount, "reason": "requested_by_customer"}, BY_ITSELF)


def fail_refund(parts: Parts, session_id: str) -> Json:
    """Let the latest refund of a session fail: the money goes back to the account.

    If there is no refund that could fail, the payment is fully refunded first.
    """
    with parts.store.transaction():
        latest = failable(State(parts, session_id)) or refund_session(parts, session_id, partly=False)
        charge = paid_charge(State(parts, session_id))  # as a refund just made has left it
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


def settle_refund(parts: Parts, pending: Json) -> None:
    """Let a pending refund succeed."""
    with parts.store.transaction():
        pending["status"] = "succeeded"
        parts.store.save(pending)
        parts.store.set_due(pending["id"], None)
        session_id = parts.store.session_of(pending["id"])
        parts.events.record("refund.updated", pending, session=session_id, previous={"status": "pending"})


def settle_refunds(parts: Parts, session_id: str) -> None:
    """Let every pending refund of a session succeed."""
    for item in pending_refunds(State(parts, session_id)):
        settle_refund(parts, item)


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
        if charge["status"] != "succeeded":
            raise ExecutionError(f"Charge {charge['id']} has not succeeded, so it cannot be refunded.")
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


def _left(charge: Json) -> int:
    remaining: int = charge["amount"] - charge["amount_refunded"]
    return remaining
