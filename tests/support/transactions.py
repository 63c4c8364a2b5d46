"""Transactions that a test keeps open while it awaits other things, as another process might."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from paidchat.storage import sqlite
from paidchat.storage.database import Database
from paidchat.storage.outages import telling_outages


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
        engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": sqlite.LOCK_TIMEOUT_S})
        sqlite.prepare(engine.sync_engine)
    else:
        engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, async_creator=database.connect)
    try:
        yield engine
    finally:
        await engine.dispose()
