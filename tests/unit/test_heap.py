"""The heap: the garbage collector looks at no viewer, and nothing is left of those that left."""

import contextlib
import gc
import socket
import time
from collections.abc import Iterator
from types import MethodType
from weakref import KeyedRef, WeakValueDictionary

import pytest

from paidchat.serving.open_connection import OpenConnection
from tests.support.network.raw_http import handshake
from tests.support.served import Served, served_board

VIEWERS = 40
SOON_S = 10


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board in this process, at whose objects the test can look."""
    with served_board(tmp_path_factory.mktemp("board")) as served:
        yield served


@contextlib.contextmanager
def viewers(board: Served) -> Iterator[None]:
    """Let viewers follow the board until the block ends."""
    with contextlib.ExitStack() as stack:
        for _ in range(VIEWERS):
            address = ("127.0.0.1", int(board.url.rpartition(":")[2]))
            connected = stack.enter_context(socket.create_connection(address, SOON_S))
            connected.sendall(handshake())
            received = b""
            while b'"snapshot"' not in received:
                received += connected.recv(65536)
        yield


def seen_by_collector() -> int:
    """Return how many objects of the kinds that a viewer consists of the collector has to visit."""
    gc.collect()
    return sum(
        type(each).__module__ == "uvloop.loop"
        or isinstance(each, KeyedRef)
        or (isinstance(each, MethodType) and isinstance(each.__self__, OpenConnection))
        for each in gc.get_objects()
    )


def open_transports(board: Served) -> int:
    """Return how many transports the board's event loop has; it refers to them weakly."""
    [transports] = (each for each in gc.get_referents(board.loop) if isinstance(each, WeakValueDictionary))
    return len(transports)


def test_the_collector_looks_at_no_viewer(board: Served) -> None:
    """However many viewers there are, a full collection visits none of their objects."""
    with viewers(board):
        pass
    before = seen_by_collector()
    with viewers(board):
        assert seen_by_collector() - before < VIEWERS / 2


def test_viewers_that_left_leave_nothing(board: Served) -> None:
    """The transports of viewers that left are freed without any collection."""
    try:
        with viewers(board):
            assert open_transports(board) >= VIEWERS
            gc.collect()  # what is left of their handshakes
            gc.disable()
        deadline = time.monotonic() + SOON_S
        while open_transports(board) >= VIEWERS / 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert open_transports(board) < VIEWERS / 2
    finally:
        gc.enable()
