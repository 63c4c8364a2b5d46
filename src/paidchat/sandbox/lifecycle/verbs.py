"""Verbs: what a person, a bank or time does to a session, under the names used by the controls and the panel."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from paidchat.sandbox.errors import StateError, UnknownObjectError
from paidchat.sandbox.lifecycle.cards import DECLINED_CARD
from paidchat.sandbox.lifecycle.disputes import (
    disputable,
    inquirable,
    inquire,
    lose_dispute,
    open_dispute,
    undecided,
    win_dispute,
)
from paidchat.sandbox.lifecycle.payments import pay_by_bank_debit, pay_by_card, payable, settle, settle_fail, under_way
from paidchat.sandbox.lifecycle.refunds import (
    fail_refund,
    failable,
    pending_refunds,
    refund_session,
    refundable,
    settle_refunds,
)
from paidchat.sandbox.lifecycle.sessions import expirable, expire_session
from paidchat.sandbox.lifecycle.state import State, find_session
from paidchat.sandbox.parts import Parts
from paidchat.sandbox.shapes import Json


@dataclass(frozen=True)
class Verb:
    """One thing that can be done to a session.

    Attributes:
        rule: Raises `StateError` if the state forbids it.
        act: Takes the parts and a session id, asks the rule, and does it.
    """

    rule: Callable[[State], object]
    act: Callable[[Parts, str], object]


_by_card = partial(payable, method="card")

VERBS: dict[str, Verb] = {
    "pay": Verb(_by_card, pay_by_card),
    "decline": Verb(_by_card, partial(pay_by_card, card=DECLINED_CARD)),
    "pay_later": Verb(partial(payable, method="us_bank_account"), pay_by_bank_debit),
    "settle": Verb(under_way, settle),
    "settle_fail": Verb(under_way, settle_fail),
    "expire": Verb(expirable, expire_session),
    "refund": Verb(refundable, partial(refund_session, partly=False)),
    "refund_partial": Verb(partial(refundable, partly=True), partial(refund_session, partly=True)),
    "refund_fail": Verb(failable, fail_refund),
    "refund_settle": Verb(pending_refunds, settle_refunds),
    "dispute": Verb(disputable, open_dispute),
    "win_dispute": Verb(undecided, win_dispute),
    "lose_dispute": Verb(undecided, lose_dispute),
    "inquiry": Verb(inquirable, inquire),
}


def allowed(state: State) -> list[str]:
    """Return the verbs that a session's state allows, in the order of `VERBS`."""
    return [name for name, verb in VERBS.items() if _is_allowed(verb, state)]


def _is_allowed(verb: Verb, state: State) -> bool:
    try:
        verb.rule(state)
    except StateError:
        return False
    return True


async def do(parts: Parts, verb: str, session_id: str) -> Json:
    """Do one verb and return the session as it is afterwards.

    If it completes the session, this waits for the webhook's first response, as Checkout's redirect does.

    Raises:
        UnknownObjectError: No such verb or session.
        StateError: The session's state forbids it.
    """
    if verb not in VERBS:
        raise UnknownObjectError(f"There is no verb '{verb}'.")
    outcome = VERBS[verb].act(parts, session_id)
    completed = getattr(outcome, "completed_event", None)
    if completed is not None:
        await parts.courier.first_answer(completed)
    return find_session(parts, session_id)
