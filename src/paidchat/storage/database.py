"""The database: its engine, the differences between SQLite and PostgreSQL, and the only place that commits."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import asyncpg
from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from paidchat.storage.notify import Wakeups, announce
from paidchat.storage.postgres_url import connect_arguments
from paidchat.storage.sessions import Connection as AsyncpgConnection
from paidchat.storage.sessions import check_sessions
from paidchat.storage.writer import Crowded, Writer

LOCK_TIMEOUT_S = 3  # for a lock that another process holds; Stripe retries, and requests that wait longer only pile up
STATEMENT_TIMEOUT_S = 5
CONNECT_TIMEOUT_S = 3
# Set after connecting, not while connecting: poolers such as PgBouncer reject most settings there.
SESSION_SETTINGS = f"""
    SET lock_timeout = '{LOCK_TIMEOUT_S}s';
    SET statement_timeout = '{STATEMENT_TIMEOUT_S}s';
    SET idle_in_transaction_session_timeout = '10s' -- a hanging process must not lock the counter for the others
"""
READERS = 4  # threads that read SQLite
INSTRUCTIONS = 10_000  # of SQLite's virtual machine between two looks at the clock, about a millisecond
POOL_SIZE = 10  # connections per process, besides the listener's
# Classes of PostgreSQL errors that the statement did not cause: connection, state, resources, a lock timeout,
# a deadlock, an operator's intervention, the system
# (postgresql.org/docs/current/errcodes-appendix.html).
_OUTAGES = frozenset({"08", "25", "40", "53", "55", "57", "58"})
LOCKED = frozenset({"55P03", "40P01"})  # lock timeout, deadlock
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PRIMARY = 0xFF  # the lowest byte of SQLite's extended codes is the primary code (sqlite.org/rescode.html)
T = TypeVar("T")
P = ParamSpec("P")
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


class DatabaseUnavailable(Exception):
    """The database is unreachable, locked, full or shutting down, so any request would fail.

    The text is the driver's. Other database errors are bugs of ours and are raised as SQLAlchemy's.
    """

    @property
    def is_locked(self) -> bool:
        """Whether the cause was a lock: a timeout, or a deadlock, in which our transaction was rolled back."""
        state, code = _codes(self.__cause__)
        return state in LOCKED or (code is not None and code & _PRIMARY in _BUSY)


@contextmanager
def _telling_outages() -> Iterator[None]:
    """Translate outages into DatabaseUnavailable. Await nothing but the database inside."""
    try:
        yield
    except Exception as error:
        if not _is_outage(error):
            raise
        raise DatabaseUnavailable(_words(error)) from error


def _is_outage(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeout | OSError | TimeoutError | Crowded)
    state, code = _codes(error)
    if state is not None:
        return state[:2] in _OUTAGES
    if code is not None and code & _PRIMARY == sqlite3.SQLITE_ERROR:
        return False  # a missing table or column
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def _codes(error: BaseException | None) -> tuple[str | None, int | None]:
    """Return PostgreSQL's and SQLite's code for an error, each None if it has none."""
    cause = _cause(error)
    return getattr(cause, "sqlstate", None), getattr(cause, "sqlite_errorcode", None)


def _cause(error: BaseException | None) -> BaseException | None:
    """Return the driver's error, unwrapped from SQLAlchemy's."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _words(error: Exception) -> str:
    cause = _cause(error)
    return str(cause) or type(cause).__name__


