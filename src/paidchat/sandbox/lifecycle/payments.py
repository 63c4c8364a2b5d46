"""Payments: paying a checkout session by card or bank debit, and what the bank does with the debit."""

from dataclasses import dataclass

from paidchat.sandbox.errors import StateError
from paidchat.sandbox.ids import new_id
from paidchat.sandbox.lifecycle.cards import BANK_REFUSED, GOOD_CARD, decline_of
from paidchat.sandbox.lifecycle.state import State
from paidchat.sandbox.objects.checkout import customer_details
from paidchat.sandbox.objects.payment import Decline, Method, charge, failed, payment_error, payment_intent, succeeded
from paidchat.sandbox.parts import Parts
from paidchat.sandbox.shapes import Json
from paidchat.sandbox.tax import apply_tax, load_tax

DEFAULT_EMAIL = "buyer@example.com"
_COUNTRY = "US"
_BANK_LAST4 = "6789"


@dataclass(frozen=True)
class Outcome:
    """The result of a buyer's attempt: the session now, why it was declined, the event Checkout waits for."""

    session: Json
    decline: Decline | None = None
    completed_event: str | None = None


@dataclass
class _Try:
    """One charge in progress, with its session and payment intent."""

    session: Json
    intent: Json
    charge: Json


def payable(state: State, method: str) -> Json:
    """Return the session if it can be paid by this method.

    Raises:
        StateError: It is not open, or does not accept the method.
    """
    if state.session["status"] != "open":
        raise StateError(f"This session can no longer be paid: it is {state.session['status']}.")
    if method not in state.session["payment_method_types"]:
        raise StateError(f"This session does not accept the payment method {method}.")
    return state.session


def under_way(state: State) -> _Try:
    """Return the pending bank debit.

    Raises:
        StateError: There is none.
    """
    if state.intent is None or state.charge is None or state.charge["status"] != "pending":
        raise StateError("No bank debit is on its way for this session.")
    return _Try(state.session, state.intent, state.charge)


def pay_by_card(parts: Parts, session_id: str, *, card: str = GOOD_CARD, email: str | None = None) -> Outcome:
    """Pay with a card, given by its digits; if it is declined, the session stays open."""
    decline = decline_of(card)
    with parts.store.transaction():
        attempt = _start(parts, session_id, Method("card", card[-4:]), email)
        if decline is not None:
            _fail(parts, attempt, decline)
            return Outcome(attempt.session, decline=decline)
        _succeed(parts, attempt)
        event = _complete(parts, attempt.session, email, payment_status="paid")
    return Outcome(attempt.session, completed_event=event)


def pay_by_bank_debit(parts: Parts, session_id: str, *, email: str | None = None) -> Outcome:
    """Pay by bank debit: the session completes unpaid, and the money takes days."""
    with parts.store.transaction():
        attempt = _start(parts, session_id, Method("us_bank_account", _BANK_LAST4), email)
        attempt.intent |= {"status": "processing", "latest_charge": attempt.charge["id"]}
        _record(parts, attempt, "charge.pending", "payment_intent.processing")
        event = _complete(parts, attempt.session, email, payment_status="unpaid")
    return Outcome(attempt.session, completed_event=event)


def settle(parts: Parts, session_id: str) -> Json:
    """Let a pending bank debit succeed."""
    with parts.store.transaction():
        attempt = under_way(State(parts, session_id))
        _succeed(parts, attempt)
        attempt.session["payment_status"] = "paid"
        parts.store.save(attempt.session)
        parts.events.record("checkout.session.async_payment_succeeded", attempt.session, session=session_id)
    return attempt.session


def settle_fail(parts: Parts, session_id: str) -> Json:
    """Let a pending bank debit fail; the session stays complete and unpaid."""
    with parts.store.transaction():
        attempt = under_way(State(parts, session_id))
        _fail(parts, attempt, BANK_REFUSED)
        parts.events.record("checkout.session.async_payment_failed", attempt.session, session=session_id)
    return attempt.session


def _start(parts: Parts, session_id: str, method: Method, email: str | None) -> _Try:
    """Create a charge; the session gets its payment intent at the first attempt."""
    state = State(parts, session_id)
    session = payable(state, method.type)
    intent = state.intent or _create_intent(parts, session)
    intent["payment_method"] = new_id("pm_1")
    started = charge(intent, method, email=email or _email(session), created=parts.clock.stamp())
    parts.store.insert(started, session=session_id)
    return _Try(session, intent, started)


def _create_intent(parts: Parts, session: Json) -> Json:
    private = parts.store.private(session["id"])
    apply_tax(session, private["lines"], load_tax(parts.store))
    intent = payment_intent(session, private["intent"], created=parts.clock.stamp())
    parts.store.insert(intent, session=session["id"])
    parts.store.set_private(session["id"], private)
    session["payment_intent"] = intent["id"]
    parts.store.save(session)
    parts.events.record("payment_intent.created", intent, session=session["id"])
    return intent


def _succeed(parts: Parts, attempt: _Try) -> None:
    attempt.charge = succeeded(attempt.charge)
    attempt.intent |= {
        "status": "succeeded",
        "amount_received": attempt.intent["amount"],
        "latest_charge": attempt.charge["id"],
        "last_payment_error": None,
    }
    _record(parts, attempt, "charge.succeeded", "payment_intent.succeeded")


def _fail(parts: Parts, attempt: _Try, decline: Decline) -> None:
    attempt.charge = failed(attempt.charge, decline)
    attempt.intent |= {
        "status": "requires_payment_method",
        "latest_charge": attempt.charge["id"],
        "last_payment_error": payment_error(attempt.charge, decline),
        "payment_method": None,
    }
    _record(parts, attempt, "charge.failed", "payment_intent.payment_failed")


def _record(parts: Parts, attempt: _Try, of_charge: str, of_intent: str) -> None:
    """Save the charge and the intent as they are now, and record these events of them."""
    parts.store.save(attempt.charge)
    parts.store.save(attempt.intent)
    parts.events.record(of_charge, attempt.charge, session=attempt.session["id"])
    parts.events.record(of_intent, attempt.intent, session=attempt.session["id"])


def _complete(parts: Parts, session: Json, email: str | None, *, payment_status: str) -> str:
    session |= {
        "status": "complete",
        "payment_status": payment_status,
        "url": None,
        "customer_details": customer_details(email or _email(session), country=_COUNTRY),
        "collected_information": {"business_name": None, "individual_name": None, "shipping_details": None},
    }
    parts.store.save(session)
    parts.store.set_due(session["id"], None)
    return parts.events.record("checkout.session.completed", session, session=session["id"])


def _email(session: Json) -> str:
    return session["customer_email"] or DEFAULT_EMAIL
