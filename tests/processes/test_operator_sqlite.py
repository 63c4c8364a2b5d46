"""Operator commands beside a server on SQLite, and what a server and the doctor say about a version with a bug."""

import asyncio
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.engine import Connection

from paidchat.storage import queries
from tests.support.rows import first_sweep_over, opened, payment_row
from tests.support.served import free_port, paidchat, process, production, served_board

PAGES = 2_000
PAGE = 4_096  # SQLite's size of a page
KEPT = {"status": "expired", "stripe_params": {"padding": "x" * 2_500}}  # over half a page


def pages_of(file: Path) -> list[bytes]:
    """Return a database's pages, read by another process: if this one closed the file, SQLite's locks would be gone."""
    content = subprocess.check_output(["cat", file])
    return [content[start : start + PAGE] for start in range(0, len(content), PAGE)]


def fill(connection: Connection) -> None:
    """Insert expired payments, two a page: one that is kept, and one that is old enough to be pruned."""
    old = datetime.now(UTC) - timedelta(days=60)
    kinds = (KEPT, {"status": "expired", "created_at": old, "expires_at": old})
    rows = [payment_row(**kind) for _ in range(PAGES) for kind in kinds]
    connection.execute(insert(queries.payment), rows)


def check(connection: Connection) -> tuple[str, int]:
    """Return the result of SQLite's check of the file, and the number of payments."""
    found = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one()
    return found, connection.execute(select(func.count()).select_from(queries.payment)).scalar_one()


async def post(url: str) -> None:
    """Start a payment, which the server commits."""
    async with httpx.AsyncClient() as client:
        assert (await client.post(f"{url}/api/payments", json={"text": "Hello"})).status_code == 201


async def checkpointed(url: str, file: Path, before: list[bytes]) -> list[bytes]:
    """Start payments until the server has written to its file, and return the pages."""
    for _ in range(20):
        await post(url)
        await asyncio.sleep(0.1)
        if (after := pages_of(file)) != before:
            return after
    raise AssertionError("the server does not checkpoint")


async def test_a_command_leaves_the_wal_to_the_server(tmp_path: Path) -> None:
    """2,000 pages that a command writes beside a server reach the file by the server's next commit, all of them."""
    file = tmp_path / "paidchat.db"
    with served_board(tmp_path, reconcile_seconds=3600) as board:
        await first_sweep_over(board.settings.database_url)
        async with opened(board.settings.database_url) as database:
            await database.write(fill)
        before = await checkpointed(board.url, file, pages_of(file))
        environment = production(tmp_path, free_port(), PAIDCHAT_STRIPE_API_BASE=f"{board.url}/sandbox")
        done = await asyncio.to_thread(paidchat, "reconcile", **environment)
        assert f"pruned {PAGES} old payments" in done.stdout, done.stderr
        assert pages_of(file) == before
        after = await checkpointed(board.url, file, before)
        assert sum(page != then for page, then in zip(after, before, strict=False)) >= PAGES
        async with opened(board.settings.database_url) as database:
            found, payments = await database.read(check)
    assert found == "ok"
    assert payments > PAGES


@pytest.fixture
def library(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment in which `pysqlite3` says that it has this version of SQLite."""
    package = tmp_path / "library" / "pysqlite3"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "dbapi2.py").write_text(f"from sqlite3.dbapi2 import *\nsqlite_version_info = {request.param}\n")
    return {"PYTHONPATH": os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.parametrize(
    ("library", "said"),
    [
        ((3, 51, 2), " warning  SQLite: 3.51.2 can corrupt the file"),
        ((3, 51, 3), "      ok  SQLite: 3.51.3\n"),
    ],
    indirect=["library"],
    ids=["with the bug", "without"],
)
def test_the_doctor_warns_of_the_bug(tmp_path: Path, library: dict[str, str], said: str) -> None:
    """A SQLite that can corrupt the file is a warning, with the remedy; a fixed one is ok."""
    done = paidchat("doctor", **production(tmp_path, free_port(), **library))
    assert said in done.stdout
    assert ("→ Install pysqlite3" in done.stdout) is ("warning  SQLite" in done.stdout)


@pytest.mark.parametrize("library", [(3, 51, 2)], indirect=True, ids=["3.51.2"])
def test_a_server_warns_of_the_bug(tmp_path: Path, library: dict[str, str]) -> None:
    """A server that starts with such a SQLite logs a warning."""
    port = free_port()
    with process("serve", "--port", str(port), ready="sqlite.outdated", **production(tmp_path, port, **library)):
        pass
