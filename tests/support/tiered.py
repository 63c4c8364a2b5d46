"""A board with tiers, one of which pins for a moment only, for the tests of pins."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx

from tests.support.board_client import http_client
from tests.support.rows import first_sweep_over
from tests.support.served import Served, served_board

TOKEN = "token-of-the-administration"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
SHORT_S = 3
TIERS = f"1:0,2:{SHORT_S},5:300,20:1800"
SHORT, MIDDLE, LONG = 200, 500, 2000  # their amounts


@contextmanager
def tiered_board(data: Path) -> Iterator[Served]:
    """Serve such a board."""
    with served_board(data, tiers=TIERS, admin_token=TOKEN, reconcile_seconds=3600) as served:
        yield served


@asynccontextmanager
async def undisturbed(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a board once its first sweep is over; the next one comes after the test."""
    await first_sweep_over(served.settings.database_url)
    async with http_client(served) as http:
        yield http
