"""The database: runs functions in transactions, and is the only place that commits."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy.engine import URL, Connection, make_url

from paidchat.storage.group import Request
from paidchat.storage.notify import Wakeups
from paidchat.storage.outages import DatabaseUnavailable, telling_outages
from paidchat.storage.sqlite import SQLite
from paidchat.storage.writer import Writer

if TYPE_CHECKING:
    from paidchat.storage.postgresql import PostgreSQL
    from paidchat.storage.sessions import Connection as AsyncpgConnection

__all__ = ["Database", "DatabaseUnavailable"]

T = TypeVar("T")
P = ParamSpec("P")
Item = TypeVar("Item")


class Database:
    """The board's database, open inside `async with`. Every commit wakes the tasks that wait on `changes`.

    One process, the server, `checkpoints` a SQLite file: two could corrupt it in some versions (`sqlite_library`).
    """

    def __init__(self, url: str, *, checkpoints: bool = False) -> None:
        self.url: URL = make_url(url)
        self.backend = self.url.get_backend_name()
        self._given_url = url
        self._checkpoints = checkpoints
        self.changes = Wakeups()
        self.transactions = 0  # that may have written, and have ended; what was read before one may be out of date
        self._store: SQLite | PostgreSQL

    async def __aenter__(self) -> Self:
        """Create the engines, without connecting yet.

        Raises:
            DatabaseUnavailable: the file cannot be created.
        """
        if self.backend == "sqlite":
            self._store = SQLite(self.url, self.changes, checkpoints=self._checkpoints)
        else:
            # It imports asyncpg and SQLAlchemy's parts for it: 55 ms and 6.5 MiB that SQLite does without.
            from paidchat.storage.postgresql import PostgreSQL  # noqa: PLC0415

            self._store = PostgreSQL(self._given_url, self.changes)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection, after what waits has been written."""
        await self._store.close()

    async def connect(self, application_name: str = "paidchat") -> "AsyncpgConnection":
        """Open another connection to PostgreSQL, with timeouts on both sides.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError: as asyncpg does.
        """
        assert not isinstance(self._store, SQLite)  # noqa: S101 - SQLite is never listened to
        return await self._store.connect(application_name)

    async def check_sessions(self) -> None:
        """Check that connections keep their sessions, which they don't behind a transaction pooler.

        Raises:
            DatabaseUnavailable: they don't, or connecting failed.
        """
        if not isinstance(self._store, SQLite):
            await self._store.check_sessions()

    async def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a writing transaction: committed to disk when this returns, rolled back when it raises.

        Functions that come at once share a transaction, each in a savepoint. On SQLite it runs in the writer's thread,
        so that a transaction changes threads once and not at every statement: 8 payments are fulfilled in 7 ms instead
        of 19.

        Raises:
            DatabaseUnavailable: nothing was written, unless the connection broke while it committed.
            WriteInterrupted: the task that wrote was cancelled; it may have been written or not.
        """
        request = Request(lambda connection: work(connection, *args, **kwargs))
        written: T = await self._write(self._store.writer, request)
        return written

    async def write_together(
        self,
        work: Callable[[Connection, Sequence[Item]], Sequence[T]],
        items: Sequence[Item],
        *,
        locks_payments: bool = False,
    ) -> list[T]:
        """Run a function of items in a writing transaction, once for the items of all who come with it at once.

        It must return a result for each item, in order. If it raises, it is run again for the items of each of them.
        On PostgreSQL those that lock payments have a writer of their own, because another process may hold the locks.

        Raises:
            DatabaseUnavailable, WriteInterrupted: as `write` does.
        """
        writer = self._store.locking_writer if locks_payments else self._store.writer
        written: list[T] = await self._write(writer, Request(work, items))
        return written

    def check_room(self) -> None:
        """Raise DatabaseUnavailable if so many wait to write about payments that one more would be turned away."""
        with telling_outages():
            self._store.locking_writer.check_room()

    async def _write(self, writer: Writer, request: Request) -> Any:
        try:
            with telling_outages():
                return await writer.write(request)
        finally:
            self.transactions += 1

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a read-only transaction that sees one state of the database; on SQLite in a thread.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """
        with telling_outages():
            return await self._store.read(lambda connection: work(connection, *args, **kwargs))

    def version(self) -> int | None:
        """Return a number that differs after every commit of any process, or None if there is none.

        It is read from memory that SQLite shares between processes, in microseconds, without a thread.
        """
        return self._store.version() if isinstance(self._store, SQLite) else None
