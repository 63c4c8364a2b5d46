"""Verbs: what a person, a bank or time does to a session, under the names used by the controls and the panel."""

from collections.abc import Callable
from typing import Any

from paidchat.sandbox.errors import UnknownObjectError
from paidchat.sandbox.lifecycle.cards import DECLINED_CARD
from paidchat.sandbox.lifecycle.disputes import (
    CHARGEBACKS,
    OPEN_DISPUTES,
    OPEN_INQUIRIES,
    inquire,
    lose_dispute,
    open_dispute,
    win_dispute,
)
from paidchat.sandbox.lifecycle.payments import pay_by_bank_debit, pay_by_card, settle, settle_fail
from paidchat.sandbox.lifecycle.refunds import fail_refund, refund_session, settle_refunds
from paidchat.sandbox.lifecycle.sessions import expire_session, find_session
from paidchat.sandbox.parts import Parts

Json = dict[str, Any]
Verb = Callable[[Parts, str], object]

VERBS: dict[str, Verb] = {
    "pay": pay_by_card,
    "decline": lambda parts, session_id: pay_by_card(parts, session_id, card=DECLINED_CARD),
    "pay_later": pay_by_bank_debit,
    "settle": settle,
    "settle_fail": settle_fail,
    "expire": expire_session,
    "refund": lambda parts, session_id: refund_session(parts, session_id, partly=False),
    "refund_partial": lambda parts, session_id: refund_session(parts, session_id, partly=True),
    "refund_fail": fail_refund,
    "refund_settle": settle_refunds,
    "dispute": open_dispute,
    "win_dispute": win_dispute,
    "lose_dispute": lose_dispute,
    "inquiry": inquire,
}
"""Each takes the parts and a session id, and raises `StateError` if the state forbids it."""


def allowed(parts: Parts, session: Json) -> list[str]:
    """Return the verbs that a session's state allows, in the order of `VERBS`."""
    if session["status"] != "complete":
        return ["pay", "decline", "pay_later", "expire"] if session["status"] == "open" else []
    charges = parts.store.of_session(session["id"], "charge")
    if charges[0]["status"] != "succeeded":
        return ["settle", "settle_fail"] if charges[0]["status"] == "pending" else []
    disputes = [item["status"] for item in parts.store.of_session(session["id"], "dispute")]
    refunds = [item["status"] for item in parts.store.of_session(session["id"], "refund")]
    names = _allowed_refunds(charges[0], refunds, disputes) | _allowed_disputes(charges[0], disputes)
    return [name for name in VERBS if name in names]


def _allowed_refunds(charge: Json, refunds: list[str], disputes: list[str]) -> set[str]:
    left = charge["amount"] - charge["amount_refunded"]
    free = not any(status in CHARGEBACKS for status in disputes)
    names: set[str] = set()
    if left and free:
        names |= {"refund", "refund_fail"}
    if left > 1 and free:
        names.add("refund_partial")
    if "pending" in refunds or "succeeded" in refunds:
        names.add("refund_fail")
    if "pending" in refunds:
        names.add("refund_settle")
    return names


def _allowed_disputes(charge: Json, disputes: list[str]) -> set[str]:
    names: set[str] = set()
    if any(status in OPEN_INQUIRIES for status in disputes):
        names.add("inquiry")
    if any(status in OPEN_DISPUTES for status in disputes):
        names |= {"win_dispute", "lose_dispute"}
    if not charge["refunded"] and not any(status in CHARGEBACKS for status in disputes):
        names |= {"dispute", "inquiry"}
    return names


async def do(parts: Parts, verb: str, session_id: str) -> Json:
    """Do one verb and return the session as it is afterwards.

    If it completes the session, this waits for the webhook's first response, as Checkout's redirect does.

    Raises:
        UnknownObjectError: No such verb or session.
        StateError: The session's state forbids it.
    """
    if verb not in VERBS:
        raise UnknownObjectError(f"There is no verb '{verb}'.")
    outcome = VERBS[verb](parts, session_id)
    completed = getattr(outcome, "completed_event", None)
    if completed is not None:
        await parts.courier.first_answer(completed)
    return find_session(parts, session_id)
