"""The schema's version: what the database has, what this code needs, and the way from one to the other."""

from pathlib import Path

from sqlalchemy.engine import Connection

from paidchat.storage.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"


async def migrate(database: Database) -> None:
    """Bring the schema up to date in one transaction. Safe when several processes start at once."""
    async with database.transaction() as connection:
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    # Alembic takes a while to import, and only a start or an operator needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    command.upgrade(config, "head")
