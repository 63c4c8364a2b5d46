"""Transactions that a test keeps open while it awaits other things, as another process might."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Final

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_dbapi
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from paidchat.storage import sqlite
from paidchat.storage.database import Database
from paidchat.storage.outages import telling_outages
from paidchat.storage.sqlite_library import sqlite3


def _connect(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    return aiosqlite.Connection(lambda: sqlite3.connect(*arguments, **options), iter_chunk_size=64)


# aiosqlite's thread around the board's own copy of SQLite, because the board may be served by this process.
_DRIVER: Final[Any] = SimpleNamespace(**vars(sqlite3) | {"connect": _connect, "Connection": aiosqlite.Connection})
_MODULE: Final = AsyncAdapt_aiosqlite_dbapi(_DRIVER, sqlite3)


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[AsyncConnection]:
    """Open a writing transaction: committed when the block ends, rolled back when it raises.

    Raises:
        DatabaseUnavailable: nothing was written.
    """
    async with _engine(database) as engine:
        with telling_outages():
            async with engine.connect() as connection:
                await connection.execution_options(paidchat_writes=True)
                async with connection.begin():
                    yield connection
        if database.backend == "postgresql":
            async with engine.begin() as connection:
                await connection.exec_driver_sql("NOTIFY paidchat")
    database.changes.wake()


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator[AsyncConnection]:
    """Open a read-only transaction that sees one state of the database.

    Raises:
        DatabaseUnavailable: it cannot be read.
    """
    async with _engine(database) as engine:
        with telling_outages():
            async with engine.connect() as connection:
                if database.backend == "postgresql":
                    await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                yield connection


@asynccontextmanager
async def _engine(database: Database) -> AsyncIterator[AsyncEngine]:
    if database.backend == "sqlite":
        url = database.url.set(drivername="sqlite+aiosqlite")
        engine = create_async_engine(
            url, module=_MODULE, poolclass=NullPool, connect_args={"timeout": sqlite.LOCK_TIMEOUT_S}
        )
        sqlite.prepare(engine.sync_engine, checkpoints=False)
    else:
        engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, async_creator=database.connect)
    try:
        yield engine
    finally:
        await engine.dispose()
