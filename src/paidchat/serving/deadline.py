"""Deadlines: one timer per connection, however often its deadline moves."""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls back when a connection's time is up.

    A request moves it four times, nearly always to later. The timer stays where it is then, and when it fires it is set
    for the rest of the time: 0.2 µs a move instead of 1.4.
    """

    __slots__ = ("_due", "_expire", "_fires_at", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._fires_at = 0.0

    def set(self, seconds: float) -> None:
        """Call back after so many seconds, instead of when it was set for before."""
        self._due = self._loop.time() + seconds
        if self._timer is None or self._due < self._fires_at:
            self._start_timer()

    def cancel(self) -> None:
        """Don't call back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start_timer(self) -> None:
        self.cancel()
        self._fires_at = self._due
        self._timer = self._loop.call_at(self._due, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._loop.time() < self._due:
            self._start_timer()
        else:
            self._expire()
