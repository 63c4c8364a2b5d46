"""Wake-ups: hints that something was committed. Whoever is woken reads the database, unless the hint says it all."""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from paidchat.storage.tail import Tail

log = structlog.get_logger(__name__)

CHANNEL: Final = "paidchat"
MOST_HINTS: Final = 100  # that are kept; instead of more, the waiter reads


class Wakeups:
    """Wakes one waiting task in this process. Hints that arrive while it is working are kept for it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._hints: list[Tail | None] = []
        self.ours: Final = secrets.token_hex(8)  # what notifications of this process carry

    def wake(self, tail: Tail | None = None) -> None:
        """Wake the waiter: there may be something to read; or this process committed a transaction with this tail."""
        self._hints = [*self._hints, tail] if len(self._hints) < MOST_HINTS else [None]
        self._event.set()

    async def wait(self, timeout_s: float) -> list[Tail | None]:
        """Wait for hints, at most `timeout_s`; returns those since the last call, at once if there are some.

        None stands for a hint without a tail.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        self._event.clear()
        hints, self._hints = self._hints, []
        return hints


class Announcer:
    """Tells other processes of commits, after them; those that come while it is telling are announced together.

    In a transaction, NOTIFY would take a lock on the whole server until the commit is on disk
    (postgresql.org/docs/current/sql-notify.html), and a round trip before the response. A hint that is lost costs the
    others the time until they poll.
    """

    def __init__(self, notify: Callable[[], Awaitable[None]]) -> None:
        self._notify = notify
        self._is_due = False
        self._telling: asyncio.Task[None] | None = None

    def announce(self) -> None:
        """Tell the others soon that there was a commit."""
        self._is_due = True
        if self._telling is None or self._telling.done():
            # Not in a task group: whoever wrote doesn't wait for it, and `close` does.
            self._telling = asyncio.create_task(self._tell(), name="paidchat:announcer")

    async def close(self) -> None:
        """Wait until everything has been announced."""
        if self._telling is not None:
            await asyncio.wait({self._telling})

    async def _tell(self) -> None:
        while self._is_due:
            self._is_due = False
            try:
                await self._notify()
            except Exception as error:  # noqa: BLE001 - only a hint
                log.warning("announcer.failed", error=str(error) or type(error).__name__)
