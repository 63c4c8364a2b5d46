"""Work on input from strangers grows at most linearly: measured at every way in, and none is left out."""

import functools
import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from paidchat.app import create_app
from paidchat.observability import configure_logging
from tests.support.hostile import ways_in
from tests.support.hostile.functions import FUNCTIONS
from tests.support.hostile.growth import MOST_GROWTH, Entry, growth
from tests.support.hostile.sent import ADMIN_TOKEN, ORIGIN, REQUESTS
from tests.support.served import Served, served_board


@pytest.fixture(scope="module", autouse=True)
def logged() -> Iterator[None]:
    """The log, configured as a board's is, with its output discarded."""
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    configure_logging("json")
    structlog.configure(cache_logger_on_first_use=False)  # later tests read the log
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(io.StringIO())
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**config)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board that allows pages of another origin, has an admin token, and trusts us as its proxy."""
    options: dict[str, Any] = {"allowed_origins": ORIGIN, "admin_token": ADMIN_TOKEN, "trusted_proxies": "127.0.0.1"}
    with served_board(tmp_path_factory.mktemp("board"), max_viewers_per_client=1000, **options) as served:
        yield served


@pytest.mark.long
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_linear(name: str) -> None:
    """Four times the input costs a function at most eight times the CPU time."""
    assert growth(FUNCTIONS[name]) <= MOST_GROWTH


@pytest.mark.long
@pytest.mark.parametrize("name", REQUESTS)
def test_requests_are_linear(board: Served, name: str) -> None:
    """Four times the request, or frames, costs a board at most eight times the CPU time."""
    sent = REQUESTS[name]
    port = int(board.url.rpartition(":")[2])
    assert growth(Entry(make=sent.make, work=functools.partial(sent.send, port), size=sent.size)) <= MOST_GROWTH


def test_every_way_in_is_measured(board: Served) -> None:
    """Every route, frame, header and logged field is in the lists of what is measured, and nothing else is."""
    app = create_app(board.settings)
    there = ways_in.routes(app) | ways_in.frames() | ways_in.headers(app) | ways_in.logged_fields()
    of_functions = (entry.covers for entry in FUNCTIONS.values())
    measured = set[str]().union(*of_functions, *(sent.covers for sent in REQUESTS.values()))
    assert there - measured == set(), "give these an entry in tests/support/hostile/"
    assert measured - there == {"GET (no route)"}
