"""The schema's version: what the database has, what this code needs, and the way from one to the other."""

from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.engine import Connection

from paidchat.storage.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0001"  # the newest revision; a test holds it to the folder


async def migrate(database: Database) -> None:
    """Bring the schema up to date in one transaction. Safe when several processes start at once."""
    if await revision(database) == HEAD:
        return
    async with database.transaction() as connection:
        await connection.run_sync(_upgrade)


async def revision(database: Database) -> str | None:
    """Return the revision that the database has, None for an empty one."""
    async with database.reading() as connection:
        if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
            return None
        return str((await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar_one())


def _upgrade(connection: Connection) -> None:
    # Alembic takes a while to import, and only a start or an operator needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    command.upgrade(config, "head")
