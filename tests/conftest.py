"""What every test folder shares: a board with its sandbox, served for the whole run."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from served import Served, served_board


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served board. Tests share it, so none may count on an empty one; who needs that serves its own."""
    with served_board(tmp_path_factory.mktemp("board")) as served:
        yield served


@pytest.fixture
async def client(board: Served) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the shared board."""
    async with httpx.AsyncClient(base_url=board.url, trust_env=False) as http:
        yield http
