"""A database of their own for the tests of storage: a real SQLite file, migrated."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rows import opened

from paidchat.storage import queries
from paidchat.storage.database import Database
from paidchat.storage.schema import migrate


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where a database may be made."""
    return f"sqlite:///{tmp_path / 'paidchat.db'}"


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """A migrated database with an empty board."""
    async with opened(url) as made:
        await migrate(made)
        async with made.transaction() as connection:
            await queries.ensure_board(connection, tag=uuid.uuid4().hex, epoch=uuid.uuid4().hex)
        yield made
