"""State: a checkout session and what has come of it, which the rules of this folder look at."""

from functools import cached_property

from paidchat.sandbox.errors import UnknownObjectError
from paidchat.sandbox.parts import Parts
from paidchat.sandbox.shapes import Json

_OPEN_INQUIRIES = ("warning_needs_response", "warning_under_review")


def find_session(parts: Parts, session_id: str) -> Json:
    """Return a session.

    Raises:
        UnknownObjectError: There is none by that id.
    """
    session = parts.store.get("checkout.session", session_id)
    if session is None:
        raise UnknownObjectError(f"No such checkout.session: '{session_id}'")
    return session


class State:
    """A session with its payment, refunds and disputes, newest first; each is read when it is first needed.

    A rule is a function that takes this and raises `StateError` if the state forbids the act it is about. The act
    asks its rule before it does anything, and raises what that raises; the panel asks it which buttons to show. Its
    words are Stripe's where the API has the same rule.
    """

    def __init__(self, parts: Parts, session_id: str) -> None:
        self.session = find_session(parts, session_id)
        self._store = parts.store

    @cached_property
    def intent(self) -> Json | None:
        """The payment intent; None until a buyer tries to pay."""
        return self._store.get("payment_intent", self.session["payment_intent"] or "")

    @cached_property
    def charge(self) -> Json | None:
        """The latest charge, which is the one that paid if any did; None until a buyer tries to pay."""
        return next(iter(self._store.of_session(self.session["id"], "charge")), None)

    @property
    def is_refused(self) -> bool:
        """Whether the bank has refused the debit that the buyer ordered; the session stays complete and unpaid."""
        is_failed = self.charge is not None and self.charge["status"] == "failed"
        return self.session["status"] == "complete" and is_failed

    @cached_property
    def refunds(self) -> list[Json]:
        """All refunds, those that failed too."""
        return self._store.of_session(self.session["id"], "refund")

    @cached_property
    def disputes(self) -> list[Json]:
        """All disputes and inquiries."""
        return self._store.of_session(self.session["id"], "dispute")

    @property
    def chargeback(self) -> Json | None:
        """The dispute that holds the money or has held it, whoever won; an inquiry holds none."""
        return next((item for item in self.disputes if not item["is_charge_refundable"]), None)

    @property
    def inquiry(self) -> Json | None:
        """The open inquiry."""
        return next((item for item in self.disputes if item["status"] in _OPEN_INQUIRIES), None)
