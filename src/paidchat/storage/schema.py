"""The schema's version: which one the database has, which one this program needs, and migrating.

Revisions are four digits with leading zeros, so comparing them as strings is comparing them as numbers. A schema that
is newer than this program names the oldest revision whose programs may still use it (`compatibility.works_with`), so
that old and new processes can run side by side during an upgrade.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from paidchat.storage.database import Database, DatabaseUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0004"  # the newest revision; a test compares it with the folder
FIRST = "0001"
LOCK_WAIT_S = 60  # for another process's migration
RETRY_S = 0.2
LOCK = 0x7061_6964  # key of the advisory lock for migrating
_REVISION = re.compile(r"[0-9]{4}")
_UPDATE = "Update the program."


class SchemaOutOfDate(Exception):
    """This program cannot use the database's schema. The message names the remedy."""


class Fit(StrEnum):
    """Whether this program can use a schema."""

    CURRENT = "current"
    BEHIND = "behind"  # it can after a migration; also an empty database
    NEWER = "newer"  # it can, although a newer program migrated it
    REFUSED = "refused"  # it is too new, or not ours


@dataclass(frozen=True, slots=True)
class Schema:
    """A database's schema.

    Attributes:
        revision: The database's revision; None if it is empty.
        fit: Whether this program can use it.
        words: How the two compare, as a sentence.
        remedy: What to do about it, as a sentence; empty if nothing needs doing.
    """

    revision: str | None
    fit: Fit
    words: str
    remedy: str = ""

    @property
    def usable(self) -> bool:
        """Whether this program can run on it without a migration."""
        return self.fit in {Fit.CURRENT, Fit.NEWER}


async def migrate(database: Database) -> Schema:
    """Bring the schema up to date in one transaction, and return it. Safe when several processes start at once.

    A newer schema that this program can use is left as it is.

    Raises:
        SchemaOutOfDate: it is too new for this program, or not ours.
    """
    upgrade = _alembic()
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return await database.write(_migrate, upgrade)
        except DatabaseUnavailable as error:
            # Another process is migrating, for longer than a request would wait.
            if not error.is_locked or time.monotonic() > deadline:
                raise
            await asyncio.sleep(RETRY_S)


def _migrate(connection: Connection, upgrade: Callable[[Connection], None]) -> Schema:
    if connection.dialect.name == "postgresql":  # on SQLite, the only writer's lock is enough
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    found = examine(connection)
    if found.fit is Fit.REFUSED:
        raise SchemaOutOfDate(f"{found.words} {found.remedy}")
    if found.fit is Fit.BEHIND:
        upgrade(connection)
        found = examine(connection)
    return found


async def prepare(database: Database) -> None:
    """Ensure that this program can use the schema: SQLite is migrated if necessary, PostgreSQL must have been.

    Raises:
        SchemaOutOfDate: it can't.
    """
    found = await database.read(examine)
    if found.usable:
        return
    if found.fit is Fit.REFUSED or database.backend == "postgresql":
        raise SchemaOutOfDate(f"{found.words} {found.remedy}")
    await migrate(database)


def examine(connection: Connection) -> Schema:
    """Compare the database's schema with what this program needs."""
    found = revision(connection)
    if found == HEAD:
        return Schema(found, Fit.CURRENT, f"The database is at revision {found}.")
    if found is None:
        words = f"The database is empty, and this version needs {HEAD}."
        return Schema(found, Fit.BEHIND, words, "Run: paidchat migrate")
    if _REVISION.fullmatch(found) is None or found < FIRST:
        words = f"The database is at revision {found}, which this program ({HEAD}) does not know."
        return Schema(found, Fit.REFUSED, words, "Use the program that migrated it, or another database.")
    if found < HEAD:
        words = f"The database is at revision {found}, and this version needs {HEAD}."
        return Schema(found, Fit.BEHIND, words, "Run: paidchat migrate")
    return _compare_newer(found, _works_with(connection))


def _compare_newer(found: str, works_with: str | None) -> Schema:
    newer = f"The database is at revision {found}, newer than this program ({HEAD})"
    if works_with is None:
        return Schema(found, Fit.REFUSED, f"{newer}, and does not say that older programs may use it.", _UPDATE)
    if works_with > HEAD:
        return Schema(found, Fit.REFUSED, f"{newer}, and needs at least a program of revision {works_with}.", _UPDATE)
    return Schema(found, Fit.NEWER, f"{newer}, which may still use it.")


def revision(connection: Connection) -> str | None:
    """Return the database's revision; None if it is empty."""
    if not _has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _works_with(connection: Connection) -> str | None:
    """Return the oldest revision whose programs may use the schema; None if that is missing or unreadable."""
    if not _has_table(connection, "compatibility"):
        return None
    query = text("SELECT works_with FROM compatibility WHERE id = 1")
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found if found is not None and _REVISION.fullmatch(found) else None


def _has_table(connection: Connection, name: str) -> bool:
    return inspect(connection).has_table(name)


def _alembic() -> Callable[[Connection], None]:
    """Return Alembic's upgrade. It is slow to import, so that is done only for a migration, before taking a lock."""
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    def upgrade(connection: Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "head")

    return upgrade
