"""The allowed changes of a payment's status, and the effects of facts about its money."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paidchat.domain import Fact, IllegalMove, PaymentState, PaymentStatus, learn, move

# The contract's table, word for word.
ALLOWED = {
    "pending": {"processing", "fulfilled", "expired", "refunded"},
    "processing": {"fulfilled", "failed", "refunded"},
    "expired": {"fulfilled", "refunded"},
    "failed": {"fulfilled", "refunded"},
    "fulfilled": {"refunded", "disputed"},
    "refunded": {"fulfilled"},
    "disputed": {"fulfilled"},
}
PAIRS = list(product(ALLOWED, ALLOWED))

facts = st.lists(st.sampled_from(Fact), max_size=12)


def after(*learned: Fact) -> PaymentState:
    """A new payment's state after these facts, in this order."""
    standing = PaymentState()
    for fact in learned:
        standing = learn(standing, fact)
    return standing


def is_shown(standing: PaymentState) -> bool:
    """Whether the payment's message is on the board."""
    return standing.posted and not standing.refunded and not standing.disputed


def test_the_statuses_are_those_of_the_contract() -> None:
    """There are seven statuses, with these names."""
    assert set(PaymentStatus) == set(ALLOWED)


@pytest.mark.parametrize(("current", "target"), [pair for pair in PAIRS if pair[1] in ALLOWED[pair[0]]])
def test_an_allowed_move_is_made(current: str, target: str) -> None:
    """A payment may change as the table allows."""
    assert move(PaymentStatus(current), PaymentStatus(target)) == target


@pytest.mark.parametrize("status", ALLOWED)
def test_a_repeated_move_does_nothing(status: str) -> None:
    """Changing to the same status does nothing."""
    assert move(PaymentStatus(status), PaymentStatus(status)) == status


@pytest.mark.parametrize(("current", "target"), [pair for pair in PAIRS if pair[1] not in ALLOWED[pair[0]] | {pair[0]}])
def test_any_other_move_is_refused(current: str, target: str) -> None:
    """A change that is not in the table raises an error with both statuses."""
    with pytest.raises(IllegalMove, match=f"{current}.*{target}"):
        move(PaymentStatus(current), PaymentStatus(target))


# The final state, whatever order the facts came in.
OUTCOMES = [
    ((Fact.PAID,), "fulfilled"),
    ((Fact.PROCESSING, Fact.PAID), "fulfilled"),
    ((Fact.PROCESSING, Fact.FAILED), "failed"),
    ((Fact.PROCESSING, Fact.FAILED, Fact.PAID), "fulfilled"),
    ((Fact.EXPIRED, Fact.PAID), "fulfilled"),
    ((Fact.PAID, Fact.PROCESSING, Fact.EXPIRED, Fact.FAILED), "fulfilled"),
    ((Fact.REFUNDED,), "refunded"),
    ((Fact.PAID, Fact.REFUNDED), "refunded"),
    ((Fact.PAID, Fact.PROCESSING, Fact.EXPIRED, Fact.FAILED, Fact.REFUNDED), "refunded"),
]


@pytest.mark.parametrize(("known", "status"), OUTCOMES, ids=str)
def test_the_order_of_facts_does_not_matter(known: tuple[Fact, ...], status: str) -> None:
    """In whatever order its facts come in, a payment ends in the same state."""
    assert {after(*order).status for order in permutations(known)} == {status}


@pytest.mark.parametrize("order", list(permutations([Fact.REFUNDED, Fact.PAID, Fact.PROCESSING, Fact.EXPIRED])))
def test_a_refund_before_the_payment_never_posts(order: tuple[Fact, ...]) -> None:
    """A message whose refund is known before its payment is never shown, not even for a moment."""
    refunded_at = order.index(Fact.REFUNDED)
    shown = [is_shown(after(*order[: count + 1])) for count in range(refunded_at, len(order))]
    assert not any(shown)


@pytest.mark.parametrize("order", list(permutations([Fact.DISPUTED, Fact.PAID, Fact.PROCESSING, Fact.EXPIRED])))
def test_a_dispute_before_the_payment_never_posts(order: tuple[Fact, ...]) -> None:
    """A message whose dispute is known before its payment is never shown while it is disputed."""
    disputed_at = order.index(Fact.DISPUTED)
    shown = [is_shown(after(*order[: count + 1])) for count in range(disputed_at, len(order))]
    assert not any(shown)


@pytest.mark.parametrize(
    ("history", "status"),
    [
        ([Fact.PAID, Fact.REFUNDED, Fact.REFUND_FAILED], "fulfilled"),
        ([Fact.REFUNDED, Fact.PAID, Fact.REFUND_FAILED], "fulfilled"),
        ([Fact.PAID, Fact.DISPUTED], "disputed"),
        ([Fact.PAID, Fact.DISPUTED, Fact.DISPUTE_WON], "fulfilled"),
        ([Fact.DISPUTED, Fact.PAID, Fact.DISPUTE_WON], "fulfilled"),
        ([Fact.PAID, Fact.DISPUTED, Fact.REFUNDED, Fact.DISPUTE_WON], "refunded"),
        ([Fact.PAID, Fact.REFUNDED, Fact.DISPUTED, Fact.REFUND_FAILED], "disputed"),
    ],
)
def test_money_that_comes_back_and_goes_again(history: list[Fact], status: str) -> None:
    """A failed refund or a won dispute makes a payment fulfilled again, unless another reason holds."""
    standing = after(*history)
    assert standing.status == status
    assert is_shown(standing) == (status == "fulfilled")


@given(facts)
def test_learning_twice_is_learning_once(history: list[Fact]) -> None:
    """A fact that is repeated immediately changes nothing."""
    standing = after(*history)
    for fact in history[-1:]:
        assert learn(standing, fact) == standing


@given(facts, st.sampled_from(Fact))
def test_paid_never_goes_back_to_unpaid(history: list[Fact], fact: Fact) -> None:
    """Once a payment is known to be paid, no fact makes it unpaid or moves its status back."""
    before = after(*history)
    then = learn(before, fact)
    settled = {"fulfilled", "refunded", "disputed"}
    assert then.paid or not before.paid
    assert then.posted or not before.posted
    assert then.status in settled or before.status not in settled


@given(facts)
def test_shown_means_fulfilled(history: list[Fact]) -> None:
    """A message is on the board exactly while its payment is fulfilled, and only after it was paid."""
    standing = after(*history)
    assert is_shown(standing) == (standing.status == "fulfilled")
    if standing.posted:
        assert standing.paid
        assert {Fact.PAID, Fact.REFUNDED, Fact.DISPUTED} & set(history)


@given(st.lists(st.sampled_from([Fact.PROCESSING, Fact.FAILED, Fact.EXPIRED, Fact.DISPUTE_WON, Fact.REFUND_FAILED])))
def test_without_money_nothing_is_posted(history: list[Fact]) -> None:
    """No number of facts posts a message unless one of them says that it was paid."""
    standing = after(*history)
    assert not standing.paid
    assert not standing.posted
    assert standing.status in {"pending", "processing", "failed", "expired"}
