"""The oracle: the expected state of each payment, worked out from what Stripe did and what the board was told.

It follows the public contract and shares no code with the board. For a payment with one session it knows the exact
state at every step; for one with several sessions it knows only invariants and the state at the end.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.support.shapes import Json

# The allowed changes of status, from docs/protocol.md.
MOVES = {
    "pending": {"processing", "fulfilled", "expired", "refunded"},
    "processing": {"fulfilled", "failed", "refunded"},
    "expired": {"fulfilled", "refunded"},
    "failed": {"fulfilled", "refunded"},
    "fulfilled": {"refunded", "disputed"},
    "refunded": {"fulfilled"},
    "disputed": {"fulfilled"},
}
PAID_EVENTS = {"checkout.session.completed", "checkout.session.async_payment_succeeded"}


class Finding(AssertionError):
    """A broken promise; `kind` is a column of the table: lost, doubled, unpaid_posted, wrong."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(kind, what)  # all that it is made from, so that it can be sent between processes
        self.kind = kind
        self.what = what

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


@dataclass(frozen=True)
class Session:
    """The state of one session's money, from the sandbox's ledger."""

    id: str
    payment_intent: str | None
    status: str
    paid: bool
    refunded: bool
    disputed: bool

    @classmethod
    def of(cls, entry: Json) -> "Session":
        """Read an entry of the ledger."""
        paid = entry["payment_status"] == "paid"
        return cls(
            id=entry["id"],
            payment_intent=entry["payment_intent"],
            status=entry["status"],
            paid=paid,
            refunded=paid and entry["amount_refunded"] >= entry["amount_total"],
            disputed=entry["disputed"],
        )

    @property
    def state(self) -> str:
        """The state in one word."""
        if self.paid:
            return "refunded" if self.refunded else "disputed" if self.disputed else "paid"
        return "unpaid" if self.status == "complete" else self.status

    @property
    def kept(self) -> bool:
        """Whether it is paid, and not refunded or disputed."""
        return self.paid and not self.refunded and not self.disputed


