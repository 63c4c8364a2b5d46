"""The listener: hears of what other processes have committed to PostgreSQL."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
import structlog

from paidchat.storage.notify import CHANNEL, Wakeups
from paidchat.storage.sessions import Connection, SessionNotKept, check_sessions

log = structlog.get_logger(__name__)

PROBE_EVERY_S: Final = 5
PROBE_TIMEOUT_S: Final = 2
LONGEST_RETRY_S: Final = 5


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
