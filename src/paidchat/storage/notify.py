"""Wake-ups: hints that something was committed. Whoever is woken reads the database, unless the hint says it all."""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
import structlog

from paidchat.storage.sessions import Connection, SessionNotKept, check_sessions
from paidchat.storage.tail import Tail

log = structlog.get_logger(__name__)

CHANNEL: Final = "paidchat"
PROBE_EVERY_S: Final = 5
PROBE_TIMEOUT_S: Final = 2
LONGEST_RETRY_S: Final = 5
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


class Listener:
    """Turns PostgreSQL notifications into wake-ups, on a connection of its own.

    The connection is probed, since a dead or frozen one raises nothing. While it is reconnecting, or if a
    notification is lost, the waiter's polling is the fallback.
    """

    def __init__(self, wakeups: Wakeups, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._wakeups = wakeups
        self._connect = connect
        self.heard_at: float | None = None  # when PostgreSQL last responded, on the monotonic clock
        self.fault: str | None = None  # why it isn't listening, for the operator

    async def run(self) -> None:
        """Listen until cancelled."""
        failures = 0
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                failures = 0 if self.heard_at else failures + 1
                self.heard_at = None
                self.fault = str(error) if isinstance(error, SessionNotKept) else None
                log.warning("listener.lost", error=str(error) or type(error).__name__)
            await asyncio.sleep(random.uniform(0, min(0.1 * 2**failures, LONGEST_RETRY_S)))  # noqa: S311 - jitter

    async def _listen(self) -> None:
        await check_sessions(self._connect)
        self.fault = None
        connection = await self._connect()
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        try:
            await connection.add_listener(CHANNEL, self._hear)
            self._wakeups.wake()  # for anything committed while disconnected
            while not ended.is_set():
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    await connection.execute("SELECT 1")
                self.heard_at = time.monotonic()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PROBE_EVERY_S):
                        await ended.wait()
            raise ConnectionError("PostgreSQL ended the connection")
        finally:
            # Closing politely would wait for a server that may be gone.
            connection.terminate()

    def _hear(self, _connection: object, _process: int, _channel: str, payload: str) -> None:
        self.heard_at = time.monotonic()
        if payload != self._wakeups.ours:
            self._wakeups.wake()
