"""Wake-ups: hints that something was committed. They carry no data; whoever is woken reads the database."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
import structlog
from sqlalchemy.engine import Connection as SyncConnection

from paidchat.storage.sessions import Connection, SessionNotKept, check_sessions

log = structlog.get_logger(__name__)

CHANNEL: Final = "paidchat"
PROBE_EVERY_S: Final = 5
PROBE_TIMEOUT_S: Final = 2
LONGEST_RETRY_S: Final = 5


class Wakeups:
    """Wakes one waiting task in this process. Hints that arrive while it is working are merged into one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Wake the waiter: there may be something to read."""
        self._event.set()

    async def wait(self, timeout_s: float) -> bool:
        """Wait for a hint, at most `timeout_s`; returns whether one came, at once if it did since the last call."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._event.wait()
        except TimeoutError:
            return False
        finally:
            self._event.clear()


def announce(connection: SyncConnection) -> None:
    """Wake the other processes if and when this transaction commits."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


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

    def _hear(self, *_notification: object) -> None:
        self.heard_at = time.monotonic()
        self._wakeups.wake()
