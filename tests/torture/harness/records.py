"""Records: direct access to the board's database in plain SQL, and a new database for each run."""

import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import BindParameter, Row, bindparam, create_engine, text
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, Pool

from paidchat.storage.sqlite_library import sqlite3

POSTGRESQL_DRIVER = "postgresql+asyncpg"


class Records:
    """A database, by the URL of the board's settings. If it keeps connections, it must be closed."""

    def __init__(self, url: str, *, pool: type[Pool] = NullPool) -> None:
        self.url = url
        parsed = make_url(url)
        self.file = Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None
        # SQLite is used without a thread of its own: a snapshot takes 2 ms instead of 6.
        self._engine: Engine | AsyncEngine = (
            create_engine(parsed, module=sqlite3, poolclass=pool)
            if self.file
            else create_async_engine(parsed.set(drivername=POSTGRESQL_DRIVER), poolclass=pool)
        )

    async def close(self) -> None:
        """Close its connections."""
        if isinstance(self._engine, Engine):
            self._engine.dispose()
        else:
            await self._engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["Reader"]:
        """Read a snapshot of the database, whether a board is running or not."""
        if isinstance(self._engine, Engine):
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                yield Reader(connection)
            return
        async with self._engine.connect() as remote:
            await remote.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield Reader(remote)

    async def change(self, *statements: str, **values: Any) -> None:
        """Change rows without the board, as if time had passed."""
        if isinstance(self._engine, Engine):
            with self._engine.begin() as connection:
                for statement in statements:
                    connection.execute(text(statement), values)
            return
        async with self._engine.begin() as remote:
            for statement in statements:
                await remote.execute(text(statement), values)

    @asynccontextmanager
    async def left_behind(self) -> AsyncIterator["Reader"]:
        """Read a copy of what a dead board left, because opening the files would recover them before the board does."""
        if self.file is None:
            async with self.reading() as reader:
                yield reader
            return
        with tempfile.TemporaryDirectory(dir=self.file.parent) as folder:
            for suffix in ("", "-wal"):
                found = self.file.with_name(self.file.name + suffix)
                if found.exists():
                    shutil.copy(found, folder)
            async with Records(f"sqlite:///{Path(folder) / self.file.name}").reading() as reader:
                yield reader

    @property
    def exists(self) -> bool:
        """Whether a board has created its tables yet."""
        return self.file is None or self.file.exists()


class Reader:
    """A snapshot of a database."""

    def __init__(self, connection: Connection | AsyncConnection) -> None:
        self._connection = connection

    async def rows(self, sql: str, **values: Any) -> list[Row[Any]]:
        """Return the rows of a statement; a list among the values is for `IN`."""
        lists: list[BindParameter[Any]] = [
            bindparam(name, expanding=True) for name, value in values.items() if isinstance(value, list)
        ]
        statement = text(sql).bindparams(*lists)
        if isinstance(self._connection, Connection):
            return list(self._connection.execute(statement, values))
        return list(await self._connection.execute(statement, values))

    async def missing(self, table: str, ids: Collection[str]) -> set[str]:
        """Return the ids that are not in a table."""
        return set(ids) - {
            row.id
            for chunk in _chunks(sorted(ids))
            for row in await self.rows(f"SELECT id FROM {table} WHERE id IN :ids", ids=chunk)  # noqa: S608 - our own names
        }

    async def has_tables(self) -> bool:
        """Tell whether the schema exists."""
        if isinstance(self._connection, Connection):
            return self._connection.dialect.has_table(self._connection, "stripe_event")
        return await self._connection.run_sync(lambda sync: sync.dialect.has_table(sync, "stripe_event"))

    async def damage(self) -> list[str]:
        """Return the errors that SQLite finds in its file; PostgreSQL has no such check."""
        if self._connection.dialect.name != "sqlite":
            return []
        found = [str(row[0]) for row in await self.rows("PRAGMA integrity_check")]
        broken = [str(tuple(row)) for row in await self.rows("PRAGMA foreign_key_check")]
        return [line for line in found if line != "ok"] + broken


def _chunks(ids: list[str]) -> list[list[str]]:
    return [ids[start : start + 500] for start in range(0, len(ids), 500)]


@asynccontextmanager
async def new_database(folder: Path, server: str | None) -> AsyncIterator[str]:
    """Yield the URL of an empty database: a file in the folder, or one on a PostgreSQL server, dropped at the end."""
    if server is None:
        yield f"sqlite:///{folder / 'paidchat.db'}"
        return
    async with _created(server) as url:
        yield url


@asynccontextmanager
async def copied(template: str, folder: Path) -> AsyncIterator[str]:
    """Yield the URL of a copy of an unused database, in the folder or on the same server."""
    parsed = make_url(template)
    if parsed.get_backend_name() == "sqlite":
        shutil.copy(str(parsed.database), folder / "paidchat.db")
        yield f"sqlite:///{folder / 'paidchat.db'}"
        return
    async with _created(template, f"TEMPLATE {parsed.database}") as url:
        yield url


@asynccontextmanager
async def _created(server: str, how: str = "") -> AsyncIterator[str]:
    parsed = make_url(server)
    name = f"torture_{uuid.uuid4().hex[:12]}"
    engine = create_async_engine(
        parsed.set(drivername=POSTGRESQL_DRIVER, database="postgres"),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
    )
    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"CREATE DATABASE {name} {how}")
    try:
        yield parsed.set(database=name).render_as_string(hide_password=False)
    finally:
        async with engine.connect() as connection:
            await connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
