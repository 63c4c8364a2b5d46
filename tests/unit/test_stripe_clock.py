"""Stripe's clock: what the Date header of its responses says about ours, whichever of the two jumps."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import time_machine

from paidchat.stripe.clock import StripeClock
from tests.support.logs import captured_logs

ZERO = timedelta(0)


def heard(ahead: timedelta, took_s: float = 0.0) -> StripeClock:
    """Return a clock that has seen one response, from a Stripe whose clock is this far ahead."""
    made = StripeClock()
    made.learn(format_datetime(datetime.now(UTC) + ahead, usegmt=True), time.monotonic() - took_s)
    return made


def seconds(offset: timedelta | None) -> float:
    """Return an offset in seconds, which must exist."""
    assert offset is not None
    return offset.total_seconds()


def test_before_the_first_answer_nothing_is_known() -> None:
    """Before the first response there is no offset, and the time is ours."""
    clock = StripeClock()
    assert clock.offset is None
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_clocks_that_agree_differ_by_nothing() -> None:
    """The header has whole seconds, and rounding is not an offset."""
    assert heard(ZERO).offset == ZERO


@pytest.mark.parametrize("ahead_s", [600, -600, 61, -61, 86400 * 400])
def test_a_difference_is_measured_and_made_up_for(ahead_s: int) -> None:
    """The offset is Stripe's time minus ours, and `now` is Stripe's time."""
    clock = heard(timedelta(seconds=ahead_s))
    assert seconds(clock.offset) == pytest.approx(ahead_s, abs=3)
    assert (clock.now() - datetime.now(UTC)).total_seconds() == pytest.approx(ahead_s, abs=3)


@pytest.mark.parametrize("ahead_s", [-29, -1, 0])
def test_a_slow_answer_is_no_difference(ahead_s: int) -> None:
    """A response that took 30 s may have been written at any time in between, so it proves no offset."""
    assert heard(timedelta(seconds=ahead_s), took_s=30).offset == ZERO


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(minutes=-10)])
def test_our_clock_jumps_after_the_answer(jump: timedelta) -> None:
    """When our clock is set after Stripe's response, the offset shows it at once and `now` stays right."""
    clock, right = heard(ZERO), datetime.now(UTC)
    with time_machine.travel(right + jump, tick=True):
        assert seconds(clock.offset) == pytest.approx(-jump.total_seconds(), abs=5)
        assert (clock.now() - right).total_seconds() == pytest.approx(0, abs=5)
    assert clock.offset == ZERO


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "yesterday",
        "Mon, 01 Jan 0001 00:00:00 +2300",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Mon, 99 Jan 2026 99:00:00 GMT",
        "9" * 5000,
    ],
)
def test_what_is_no_date_is_ignored(date: str | None) -> None:
    """A header that is missing, unreadable or absurd changes nothing."""
    clock = heard(timedelta(seconds=600))
    clock.learn(date, time.monotonic())
    assert seconds(clock.offset) == pytest.approx(600, abs=3)


def test_a_difference_is_logged_once_a_minute() -> None:
    """An offset of over a minute is logged as an error, at most once a minute; a smaller one is not logged."""
    with captured_logs() as logs:
        heard(timedelta(seconds=50))
        clock = StripeClock()
        for _ in range(3):
            clock.learn(format_datetime(datetime.now(UTC) - timedelta(seconds=90), usegmt=True), time.monotonic())
    [line] = logs
    assert (line["event"], line["log_level"]) == ("clock.differs", "error")
    assert line["stripe_minus_ours_s"] == pytest.approx(-90, abs=3)
