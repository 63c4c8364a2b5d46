"""The pins that the feed keeps: the first of many, as if the database had been asked."""

import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from paidchat.board import PINNED_MESSAGES, Pins
from paidchat.feed import pinned
from paidchat.feed.pinned import Pinned
from paidchat.records import MessageRecord
from paidchat.storage.clock import RunningClock

MOST = 40


def message(number: int, amount: int, lasts: timedelta) -> MessageRecord:
    """A message that is pinned from now on."""
    now = datetime.now(UTC)
    return MessageRecord(
        id=number,
        payment_id=str(number),
        text="Hello",
        author=None,
        amount=amount,
        currency="usd",
        posted_at=now,
        pinned_until=now + lasts,
        moderated=False,
        hidden=False,
    )


def in_order(messages: list[MessageRecord]) -> list[MessageRecord]:
    """Messages as the database would sort them."""
    return sorted(messages, key=lambda each: (-each.amount, -each.id))


@pytest.mark.parametrize("seed", range(20))
def test_what_is_followed_is_what_would_be_read(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Followed from any state, the first pins are those that a query would find, until it says that it is outdated."""
    monkeypatch.setattr(pinned, "KEPT_PINS", MOST)
    chance, now = random.Random(seed), RunningClock(datetime.now(UTC), time.monotonic())
    everything = [message(number, chance.choice([200, 500, 2000]), timedelta(hours=1)) for number in range(60)]
    kept = Pinned()
    kept.replace(Pins(in_order(everything)[:MOST], now))
    for number in range(60, 160):
        posted = message(number, chance.choice([200, 500, 2000]), timedelta(hours=1))
        kept.follow([replace(posted, pinned_until=None, id=1000 + number), posted])
        everything.append(posted)
        shown, until = kept.first()
        assert shown == in_order(everything)[:PINNED_MESSAGES], f"seed {seed}"
        assert until > time.monotonic()
        assert not kept.is_outdated


def test_it_is_outdated_when_too_few_of_many_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """If there were more than are kept, and most of these end, the others must be read."""
    monkeypatch.setattr(pinned, "KEPT_PINS", MOST)
    now = RunningClock(datetime.now(UTC), time.monotonic())
    ending = [message(number, 2000, timedelta(seconds=-1)) for number in range(MOST - PINNED_MESSAGES + 1)]
    lasting = [message(number, 500, timedelta(hours=1)) for number in range(PINNED_MESSAGES - 1)]
    kept = Pinned()
    kept.replace(Pins(in_order([*ending, *lasting]), now))
    assert kept.first()[0] == in_order(lasting)
    assert kept.is_outdated


def test_the_time_is_read_again_after_a_minute() -> None:
    """A clock that was read a minute ago is read again."""
    kept = Pinned()
    for age_s, expected in ((0, False), (pinned.MAX_AGE_S + 1, True)):
        kept.replace(Pins([], RunningClock(datetime.now(UTC), time.monotonic() - age_s)))
        assert kept.is_outdated is expected
