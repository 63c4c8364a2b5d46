"""A migrated database for each storage test: a real SQLite file, and one on a real PostgreSQL."""

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from paidchat.storage.database import Database
from tests.support.rows import migrated

NewUrl = Callable[[], str]


@pytest.fixture
def new_sqlite_url(tmp_path: Path) -> NewUrl:
    """Return a function that makes URLs of new SQLite databases."""
    return lambda: f"sqlite:///{tmp_path / uuid.uuid4().hex}.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, new_sqlite_url: NewUrl) -> NewUrl:
    """Return a function that makes URLs of new databases. Tests for SQLite only use `new_sqlite_url` instead."""
    if request.param == "sqlite":
        return new_sqlite_url
    create: NewUrl = request.getfixturevalue("postgres").create_database
    return create


@pytest.fixture
def url(new_url: NewUrl) -> str:
    """The URL of the test's database."""
    return new_url()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """A migrated database with an empty board."""
    async with migrated(url) as made:
        yield made
