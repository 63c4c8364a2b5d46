"""Settlement: money of another session counts only with an answer about it that no news has overtaken."""

from datetime import UTC, datetime
from typing import Any

from paidchat.domain import Fact, IntentFact, PaymentStatus, Question, SessionFact, Verdict
from paidchat.payments.settlement import Settlement
from paidchat.pricing import Price
from paidchat.records import PaymentRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = "0b0e6a30-0000-4000-8000-000000000000"
OURS: dict[str, Any] = {"payment_id": ID, "board_tag": "tag", "livemode": False}


def payment(answered_number: int) -> PaymentRecord:
    """Return a payment whose first money was refunded before anything was posted."""
    return PaymentRecord(
        id=ID,
        text="Hello",
        author=None,
        price=Price(amount=100, currency="usd", taxed=False),
        created_at=NOW,
        expires_at=NOW,
        client="",
        stripe_key="",
        stripe_params={},
        session_id="cs_1",
        status=PaymentStatus.REFUNDED,
        paid=True,
        refunded=True,
        disputed=False,
        payment_intent="pi_1",
        checkout_url=None,
        asked_at=None,
        answered_number=answered_number,
        answered_at=None,
        closed_at=None,
        message_id=None,
        moderated=None,
        read_at=NOW,
    )


def answer(number: int, *, refunded: bool = False, event_id: str | None = None) -> IntentFact:
    """Return the answer to a question about the other money, which an event may have led to."""
    money: dict[str, Any] = {
        "payment_intent": "pi_2",
        "amount": 100,
        "currency": "usd",
        "refunded": refunded,
        "disputed": False,
    }
    return IntentFact(**OURS, **money, question=Question(number=number, at=NOW), event_id=event_id)


PAID = SessionFact(
    **OURS,
    session_id="cs_2",
    fact=Fact.PAID,
    payment_status="paid",
    payment_intent="pi_2",
    amount_subtotal=100,
    amount_total=100,
    currency="usd",
)


def settled(row: PaymentRecord, *facts: SessionFact | IntentFact) -> tuple[Verdict, bool, int | None]:
    """Enter facts; returns the last verdict, whether something is posted, and the number that is stored."""
    settlement = Settlement({ID: row}, board_tag="tag", livemode=False)
    verdict = [settlement.enter(fact) for fact in facts][-1]
    numbers = [move.answered_number for move in settlement.moves()]
    return verdict, bool(settlement.board_changes()), numbers[0] if numbers else None


def test_other_money_is_asked_about_first() -> None:
    """Without an answer beside it, the news of its payment posts nothing and is tried again."""
    assert settled(payment(5), PAID) == (Verdict.OVERTAKEN, False, None)


def test_other_money_that_is_there_posts() -> None:
    """With a new answer that says it is there, the message is posted."""
    assert settled(payment(5), answer(6), PAID) == (Verdict.APPLIED, True, 6)


def test_other_money_that_is_gone_posts_nothing() -> None:
    """With a new answer that says it went back, too, nothing is posted, and nothing is sent back again."""
    assert settled(payment(5), answer(6, refunded=True), PAID) == (Verdict.DUPLICATE_PAYMENT_MOVED, False, 6)


def test_an_older_answer_than_the_news_posts_nothing() -> None:
    """The news that it went back counts against every answer to an earlier question, also in another transaction."""
    verdict, is_posted, number = settled(payment(5), answer(9, refunded=True))
    assert (verdict, is_posted, number) == (Verdict.DUPLICATE_PAYMENT_MOVED, False, 9)
    assert number is not None
    assert settled(payment(number), answer(8), PAID) == (Verdict.OVERTAKEN, False, None)


def test_other_money_that_came_back_posts() -> None:
    """The news that its refund failed posts, although the news of its payment was passed over when it was gone."""
    assert settled(payment(5), answer(6, event_id="evt_1")) == (Verdict.APPLIED, True, 6)
    assert settled(payment(5), answer(4, event_id="evt_1")) == (Verdict.OVERTAKEN, False, None)
    assert settled(payment(5), answer(6)) == (Verdict.DUPLICATE_PAYMENT_MOVED, False, 6)
