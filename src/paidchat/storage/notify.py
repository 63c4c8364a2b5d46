"""Wake-ups: a hint that something was committed. Whoever is woken reads; nothing is ever carried in the hint."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from paidchat.storage.sessions import Connection, SessionNotKept, check_sessions

log = structlog.get_logger(__name__)

CHANNEL: Final = "paidchat"
PROBE_EVERY_S: Final = 5
PROBE_TIMEOUT_S: Final = 2
LONGEST_RETRY_S: Final = 5


class Wakeups:
    """Wakes one waiter, in this process. Hints that arrive while it works are folded into one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Say that there may be something to read."""
        self._event.set()

    async def wait(self, timeout_s: float) -> None:
        """Return at the next hint, at the one that came since the last call, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return
        finally:
            self._event.clear()


async def announce(connection: AsyncConnection) -> None:
    """Wake the other processes when this transaction commits, and only then."""
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


class Listener:
    """Passes PostgreSQL's notifications on as wake-ups, over a connection of its own.

    A connection that died or froze tells nobody, so it is probed; while it is being made anew, and should a
    notification be lost, the waiter's own polling carries on.
    """

    def __init__(self, wakeups: Wakeups, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._wakeups = wakeups
        self._connect = connect
        self.heard_at: float | None = None  # the last sign of life, on the monotonic clock
        self.fault: str | None = None  # why it can't hear anything: words for the operator

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
            self._wakeups.wake()  # for what was committed while nobody listened
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

    def _hear(self, *_notification: object) -> None:
        self.heard_at = time.monotonic()
        self._wakeups.wake()
