"""What is pinned at the end of the log, as the feed knows it, and the time by which pins end."""

import time
from bisect import insort
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from paidchat.board import PINNED_MESSAGES, Pins, next_end
from paidchat.records import MessageRecord
from paidchat.storage.clock import RunningClock

KEPT_PINS: Final = 1_000  # of those that are pinned, the first
MAX_AGE_S: Final = 60  # a clock that was set, or a machine that slept, makes no difference for longer


class Pinned:
    """The pinned messages, followed from the log. More are kept than are sent, since pins end by themselves."""

    def __init__(self) -> None:
        self._messages: list[MessageRecord] = []
        self._is_whole = True  # whether there are no others
        self.clock = RunningClock(datetime.now(UTC), time.monotonic())

    def replace(self, pins: Pins) -> None:
        """Begin again, with messages as they were read: KEPT_PINS at most."""
        self._messages = pins.messages
        self._is_whole = len(pins.messages) < KEPT_PINS
        self.clock = pins.clock

    def follow(self, posted: Iterable[MessageRecord]) -> None:
        """Add those that are pinned of the messages that were posted next."""
        for message in posted:
            if message.pinned_until is not None:
                self._add(message)

    def _add(self, message: MessageRecord) -> None:
        if not self._is_whole and self._messages and _place(message) > _place(self._messages[-1]):
            return  # others may be in between
        insort(self._messages, message, key=_place)
        if len(self._messages) > KEPT_PINS:
            self._messages.pop()
            self._is_whole = False

    def first(self) -> tuple[list[MessageRecord], float]:
        """Return those to show, and until when they are, by `time.monotonic`."""
        now = self.clock.now()
        self._messages = [message for message in self._messages if message.pinned_until and message.pinned_until > now]
        shown = self._messages[:PINNED_MESSAGES]
        ends_at = next_end(shown)
        return shown, time.monotonic() + MAX_AGE_S if ends_at is None else self.clock.monotonic(ends_at)

    @property
    def is_outdated(self) -> bool:
        """Whether it should be read again: the time is an old one, or those that are kept may not be the first."""
        is_short = not self._is_whole and len(self._messages) < KEPT_PINS // 2
        return is_short or time.monotonic() >= self.clock.began + MAX_AGE_S


def _place(message: MessageRecord) -> tuple[int, int]:
    return -message.amount, -message.id
