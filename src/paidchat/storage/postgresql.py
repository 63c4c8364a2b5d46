"""PostgreSQL: a pool of connections to read, and two writers, each with a connection of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import asyncpg
import msgspec
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from paidchat.storage.group import Outcome, Request, run_group
from paidchat.storage.notify import CHANNEL, Announcer, Wakeups
from paidchat.storage.outages import DatabaseUnavailable, words
from paidchat.storage.postgres_url import connect_arguments
from paidchat.storage.sessions import Connection as AsyncpgConnection
from paidchat.storage.sessions import check_sessions
from paidchat.storage.tail import Tail
from paidchat.storage.writer import TURN_TIMEOUT_S, Writer

LOCK_TIMEOUT_S = 3  # for a lock that another process holds; Stripe retries, and requests that wait longer only pile up
# In a group, whose other functions wait for it too. A function that has met a lock is tried again by itself.
GROUP_LOCK_TIMEOUT_S = 0.5
STATEMENT_TIMEOUT_S = 5
CONNECT_TIMEOUT_S = 3
# Set after connecting, not while connecting: poolers such as PgBouncer reject most settings there.
SESSION_SETTINGS = f"""
    SET statement_timeout = '{STATEMENT_TIMEOUT_S}s';
    SET idle_in_transaction_session_timeout = '10s'; -- a hanging process must not lock the counter for the others
    SET lock_timeout =
"""
POOL_SIZE = 8  # connections per process, besides the writers' two and the listener's
ALONE_AT_ONCE = 4  # functions in a transaction each, so that those that wait for locks leave connections for others
DRIVER = "postgresql+asyncpg"
T = TypeVar("T")


class PostgreSQL:
    """The board's database on a server.

    Fulfilments have a writer of their own, so that a payment that another process has locked never delays those who
    start one.
    """

    def __init__(self, url: str, changes: Wakeups) -> None:
        self._changes = changes
        self._url = url
        self.engine = self._engine(POOL_SIZE, LOCK_TIMEOUT_S)
        self._writing = [self._engine(1, GROUP_LOCK_TIMEOUT_S) for _ in range(2)]
        self.announcer = Announcer(self._notify)
        self._alone = asyncio.Semaphore(ALONE_AT_ONCE)
        self.writer, self.locking_writer = (
            Writer(partial(self._commit, engine), self._commit_alone) for engine in self._writing
        )

    def _engine(self, size: int, lock_timeout_s: float) -> AsyncEngine:
        # The URL goes to the driver unchanged, so it means the same here as to the listener.
        engine = create_async_engine(
            f"{DRIVER}://",
            pool_size=size,
            max_overflow=0,
            pool_timeout=LOCK_TIMEOUT_S,
            json_deserializer=msgspec.json.decode,  # of each payment read: 2 µs instead of 8
            async_creator=partial(self.connect, lock_timeout_s=lock_timeout_s),
        )
        event.listen(engine.sync_engine, "checkout", _check_open)
        return engine

    async def close(self) -> None:
        """Write what waits, and close every connection."""
        for writer in (self.writer, self.locking_writer):
            await writer.close()
        await self.announcer.close()
        for engine in (self.engine, *self._writing):
            await engine.dispose()

    async def connect(
        self, application_name: str = "paidchat", lock_timeout_s: float = LOCK_TIMEOUT_S
    ) -> AsyncpgConnection:
        """Open another connection, with timeouts on both sides.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError: as asyncpg does.
        """
        connection = await asyncpg.connect(**self._arguments(application_name))
        try:
            await connection.execute(f"{SESSION_SETTINGS} '{lock_timeout_s * 1000:.0f}ms'")
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def check_sessions(self) -> None:
        """Check that connections keep their sessions, which they don't behind a transaction pooler.

        Raises:
            DatabaseUnavailable: they don't, or connecting failed.
        """
        try:
            await check_sessions(partial(asyncpg.connect, **self._arguments("paidchat check")))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            raise DatabaseUnavailable(words(error)) from error

    def _arguments(self, application_name: str) -> dict[str, Any]:
        given = connect_arguments(self._url)
        named = {"application_name": application_name, **given.get("server_settings", {})}
        return {
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": STATEMENT_TIMEOUT_S,
            **given,
            "server_settings": named,
        }

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a function in a read-only transaction that sees one state of the database."""
        async with connected(self.engine) as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return await connection.run_sync(work)

    async def _notify(self) -> None:
        async with connected(self.engine) as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql(f"NOTIFY {CHANNEL}, '{self._changes.ours}'")

    async def _commit(self, engine: AsyncEngine, group: Sequence[Request]) -> list[Outcome]:
        async with connected(engine) as connection:
            outcomes, tail = await connection.run_sync(_write, group)
        self._changes.wake(tail)
        self.announcer.announce()
        return outcomes

    async def _commit_alone(self, group: Sequence[Request]) -> list[Outcome]:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(TURN_TIMEOUT_S):
                await stack.enter_async_context(self._alone)
            return await self._commit(self.engine, group)


def _write(connection: Connection, group: Sequence[Request]) -> tuple[list[Outcome], Tail]:
    with connection.begin():
        return run_group(connection, group)


def _check_open(connection: Any, _record: Any, _proxy: Any) -> None:
    """Have a connection replaced that has ended since it was used: the driver knows, without asking the server."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Take a connection. Any failure to connect, even a wrong password, means that the database is unavailable.

    Raises:
        DatabaseUnavailable: connecting failed.
    """
    async with AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(engine.connect())
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            raise DatabaseUnavailable(words(error)) from error
        yield connection
