"""Transactions that a test keeps open while it awaits other things, as another process might."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Final
from weakref import WeakKeyDictionary

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_dbapi
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from paidchat.storage import sqlite
from paidchat.storage.database import Database
from paidchat.storage.outages import telling_outages
from paidchat.storage.postgresql import PostgreSQL
from paidchat.storage.sqlite_library import sqlite3


def _connect(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    return aiosqlite.Connection(lambda: sqlite3.connect(*arguments, **options), iter_chunk_size=64)


# aiosqlite's thread around the board's own copy of SQLite, because the board may be served by this process.
_DRIVER: Final[Any] = SimpleNamespace(**vars(sqlite3) | {"connect": _connect, "Connection": aiosqlite.Connection})
_MODULE: Final = AsyncAdapt_aiosqlite_dbapi(_DRIVER, sqlite3)
_engines: Final[WeakKeyDictionary[Database, AsyncEngine]] = WeakKeyDictionary()


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[AsyncConnection]:
    """Open a writing transaction: committed when the block ends, rolled back when it raises.

    Raises:
        DatabaseUnavailable: nothing was written.
    """
    with telling_outages():
        async with _engine(database).connect() as connection:
            await connection.execution_options(paidchat_writes=True)
            async with connection.begin():
                yield connection
                if database.backend == "postgresql":
                    await connection.exec_driver_sql("NOTIFY paidchat")
    database.changes.wake()


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator[AsyncConnection]:
    """Open a read-only transaction that sees one state of the database.

    Raises:
        DatabaseUnavailable: it cannot be read.
    """
    with telling_outages():
        async with _engine(database).connect() as connection:
            if database.backend == "postgresql":
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection


def _engine(database: Database) -> AsyncEngine:
    """Return an engine that lives as long as the database: a new one would compile every statement anew."""
    if isinstance(database._store, PostgreSQL):
        return database._store.engine
    if database not in _engines:
        url = database.url.set(drivername="sqlite+aiosqlite")
        engine = create_async_engine(
            url, module=_MODULE, poolclass=NullPool, connect_args={"timeout": sqlite.LOCK_TIMEOUT_S}
        )
        sqlite.prepare(engine.sync_engine, checkpoints=False)
        _engines[database] = engine
    return _engines[database]
