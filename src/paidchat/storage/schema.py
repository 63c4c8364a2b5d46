"""The schema's version: what the database has, what this code needs, and the way from one to the other."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from paidchat.storage.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0002"  # the newest revision; a test holds it to the folder
PATIENCE_S = 60  # for another process's migration
RETRY_S = 0.2
LOCK = 0x7061_6964  # one number for the advisory lock, whoever migrates


class SchemaOutOfDate(Exception):
    """The database's schema is not the one that this code needs."""


async def migrate(database: Database) -> None:
    """Bring the schema up to date in one transaction. Safe when several processes start at once."""
    upgrade = _alembic()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            async with database.transaction() as connection:
                if database.backend == "postgresql":  # SQLite's one writer is lock enough
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
                if await revision(connection) != HEAD:
                    await connection.run_sync(upgrade)
        except DBAPIError as error:
            # Another process is at it for longer than a request would wait.
            if "lock" not in str(error.orig) or time.monotonic() > deadline:
                raise
            await asyncio.sleep(RETRY_S)
        else:
            return


async def prepare(database: Database) -> None:
    """Make sure that the schema is up to date: SQLite's is brought there, a shared database's must be.

    Raises:
        SchemaOutOfDate: with the command to run.
    """
    async with database.reading() as connection:
        found = await revision(connection)
    if found == HEAD:
        return
    if database.backend == "postgresql":
        has = f"is at revision {found}" if found else "is empty"
        raise SchemaOutOfDate(f"The database {has}, and this version needs {HEAD}. Run: paidchat migrate")
    await migrate(database)


async def revision(connection: AsyncConnection) -> str | None:
    """Return the revision that the database has, None for an empty one."""
    if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
        return None
    return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()


def _alembic() -> Callable[[Connection], None]:
    """Return Alembic's upgrade. It takes a while to import, so only a migration does, and before it holds a lock."""
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    def upgrade(connection: Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "head")

    return upgrade
