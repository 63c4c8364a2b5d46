"""One copy of SQLite opens the board's file in a process, in the program and in tests beside it."""

from collections.abc import Callable

import pytest
from sqlalchemy.engine import Connection

from paidchat.storage import outages
from paidchat.storage.database import Database, DatabaseUnavailable
from paidchat.storage.sqlite_library import sqlite3
from tests.support.transactions import reading, transaction
from tests.torture.harness.records import Records


@pytest.fixture
def new_url(new_sqlite_url: Callable[[], str]) -> Callable[[], str]:
    """Only SQLite."""
    return new_sqlite_url


def source(connection: Connection) -> str:
    """The source that this connection's SQLite was built from."""
    return str(connection.exec_driver_sql("SELECT sqlite_source_id()").scalar_one())


async def test_one_copy_opens_the_file(database: Database, url: str) -> None:
    """The writer, the readers, and the transactions and records of tests use the library that the program chose."""
    [chosen] = sqlite3.connect(":memory:").execute("SELECT sqlite_source_id()").fetchone()
    async with transaction(database) as held:
        found = {await held.run_sync(source)}
    async with reading(database) as held:
        found |= {await held.run_sync(source)}
    records = Records(url)
    async with records.reading() as reader:
        found |= {row[0] for row in await reader.rows("SELECT sqlite_source_id()")}
    await records.close()
    assert found | {await database.write(source), await database.read(source)} == {chosen}


@pytest.mark.parametrize(
    ("statements", "is_outage"),
    [
        (("SELECT * FROM nothing",), False),
        (("INSERT INTO board (id) VALUES (2)",), False),
        (("PRAGMA query_only = 1", "DELETE FROM board"), True),
        (("PRAGMA max_page_count = 1", "CREATE TABLE more AS SELECT zeroblob(1000000)"), True),
    ],
    ids=["no such table", "a constraint", "read-only", "full"],
)
async def test_the_librarys_errors_are_told_apart(
    database: Database, statements: tuple[str, ...], *, is_outage: bool
) -> None:
    """A file that can't be written is an outage; a statement that is wrong is not."""

    def work(connection: Connection) -> None:
        for statement in statements:
            connection.exec_driver_sql(statement)

    with pytest.raises(Exception, match=r".") as raised:
        await database.write(work)
    assert outages.is_outage(raised.value) is (not isinstance(raised.value, DatabaseUnavailable) and is_outage)
    assert isinstance(raised.value, DatabaseUnavailable) is is_outage
