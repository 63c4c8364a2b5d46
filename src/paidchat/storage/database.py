"""The engine, what differs between SQLite and PostgreSQL, and the only commit."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from paidchat.storage.notify import Wakeups, announce
from paidchat.storage.postgres_url import connect_arguments
from paidchat.storage.sessions import Connection as AsyncpgConnection
from paidchat.storage.sessions import check_sessions

LOCK_TIMEOUT_S = 3  # for what another process holds; Stripe sends again, and a request that waits longer only piles up
# For our own turn to write on SQLite, where every commit waits for the disk. The queue is fair and moves, and a payer
# would rather wait than be sent away, but not for longer than Stripe waits for the answer to a webhook.
TURN_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 5
CONNECT_TIMEOUT_S = 3
# Set once connected and not while connecting: poolers such as PgBouncer refuse most settings there.
SESSION_SETTINGS = f"""
    SET lock_timeout = '{LOCK_TIMEOUT_S}s';
    SET statement_timeout = '{STATEMENT_TIMEOUT_S}s';
    SET idle_in_transaction_session_timeout = '10s' -- a process that hangs must not keep the counter from the others
"""
POOL_SIZE = 10  # connections a process holds to PostgreSQL, the listener's not among them
# Classes of PostgreSQL's errors that do not come from what was asked of it: connection, state, resources, a lock that
# could not be had, a deadlock that another transaction won, an operator's intervention, the system
# (postgresql.org/docs/current/errcodes-appendix.html).
_OUTAGES = frozenset({"08", "25", "40", "53", "55", "57", "58"})
LOCKED = frozenset({"55P03", "40P01"})  # waited for too long, or in a circle
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PRIMARY = 0xFF  # SQLite's extended codes carry the primary one in their lowest byte (sqlite.org/rescode.html)
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


class DatabaseUnavailable(Exception):
    """The database could not be reached, is locked, full or shutting down: any request would meet that.

    The text is the driver's own words. Other errors of the database's are bugs of ours, and come as SQLAlchemy's.
    """

    @property
    def is_locked(self) -> bool:
        """Whether another held it: for longer than we wait, or in a deadlock, which is rolled back."""
        state, code = _codes(self.__cause__)
        return state in LOCKED or (code is not None and code & _PRIMARY in _BUSY)


@contextmanager
def _telling_outages() -> Iterator[None]:
    """Raise DatabaseUnavailable for what is not the fault of what was asked. Inside, nothing else is waited for."""
    try:
        yield
    except Exception as error:
        if not _is_outage(error):
            raise
        raise DatabaseUnavailable(_words(error)) from error


def _is_outage(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeout | OSError | TimeoutError)
    state, code = _codes(error)
    if state is not None:
        return state[:2] in _OUTAGES
    if code is not None and code & _PRIMARY == sqlite3.SQLITE_ERROR:
        return False  # a table or a column that is not there
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def _codes(error: BaseException | None) -> tuple[str | None, int | None]:
    """Return PostgreSQL's and SQLite's code for an error, each None if it has none."""
    cause = _cause(error)
    return getattr(cause, "sqlstate", None), getattr(cause, "sqlite_errorcode", None)


def _cause(error: BaseException | None) -> BaseException | None:
    """Return the driver's own error where SQLAlchemy has wrapped it."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _words(error: Exception) -> str:
    cause = _cause(error)
    return str(cause) or type(cause).__name__


class Database:
    """The board's database, open inside `async with`. Every commit wakes whoever waits on `changes`."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.backend = parsed.get_backend_name()
        self.url: URL = parsed.set(drivername=DRIVERS[self.backend])
        self._given_url = url
        self.changes = Wakeups()
        self.engine: AsyncEngine
        # SQLite has one writer. Waiting for it here is fair and instant; waiting in SQLite is a sleep and a retry.
        self._one_writer = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Make the engine; nothing is connected yet.

        Raises:
            DatabaseUnavailable: there can be no file where it is to be.
        """
        if self.backend == "sqlite":
            with _telling_outages():
                _make_private(Path(str(self.url.database)))
            self.engine = create_async_engine(self.url, connect_args={"timeout": LOCK_TIMEOUT_S})
            _prepare_sqlite(self.engine)
        else:
            # The address goes to the driver as it is, so that it means the same here and to the listener.
            self.engine = create_async_engine(
                f"{DRIVERS['postgresql']}://",
                pool_size=POOL_SIZE,
                max_overflow=0,
                pool_timeout=LOCK_TIMEOUT_S,
                pool_pre_ping=True,
                async_creator=self.connect,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self.engine.dispose()

    async def connect(self, application_name: str = "paidchat") -> AsyncpgConnection:
        """Open one more connection to PostgreSQL, on which nothing waits for ever, on either side.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError: as asyncpg does.
        """
        connection = await asyncpg.connect(**self._arguments(application_name))
        try:
            await connection.execute(SESSION_SETTINGS)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def check_sessions(self) -> None:
        """Make sure that connections keep their sessions, which they don't behind a transaction pooler.

        Raises:
            DatabaseUnavailable: they don't, or there was no connection.
        """
        if self.backend != "postgresql":
            return
        try:
            await check_sessions(partial(asyncpg.connect, **self._arguments("paidchat check")))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            raise DatabaseUnavailable(_words(error)) from error

    def _arguments(self, application_name: str) -> dict[str, Any]:
        given = connect_arguments(self._given_url)
        named = {"application_name": application_name, **given.get("server_settings", {})}
        return {
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": STATEMENT_TIMEOUT_S,
            **given,
            "server_settings": named,
        }

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a writing transaction; it is on disk when the block has ended, or gone when the block raises.

        Never held across a network call: on SQLite it is the one writer.

        Raises:
            DatabaseUnavailable: nothing was written, unless the connection broke while it committed.
        """
        with _telling_outages():
            async with self._turn(), self._connected() as connection:
                await connection.execution_options(paidchat_writes=True)
                async with connection.begin():
                    yield connection
                    await announce(connection)
        self.changes.wake()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for our turn to write, where only one can, but not for ever: others are waiting too."""
        if self.backend != "sqlite":
            yield
            return
        try:
            async with asyncio.timeout(TURN_TIMEOUT_S):
                await self._one_writer.acquire()
        except TimeoutError:
            raise DatabaseUnavailable("others have been writing for too long") from None
        try:
            yield
        finally:
            self._one_writer.release()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that sees one state of the database and changes nothing.

        Raises:
            DatabaseUnavailable: it cannot be read just now.
        """
        with _telling_outages():
            async with self._connected() as connection:
                if self.backend == "postgresql":
                    await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                yield connection

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """Take a connection. Whatever keeps us from one, a wrong password as well, makes the database unavailable."""
        async with AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(self.engine.connect())
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                raise DatabaseUnavailable(_words(error)) from error
            yield connection


def _make_private(file: Path) -> None:
    """Make a file, and the folders that are missing above it, for our own user alone; what is there stays as it is.

    SQLite gives the files it puts beside a database the database's own permissions.
    """
    missing = [folder for folder in file.absolute().parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    if not file.exists():
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))


def _prepare_sqlite(engine: AsyncEngine) -> None:
    """Take the transactions out of the driver's hands: its own begin after the first read, and lose updates."""

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")  # money is on disk before the answer
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("paidchat_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
