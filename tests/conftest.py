"""Fixtures for every test folder: a board with its sandbox, served for the whole run."""

import gc
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import structlog

from tests.support.board_client import http_client
from tests.support.postgres import Postgres
from tests.support.served import Served, databases, served_board


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking at thousands of tests over and over: it took 5 % of the CPU."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Serve boards on SQLite again after a test with a `backend`, which stays set up while the worker has others."""
    databases.by_backend = isinstance(item, pytest.Function) and "backend" in item.fixturenames


@pytest.fixture(scope="session", autouse=True)
def _logs() -> None:
    """Send the logs of boards in this process to pytest, which shows them for a failing test."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole run."""
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served board. Tests share it, so none may rely on it being empty; those that must serve their own."""
    with served_board(tmp_path_factory.mktemp("board")) as served:
        yield served


@pytest.fixture
async def client(board: Served) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the shared board."""
    async with http_client(board) as http:
        yield http