class Database:
    """The board's database, open inside `async with`. Every commit wakes the tasks that wait on `changes`."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.backend = parsed.get_backend_name()
        self.url: URL = parsed.set(drivername=DRIVERS[self.backend])
        self._given_url = url
        self.changes = Wakeups()
        self.transactions = 0  # that may have written, and have ended; what was read before one may be out of date
        self.engine: AsyncEngine
        self._sqlite: _SQLite | None = None

    async def __aenter__(self) -> Self:
        """Create the engine, without connecting yet.

        Raises:
            DatabaseUnavailable: the file cannot be created.
        """
        if self.backend == "sqlite":
            with _telling_outages():
                _make_private(Path(str(self.url.database)))
            self.engine = create_async_engine(self.url, connect_args={"timeout": LOCK_TIMEOUT_S})
            _prepare_sqlite(self.engine.sync_engine)
            self._sqlite = _SQLite(self.url)
        else:
            # The URL goes to the driver unchanged, so it means the same here as to the listener.
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
        if self._sqlite is not None:
            await self._sqlite.close()
        await self.engine.dispose()

    async def connect(self, application_name: str = "paidchat") -> AsyncpgConnection:
        """Open another connection to PostgreSQL, with timeouts on both sides.

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
        """Check that connections keep their sessions, which they don't behind a transaction pooler.

        Raises:
            DatabaseUnavailable: they don't, or connecting failed.
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
        """Open a writing transaction: committed to disk when the block ends, rolled back when it raises.

        Never hold it across a network call: SQLite has only one writer.

        Raises:
            DatabaseUnavailable: nothing was written, unless the connection broke while it committed.
        """
        try:
            with _telling_outages():
                async with self._turn(), self._connected() as connection:
                    await connection.execution_options(paidchat_writes=True)
                    async with connection.begin():
                        yield connection
                        await announce(connection)
        finally:
            self.transactions += 1
        self.changes.wake()

    async def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a writing transaction: committed to disk when this returns, rolled back when it raises.

        On SQLite it runs whole in the writer's thread, so that a transaction changes threads once and not at every
        statement: 8 payments are fulfilled in 7 ms instead of 19. Functions that come at once share a transaction.

        Raises:
            DatabaseUnavailable: nothing was written, unless the connection broke while it committed.
        """
        if self._sqlite is None:
            async with self.transaction() as connection:
                return await connection.run_sync(work, *args, **kwargs)
        try:
            with _telling_outages():
                written: T = await self._sqlite.writer.write(lambda connection: work(connection, *args, **kwargs))
        finally:
            self.transactions += 1
        self.changes.wake()
        return written

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a read-only transaction that sees one state of the database; on SQLite in a thread.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """
        if self._sqlite is None:
            async with self.reading() as connection:
                return await connection.run_sync(work, *args, **kwargs)
        with _telling_outages():
            return await self._sqlite.read(lambda connection: work(connection, *args, **kwargs))

    def version(self) -> int | None:
        """Return a number that differs after every commit of any process, or None if there is none.

        It is read from memory that SQLite shares between processes, in microseconds, without a thread.
        """
        return None if self._sqlite is None else self._sqlite.version()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait, with a timeout, for our turn to write where only one transaction can."""
        if self._sqlite is None:
            yield
            return
        async with self._sqlite.writer.alone():
            yield

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a read-only transaction that sees one state of the database.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """
        with _telling_outages():
            async with self._connected() as connection:
                if self.backend == "postgresql":
                    await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                yield connection

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """Take a connection. Any failure to connect, even a wrong password, means that the database is unavailable."""
        async with AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(self.engine.connect())
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                raise DatabaseUnavailable(_words(error)) from error
            yield connection


def _make_private(file: Path) -> None:
    """Create a file and its missing parent folders, accessible only by our user; existing ones are left alone.

    SQLite gives the files beside a database the same permissions.
    """
    missing = [folder for folder in file.absolute().parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    if not file.exists():
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))


class _SQLite:
    """The threads that use SQLite: one writes, since only one can, and a few read."""

    def __init__(self, url: URL) -> None:
        self._engine = create_engine(url.set(drivername="sqlite"), connect_args={"timeout": LOCK_TIMEOUT_S})
        _prepare_sqlite(self._engine)
        self.writer = Writer(self._engine, _is_outage)
        self._readers = ThreadPoolExecutor(READERS, "paidchat-reader")
        self._file = str(url.database)
        self._watching: sqlite3.Connection | None = None

    def version(self) -> int | None:
        """Return SQLite's number of this file's version, or None if it can't be read (sqlite.org/pragma.html)."""
        try:
            if self._watching is None:
                self._watching = sqlite3.connect(self._file, timeout=0, isolation_level=None)
            found: int = self._watching.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            return None
        return found

    async def close(self) -> None:
        """Wait for what is running, and close the connections."""
        if self._watching is not None:
            self._watching.close()
        await self.writer.close()
        await asyncio.to_thread(self._readers.shutdown)
        self._engine.dispose()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a function in a reader's thread, in the context of its caller.

        Raises:
            TimeoutError: its turn did not come. A query that takes too long is an OperationalError.
        """
        running = asyncio.get_running_loop().run_in_executor(self._readers, copy_context().run, self._read, work)
        async with asyncio.timeout(2 * STATEMENT_TIMEOUT_S):
            return await running

    def _read(self, work: Callable[[Connection], T]) -> T:
        deadline = time.monotonic() + STATEMENT_TIMEOUT_S
        with self._engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(lambda: time.monotonic() > deadline, INSTRUCTIONS)
            try:
                return work(connection)
            finally:
                driver.set_progress_handler(None, 0)


def _prepare_sqlite(engine: Engine) -> None:
    """Begin transactions ourselves: the driver begins them after the first read, which loses updates."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")  # payments are on disk before the response
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("paidchat_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
