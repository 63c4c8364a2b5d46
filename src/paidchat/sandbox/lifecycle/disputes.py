"""Disputes and inquiries: a cardholder asks the bank for the money back, and wins or loses."""

from paidchat.sandbox.errors import StateError
from paidchat.sandbox.ids import new_id
from paidchat.sandbox.lifecycle.refunds import paid_charge
from paidchat.sandbox.lifecycle.state import State
from paidchat.sandbox.objects.payment import dispute
from paidchat.sandbox.parts import Parts
from paidchat.sandbox.shapes import Json

_FEE = 1500
_OPEN = ("needs_response", "under_review")


def disputable(state: State) -> Json:
    """Return the charge that paid a session, if it can be disputed.

    Raises:
        StateError: Not paid, fully refunded, or disputed already.
    """
    charge = paid_charge(state)
    if charge["refunded"]:
        raise StateError("A fully refunded payment cannot be disputed.")
    if state.chargeback is not None:
        raise StateError(f"This payment already has a dispute: {state.chargeback['status']}.")
    return charge


def inquirable(state: State) -> Json:
    """Return the open inquiry, which can be closed, or else the charge an inquiry can be opened over.

    Raises:
        StateError: Not paid, fully refunded, or disputed already.
    """
    return state.inquiry or disputable(state)


def undecided(state: State) -> Json:
    """Return the dispute that waits for a decision.

    Raises:
        StateError: No dispute is open.
    """
    found = next((item for item in state.disputes if item["status"] in _OPEN), None)
    if found is None:
        raise StateError("There is no open dispute.")
    return found


def open_dispute(parts: Parts, session_id: str) -> Json:
    """Open a dispute over a paid session, or turn its open inquiry into one; the money is withdrawn."""
    state = State(parts, session_id)
    charge, inquiry = disputable(state), state.inquiry
    with parts.store.transaction():
        if inquiry is None:
            opened = _open(parts, session_id, charge, "needs_response")
        else:
            opened = inquiry | {"status": "needs_response", "is_charge_refundable": False}
            previous = {"status": inquiry["status"]}
            parts.events.record("charge.dispute.updated", opened, session=session_id, previous=previous)
        opened["balance_transactions"] = [_transaction(parts, opened, withdrawn=True)]
        parts.store.save(opened)
        parts.events.record("charge.dispute.funds_withdrawn", opened, session=session_id)
    return opened


def inquire(parts: Parts, session_id: str) -> Json:
    """Open an inquiry over a paid session, or close the open one. No money moves either way."""
    state = State(parts, session_id)
    found = inquirable(state)
    with parts.store.transaction():
        if state.inquiry is None:
            return _open(parts, session_id, found, "warning_needs_response")
        return _close(parts, session_id, found, "warning_closed")


def win_dispute(parts: Parts, session_id: str) -> Json:
    """Decide the open dispute for the merchant: the money comes back."""
    found = undecided(State(parts, session_id))
    with parts.store.transaction():
        found["status"] = "won"
        found["balance_transactions"].append(_transaction(parts, found, withdrawn=False))
        closed = _close(parts, session_id, found, "won")
        parts.events.record("charge.dispute.funds_reinstated", closed, session=session_id)
    return closed


def lose_dispute(parts: Parts, session_id: str) -> Json:
    """Decide the open dispute for the cardholder: the money does not come back."""
    found = undecided(State(parts, session_id))
    with parts.store.transaction():
        return _close(parts, session_id, found, "lost")


def _open(parts: Parts, session_id: str, charge: Json, status: str) -> Json:
    opened = dispute(charge, status=status, created=parts.clock.stamp())
    charge["disputed"] = True
    parts.store.save(charge)
    parts.store.insert(opened, session=session_id)
    parts.events.record("charge.dispute.created", opened, session=session_id)
    return opened


def _close(parts: Parts, session_id: str, found: Json, status: str) -> Json:
    found["status"] = status
    parts.store.save(found)
    parts.events.record("charge.dispute.closed", found, session=session_id)
    return found


def _transaction(parts: Parts, found: Json, *, withdrawn: bool) -> Json:
    """Return a transaction on the account's balance; a withdrawal also costs a fee."""
    amount = -found["amount"] if withdrawn else found["amount"]
    fee = _FEE if withdrawn else 0
    now = parts.clock.stamp()
    return {
        "id": new_id("txn_1"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": now,
        "balance_type": "payments",
        "created": now,
        "currency": found["currency"],
        "description": f"Chargeback for {found['charge']}",
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [],
        "net": amount - fee,
        "reporting_category": "dispute" if withdrawn else "dispute_reversal",
        "source": found["id"],
        "status": "available",
        "type": "adjustment",
    }
