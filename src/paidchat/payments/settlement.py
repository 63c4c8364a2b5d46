"""Settlement: computes what to write from locked payments and facts from Stripe. Doesn't use the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from paidchat.domain import (
    Fact,
    IntentFact,
    PaymentState,
    Question,
    Reason,
    SessionFact,
    Verdict,
    amount_matches,
    learn,
    total_matches,
)
from paidchat.records import BoardChange, PaymentMove, PaymentRecord, Posted, Removed, Restored


@dataclass(frozen=True, slots=True)
class DuplicatePayment:
    """A second payment for one message: the intent to refund, and the payment it was for."""

    payment_intent: str
    payment_id: str


@dataclass(slots=True)
class _Account:
    """One payment, before and after."""

    row: PaymentRecord
    before: PaymentState
    after: PaymentState
    payment_intent: str | None
    answered_number: int | None
    answered_at: datetime | None
    closed_at: datetime | None

    def has_overtaken(self, question: Question) -> bool:
        """Tell whether a newer answer about this money was applied already.

        Programs of revision 0001 store no number, only a time by their own clock, which counts unless it is in the
        future. At worst an answer is asked for once more.
        """
        if self.answered_number is not None and question.number < self.answered_number:
            return True
        return self.answered_at is not None and question.at < self.answered_at <= self.row.read_at

    def note_answer(self, question: Question) -> None:
        """Remember that Stripe answered a question, so that no older answer counts from now on."""
        self.answered_number, self.answered_at = question.number, question.at

    @property
    def has_news(self) -> bool:
        """Whether anything besides the state must be written."""
        return (self.answered_number, self.closed_at) != (self.row.answered_number, self.row.closed_at)


class Settlement:
    """Takes facts one by one and collects the changes."""

    def __init__(self, payments: dict[str, PaymentRecord], *, board_tag: str, livemode: bool) -> None:
        self._board_tag = board_tag
        self._livemode = livemode
        self._accounts = {payment_id: _account(row) for payment_id, row in payments.items()}
        self._money: dict[str, IntentFact] = {}  # what the facts say about each intent
        self.duplicates: list[DuplicatePayment] = []

    def enter(self, fact: SessionFact | IntentFact) -> Verdict:
        """Apply one fact; returns the verdict."""
        if fact.board_tag != self._board_tag or fact.payment_id is None:
            return Verdict.FOREIGN
        if fact.livemode != self._livemode:
            return Verdict.WRONG_MODE
        account = self._accounts.get(fact.payment_id)
        if account is None:
            return Verdict.UNKNOWN
        if isinstance(fact, IntentFact):
            self._money[fact.payment_intent] = fact
            return self._enter_intent(account, fact)
        return self._enter_session(account, fact)

    def _enter_session(self, account: _Account, fact: SessionFact) -> Verdict:
        if fact.payment_status == "no_payment_required":
            return Verdict.NOT_PAID
        match fact.fact:
            case None:
                return Verdict.REPEATED
            case Fact.EXPIRED | Fact.FAILED if account.row.session_id not in {None, fact.session_id}:
                return Verdict.REPEATED  # the end of an attempt before the current one
            case Fact.PAID | Fact.PROCESSING if not amount_matches(fact, account.row.price):
                return Verdict.WRONG_AMOUNT
            case Fact.PAID:
                return self._enter_paid(account, fact)
            case Fact.EXPIRED | Fact.FAILED as ended:
                account.closed_at = account.closed_at or account.row.read_at
                return _apply(account, ended)
            case (Fact.PROCESSING | Fact.REFUNDED | Fact.REFUND_FAILED | Fact.DISPUTED | Fact.DISPUTE_WON) as said:
                return _apply(account, said)
            case never:
                assert_never(never)

    def _enter_paid(self, account: _Account, fact: SessionFact) -> Verdict:
        if account.before.paid or account.after.paid:
            if fact.payment_intent is None or account.payment_intent in {None, fact.payment_intent}:
                return Verdict.REPEATED
            if _gone_before_posting(account.after):
                return self._enter_other_money(account, fact.payment_intent)
            self.duplicates.append(DuplicatePayment(fact.payment_intent, account.row.id))
            return Verdict.DUPLICATE_PAYMENT
        account.payment_intent = fact.payment_intent
        return _apply(account, Fact.PAID)

    def _enter_other_money(self, account: _Account, payment_intent: str) -> Verdict:
        """Post for other money, as the first was refunded or disputed before anything was posted.

        It may have gone as well, and the news of that may have come before: it was not about the payment's money then.
        So it counts only with an answer about it, given beside it and newer than all news; `overtaken` asks for one.
        """
        money = self._money.get(payment_intent)
        if money is None or account.has_overtaken(money.question):
            return Verdict.OVERTAKEN
        return _post_for(account, money)

    def _enter_intent(self, account: _Account, fact: IntentFact) -> Verdict:
        is_other = account.payment_intent not in {None, fact.payment_intent}
        if is_other and not _gone_before_posting(account.after):
            return Verdict.DUPLICATE_PAYMENT_MOVED  # the refund of a duplicate payment never affects the message
        if not total_matches(fact.amount, fact.currency, account.row.price):
            # Never posted, so there is nothing to hide. Applied, a refund that then fails would post it.
            return Verdict.WRONG_AMOUNT
        if account.has_overtaken(fact.question):
            return Verdict.OVERTAKEN
        if is_other:
            account.note_answer(fact.question)  # no older answer may post for that money
            # Events tell of money that was paid once and may have come back; what we ask about need not be paid.
            return _post_for(account, fact) if fact.event_id else Verdict.DUPLICATE_PAYMENT_MOVED
        if fact.refunded or fact.disputed:
            account.payment_intent = fact.payment_intent
        account.note_answer(fact.question)
        moved = [
            _apply(account, Fact.REFUNDED if fact.refunded else Fact.REFUND_FAILED),
            _apply(account, Fact.DISPUTED if fact.disputed else Fact.DISPUTE_WON),
        ]
        return Verdict.APPLIED if Verdict.APPLIED in moved else Verdict.REPEATED

    def moves(self) -> list[PaymentMove]:
        """Return the payments to write, each with the status that the move was decided on."""
        return [
            PaymentMove(
                payment_id=account.row.id,
                from_status=account.before.status,
                state=account.after,
                payment_intent=account.payment_intent,
                answered_number=account.answered_number,
                answered_at=account.answered_at,
                closed_at=account.closed_at,
            )
            for account in self._accounts.values()
            if account.after != account.before or account.has_news
        ]

    def board_changes(self) -> list[BoardChange]:
        """Return what is posted to the board and what is removed."""
        return [change for account in self._accounts.values() if (change := _board_change(account)) is not None]


def _account(row: PaymentRecord) -> _Account:
    return _Account(row, row.state, row.state, row.payment_intent, row.answered_number, row.answered_at, row.closed_at)


def _apply(account: _Account, fact: Fact) -> Verdict:
    after = learn(account.after, fact)
    if after == account.after:
        return Verdict.REPEATED
    account.after = after
    return Verdict.APPLIED


def _post_for(account: _Account, money: IntentFact) -> Verdict:
    """Make this the money of a payment whose first money went back before anything was posted, if it is there."""
    if money.refunded or money.disputed:
        return Verdict.DUPLICATE_PAYMENT_MOVED
    account.payment_intent = money.payment_intent
    account.note_answer(money.question)
    account.after = replace(account.after, refunded=False, disputed=False)
    return _apply(account, Fact.PAID)


def _gone_before_posting(state: PaymentState) -> bool:
    """Tell whether the money was refunded or disputed before anything was posted."""
    return not state.posted and (state.refunded or state.disputed)


def _board_change(account: _Account) -> BoardChange | None:
    row, before, after = account.row, account.before, account.after
    hidden_before, hidden_after = (state.refunded or state.disputed for state in (before, after))
    if not before.posted:
        return Posted(row) if after.posted and not hidden_after else None
    if row.message_id is None or row.moderated or hidden_after == hidden_before:
        return None
    if not hidden_after:
        return Restored(row.message_id)
    return Removed(row.message_id, Reason.REFUNDED if after.refunded else Reason.DISPUTED)
