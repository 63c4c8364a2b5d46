"""The API's tests run twice: on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest
from served import Served, databases, served_board


@pytest.fixture(scope="session", params=["sqlite", "postgresql"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Serve every board of a test on this database."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    with databases.on(request.getfixturevalue("postgres")):
        yield "postgresql"


@pytest.fixture(scope="session")
def board(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board of the database under test, shared as the one of all tests is."""
    with served_board(tmp_path_factory.mktemp(backend)) as served:
        yield served