@dataclass
class Account:
    """One payment: what Stripe knows about it, and what the board has been told.

    Attributes:
        paid, refunded, disputed: what the board knows, and must act on.
        posted: whether it must have been posted at some time.
        certain: whether the above is known exactly; False after a call to Stripe that failed halfway.
        statuses: every status that was seen, in order, without repeats.
    """

    id: str
    text: str
    sessions: list[Session] = field(default_factory=list)
    paid: bool = False
    refunded: bool = False
    disputed: bool = False
    posted: bool = False
    moderated: bool = False
    bank_refused: bool = False
    certain: bool = True
    message_id: int | None = None
    statuses: list[str] = field(default_factory=lambda: ["pending"])

    @property
    def exact(self) -> bool:
        """Whether it is known exactly what the board must show at this step."""
        return self.certain and len(self.sessions) == 1

    def hear_session(self, *, paid: bool) -> None:
        """The board was told about a session of this payment."""
        self.paid = self.paid or paid
        self._settle()

    def hear_money(self) -> None:
        """The board has just asked Stripe about the money."""
        if self.sessions:
            session = self.sessions[0]
            self.refunded, self.disputed = session.refunded, session.disputed
            self.paid = self.paid or self.refunded or self.disputed
        self._settle()

    def hear_all(self, *, posted: bool) -> None:
        """The board knows everything that Stripe knows; `posted` is whether it has a message now.

        If it learned of payment and refund together, it may have posted and hidden the message, or never posted it.
        """
        self.certain = True
        self.posted = self.posted or posted
        self.hear_money()
        self.hear_session(paid=any(session.paid for session in self.sessions))

    def _settle(self) -> None:
        # If the state is not known exactly, the board may already know of a refund or a dispute.
        self.posted = self.posted or (self.certain and self.paid and not self.refunded and not self.disputed)

    @property
    def shown(self) -> bool:
        """Whether its message must be on the board."""
        return self.paid and not (self.refunded or self.disputed or self.moderated)

    def see_status(self, status: str) -> None:
        """Record a status that was seen.

        Raises:
            Finding: the status seen before may not change to this one.
        """
        before = self.statuses[-1]
        if status not in reachable(before):
            raise Finding("wrong", f"payment {self.id} went from {before} to {status}")
        if status != before:
            self.statuses.append(status)

    def see_message(self, message_id: int | None) -> None:
        """Record the message id of a payment.

        Raises:
            Finding: it had another message id before, or has none now.
        """
        if self.message_id is not None and message_id != self.message_id:
            raise Finding("wrong", f"payment {self.id} had message {self.message_id} and has {message_id}")
        self.message_id = message_id

    def check(self, messages: list[Json]) -> None:
        """Check the invariants on the board's messages of this payment, including hidden ones.

        Raises:
            Finding: a promise is broken.
        """
        if len(messages) > 1:
            raise Finding("doubled", f"payment {self.id} has {len(messages)} messages")
        shown = any(not message["hidden"] for message in messages)
        if messages and not any(session.paid for session in self.sessions):
            raise Finding("unpaid_posted", f"payment {self.id} has a message but was not paid")
        if messages and messages[0]["text"] != self.text:
            raise Finding("wrong", f"message {messages[0]['id']} has another text than its payment")
        if shown and self.moderated:
            raise Finding("wrong", f"payment {self.id} has a message on the board that was taken off by hand")
        if self.exact and shown != self.shown:
            raise Finding(*self._surprise(shown=shown))
        if self.exact and bool(messages) != self.posted:
            raise Finding("lost" if self.posted else "wrong", f"payment {self.id} has {len(messages)} messages")

    def check_at_rest(self, status: str, messages: list[Json]) -> None:
        """Compare the board with Stripe, once the board must know everything.

        Raises:
            Finding: a promise is broken.
        """
        kept = [session for session in self.sessions if session.kept]
        shown = any(not message["hidden"] for message in messages)
        if len(kept) > 1:
            raise Finding("wrong", f"payment {self.id} was paid {len(kept)} times and nothing went back")
        if shown and not kept:
            raise Finding("unpaid_posted", f"payment {self.id} is shown and its money is gone")
        if kept and not shown and not self.moderated:
            raise Finding("lost", f"payment {self.id} is paid, {status} and not shown")
        if (wanted := self._status_at_rest(kept)) is not None and status != wanted:
            raise Finding("wrong", f"payment {self.id} is {status} and must be {wanted}")

    def _status_at_rest(self, kept: list[Session]) -> str | None:
        if kept:
            return "fulfilled"
        if len(self.sessions) != 1:
            return None
        session = self.sessions[0]
        if session.paid:
            # The contract has no status for a payment that was disputed before it was posted.
            return "refunded" if session.refunded else "disputed" if self.posted else None
        if session.status == "complete":
            return "failed" if self.bank_refused else "processing"
        return {"open": "pending", "expired": "expired"}[session.status]

    def _surprise(self, *, shown: bool) -> tuple[str, str]:
        told = f"told paid={self.paid} refunded={self.refunded} disputed={self.disputed} moderated={self.moderated}"
        if shown:
            return "unpaid_posted", f"payment {self.id} is shown: {told}"
        return "lost", f"payment {self.id} is not shown: {told}"


def reachable(status: str) -> set[str]:
    """Return the statuses that a payment can have reached since it was seen with this one."""
    reached, new = {status}, {status}
    while new := {target for each in new for target in MOVES[each]} - reached:
        reached |= new
    return reached


def sessions_of(ledger: Json, payment_id: str) -> Iterable[Session]:
    """Return a payment's sessions, oldest first."""
    return [Session.of(entry) for entry in ledger["sessions"] if entry["client_reference_id"] == payment_id]
