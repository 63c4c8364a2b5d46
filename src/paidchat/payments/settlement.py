"""The ledger: works out, of locked payments and what Stripe says, what is to be written. Touches no database."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from paidchat.board import Crossing
from paidchat.domain import (
    Fact,
    IntentFact,
    PaymentStatus,
    Question,
    Reason,
    SessionFact,
    Standing,
    Verdict,
    amount_matches,
    learn,
)


@dataclass(frozen=True, slots=True)
class Surplus:
    """Money that was paid twice: the intent to send back, and the payment it was meant for."""

    payment_intent: str
    payment_id: str


@dataclass(slots=True)
class _Account:
    """One payment, as it was found and as it will be."""

    row: Row[Any]
    before: Standing
    after: Standing
    payment_intent: str | None
    known_number: int | None
    known_at: datetime | None
    closed_at: datetime | None

    def heard_later_than(self, question: Question) -> bool:
        """Tell whether a later answer about this money was heard already.

        Programs of revision 0001 number nothing and leave only a time, taken from a clock of their own: it counts
        unless it lies in the future. At worst a good answer is asked for once more.
        """
        if self.known_number is not None and question.number < self.known_number:
            return True
        return self.known_at is not None and question.at < self.known_at <= self.row.read_at

    @property
    def has_news(self) -> bool:
        """Whether something is to be written down beside the standing."""
        return (self.known_number, self.closed_at) != (self.row.known_number, self.row.closed_at)


class Ledger:
    """Takes facts one by one and sums up what they change."""

    def __init__(self, payments: dict[str, Row[Any]], *, board_tag: str, livemode: bool) -> None:
        self._board_tag = board_tag
        self._livemode = livemode
        self._accounts = {payment_id: _account(row) for payment_id, row in payments.items()}
        self.surplus: list[Surplus] = []

    def enter(self, fact: SessionFact | IntentFact) -> Verdict:
        """Take one fact into account, or say why not."""
        if fact.board != self._board_tag or fact.payment_id is None:
            return Verdict.FOREIGN
        if fact.livemode != self._livemode:
            return Verdict.WRONG_MODE
        account = self._accounts.get(fact.payment_id)
        if account is None:
            return Verdict.UNKNOWN
        if isinstance(fact, IntentFact):
            return self._enter_intent(account, fact)
        return self._enter_session(account, fact)

    def _enter_session(self, account: _Account, fact: SessionFact) -> Verdict:
        if fact.payment_status == "no_payment_required":
            return Verdict.NOT_PAID
        match fact.fact:
            case None:
                return Verdict.REPEATED
            case Fact.EXPIRED | Fact.FAILED if account.row.session_id not in {None, fact.session_id}:
                return Verdict.REPEATED  # an attempt before the present one came to its end
            case Fact.PAID | Fact.PROCESSING if not _amount_matches(account.row, fact):
                return Verdict.WRONG_AMOUNT
            case Fact.PAID:
                return self._enter_paid(account, fact)
            case Fact.EXPIRED | Fact.FAILED:
                account.closed_at = account.closed_at or account.row.read_at
        return _apply(account, fact.fact)

    def _enter_paid(self, account: _Account, fact: SessionFact) -> Verdict:
        if account.before.paid or account.after.paid:
            if account.payment_intent in {None, fact.payment_intent}:
                return Verdict.REPEATED
            if fact.payment_intent is not None and not _never_to_be_posted(account.after):
                self.surplus.append(Surplus(fact.payment_intent, account.row.id))
                return Verdict.SURPLUS
            # The first money went back before it bought anything; this is new money, and counts.
            account.after = replace(account.after, refunded=False, disputed=False)
        account.payment_intent = fact.payment_intent
        return _apply(account, Fact.PAID)

    def _enter_intent(self, account: _Account, fact: IntentFact) -> Verdict:
        if account.payment_intent not in {None, fact.payment_intent}:
            return Verdict.SURPLUS_MOVED  # what becomes of money that was paid twice never touches the message
        if account.heard_later_than(fact.question):
            return Verdict.OVERTAKEN
        if fact.refunded or fact.disputed:
            account.payment_intent = fact.payment_intent
        account.known_number, account.known_at = fact.question.number, fact.question.at
        moved = [
            _apply(account, Fact.REFUNDED if fact.refunded else Fact.REFUND_FAILED),
            _apply(account, Fact.DISPUTED if fact.disputed else Fact.DISPUTE_WON),
        ]
        return Verdict.APPLIED if Verdict.APPLIED in moved else Verdict.REPEATED

    def _changed(self) -> Iterable[_Account]:
        return (account for account in self._accounts.values() if account.after != account.before)

    def moves(self) -> list[dict[str, Any]]:
        """Return the payments to write, each with the status it was decided on."""
        return [
            {
                "id_": account.row.id,
                "from_": account.before.status,
                "status": account.after.status,
                "paid": account.after.paid,
                "refunded": account.after.refunded,
                "disputed": account.after.disputed,
                "payment_intent": account.payment_intent,
                "known_number": account.known_number,
                "known_at": account.known_at,
                "closed_at": account.closed_at,
            }
            for account in self._accounts.values()
            if account.after != account.before or account.has_news
        ]

    def crossings(self) -> list[Crossing]:
        """Return what comes onto the board and what leaves it."""
        return [crossing for account in self._changed() if (crossing := _crossing(account)) is not None]


def _account(row: Row[Any]) -> _Account:
    standing = Standing(
        status=PaymentStatus(row.status),
        paid=row.paid,
        refunded=row.refunded,
        disputed=row.disputed,
        posted=row.message_id is not None,
    )
    return _Account(row, standing, standing, row.payment_intent, row.known_number, row.known_at, row.closed_at)


def _apply(account: _Account, fact: Fact) -> Verdict:
    after = learn(account.after, fact)
    if after == account.after:
        return Verdict.REPEATED
    account.after = after
    return Verdict.APPLIED


def _amount_matches(payment: Row[Any], fact: SessionFact) -> bool:
    taxed = "automatic_tax" in payment.stripe_params
    return amount_matches(fact, amount=payment.amount, currency=payment.currency, taxed=taxed)


def _never_to_be_posted(standing: Standing) -> bool:
    """Tell whether the money that came is gone or held without ever having bought a message."""
    return not standing.posted and (standing.refunded or standing.disputed)


def _crossing(account: _Account) -> Crossing | None:
    row, before, after = account.row, account.before, account.after
    hidden_before, hidden_after = (standing.refunded or standing.disputed for standing in (before, after))
    if not before.posted:
        return Crossing("posted", payment=row) if after.posted and not hidden_after else None
    if row.moderated or hidden_after == hidden_before:
        return None
    if not hidden_after:
        return Crossing("restored", message_id=row.message_id)
    reason = Reason.REFUNDED if after.refunded else Reason.DISPUTED
    return Crossing("removed", message_id=row.message_id, reason=reason)
