"""The schema: the revisions create what the tables declare, once, whichever process starts first."""

import asyncio
import subprocess
import sys
from collections.abc import Callable

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from paidchat.storage import indexes, schema
from paidchat.storage.database import Database
from tests.support.rows import opened
from tests.support.transactions import reading, transaction


async def revision(database: Database) -> str | None:
    """A database's revision."""
    async with reading(database) as connection:
        return await connection.run_sync(schema.revision)


def differences(connection: Connection) -> list[object]:
    """The differences between the tables in the code and in the database."""
    return list(compare_metadata(MigrationContext.configure(connection), indexes.metadata()))


async def test_the_revisions_make_the_tables(database: Database) -> None:
    """A migrated database has exactly the tables, columns, keys and indexes that the code describes."""
    async with reading(database) as connection:
        assert await connection.run_sync(differences) == []


async def test_the_checks_are_those_of_the_tables(database: Database, new_url: Callable[[], str]) -> None:
    """A migrated database has every CHECK that the code describes, word for word (Alembic does not compare them)."""
    async with reading(database) as connection:
        migrated = await connection.run_sync(_checks)
    async with opened(new_url()) as made:
        async with transaction(made) as connection:
            await connection.run_sync(indexes.metadata().create_all)
        async with reading(made) as connection:
            described = await connection.run_sync(_checks)
    assert migrated == described
    assert any(described.values())


def _checks(connection: Connection) -> dict[str, dict[str, str]]:
    inspector = connection.dialect.get_check_constraints
    return {
        table: {str(check["name"]): " ".join(check["sqltext"].split()) for check in inspector(connection, table)}
        for table in indexes.metadata().tables
    }


def test_the_newest_revision_is_the_one_the_code_needs() -> None:
    """`schema.HEAD` is the newest revision in the folder, and there is only one."""
    assert ScriptDirectory(str(schema.MIGRATIONS)).get_heads() == [schema.HEAD]


async def test_an_empty_database_has_no_revision(url: str) -> None:
    """A new file has no revision, and after migrating the newest; migrating again changes nothing."""
    async with opened(url) as database:
        assert await revision(database) is None
        for _ in range(2):
            await schema.migrate(database)
            assert await revision(database) == schema.HEAD


async def test_two_tasks_migrate_at_once(url: str) -> None:
    """A process that waits for another's migration finds the work done."""
    async with opened(url) as one, opened(url) as other:
        await asyncio.gather(schema.migrate(one), schema.migrate(other))
        assert await revision(other) == schema.HEAD


def test_two_processes_migrate_at_once(url: str) -> None:
    """Processes that start together on an empty database all start successfully."""
    code = (
        "import asyncio, sys\n"
        "from paidchat.storage.database import Database\n"
        "from paidchat.storage.schema import migrate\n"
        "async def run():\n"
        "    async with Database(sys.argv[1]) as database:\n"
        "        sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.readline()\n"
        "        await migrate(database)\n"
        "asyncio.run(run())\n"
    )
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", code, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in starting:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [(process.communicate(timeout=30)[1], process.returncode) for process in starting] == [("", 0)] * 2
