"""SQLite: its file, its settings, and the threads that use it. One writes, since only one can, and a few read."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine

from paidchat.storage.group import Outcome, Request, run_group
from paidchat.storage.notify import Wakeups
from paidchat.storage.outages import telling_outages
from paidchat.storage.sqlite_library import sqlite3
from paidchat.storage.tail import Tail
from paidchat.storage.writer import Writer

LOCK_TIMEOUT_S = 3  # for a lock that another process holds; Stripe retries, and requests that wait longer only pile up
STATEMENT_TIMEOUT_S = 5
READERS = 4  # threads
INSTRUCTIONS = 10_000  # of SQLite's virtual machine between two looks at the clock, about a millisecond
T = TypeVar("T")


class SQLite:
    """The board's file, used in threads: a transaction changes threads once, not at every statement."""

    def __init__(self, url: URL, changes: Wakeups, *, checkpoints: bool) -> None:
        self._changes = changes
        self._file = str(url.database)
        with telling_outages():
            _make_private(Path(self._file))
        self.engine = create_engine(
            url.set(drivername="sqlite"),
            module=sqlite3,
            connect_args={"timeout": LOCK_TIMEOUT_S},
            json_deserializer=msgspec.json.decode,  # of each payment read: 2 µs instead of 8
        )
        prepare(self.engine, checkpoints=checkpoints)
        self.writer = self.locking_writer = Writer(self._commit, self._commit)
        self._thread = ThreadPoolExecutor(1, "paidchat-writer")
        self._writing: Connection | None = None
        self._readers = ThreadPoolExecutor(READERS, "paidchat-reader")
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
        for threads in (self._thread, self._readers):
            await asyncio.to_thread(threads.shutdown)
        if self._writing is not None:  # a group whose task was cancelled may have used it until now
            self._writing.close()
        self.engine.dispose()

    async def _commit(self, group: Sequence[Request]) -> list[Outcome]:
        running = asyncio.get_running_loop().run_in_executor
        outcomes, tail = await running(self._thread, copy_context().run, self._write, group)
        self._changes.wake(tail)
        return outcomes

    def _write(self, group: Sequence[Request]) -> tuple[list[Outcome], Tail]:
        # Kept: taking one from the pool takes 0.1 ms, which a lone webhook's viewers wait for.
        if self._writing is None:
            self._writing = self.engine.connect().execution_options(paidchat_writes=True)
        try:
            with self._writing.begin():
                return run_group(self._writing, group)
        except BaseException:
            # A COMMIT that failed has left its transaction open (sqlite.org/lang_transaction.html). The pool ends it.
            broken, self._writing = self._writing, None
            broken.close()
            raise

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
        with self.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(lambda: time.monotonic() > deadline, INSTRUCTIONS)
            try:
                return work(connection)
            finally:
                driver.set_progress_handler(None, 0)


def _make_private(file: Path) -> None:
    """Create a file and its missing parent folders, accessible only by our user; existing ones are left alone.

    SQLite gives the files beside a database the same permissions.
    """
    missing = [folder for folder in file.absolute().parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    if not file.exists():
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))


def prepare(engine: Engine, *, checkpoints: bool) -> None:
    """Begin transactions ourselves: the driver begins them after the first read, which loses updates.

    Without `checkpoints` no commit checkpoints, however long the WAL is. The last connection to the file still does
    when it is closed, under an exclusive lock.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")  # payments are on disk before the response
        cursor.execute("PRAGMA foreign_keys = ON")
        if not checkpoints:
            cursor.execute("PRAGMA wal_autocheckpoint = 0")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("paidchat_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
