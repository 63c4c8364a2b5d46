"""The API's tests run twice: on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.support.served import Served, databases, served_board


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark for tests that need not run twice."""
    config.addinivalue_line("markers", "any_database: what it finds cannot depend on the database; it runs on one")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the second run of such tests."""
    twice = [
        item
        for item in items
        if isinstance(item, pytest.Function)
        and item.get_closest_marker("any_database")
        and item.callspec.params.get("backend") == "postgresql"
    ]
    config.hook.pytest_deselected(items=twice)
    items[:] = [item for item in items if item not in twice]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Serve every board of a test on this database. A board that outlives a test must request it by name."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    with databases.on(request.getfixturevalue("postgres")):
        yield "postgresql"


@pytest.fixture(scope="session")
def board(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board on the database under test, shared by all tests."""
    with served_board(tmp_path_factory.mktemp(backend)) as served:
        yield served
