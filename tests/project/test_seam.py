"""The seam to uvicorn: each of its internals that we rely on exists, and we rely on no others."""

import ast
import asyncio
import inspect
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from paidchat.serving import exchange, feed_protocol, http_protocol, incoming, seam, server

if TYPE_CHECKING:
    from collections.abc import Callable


async def app(scope: object, receive: object, send: object) -> None:
    """Serve nothing."""


def stock(name: str) -> object:
    """Make the uvicorn object from which one of our classes is built."""
    config = uvicorn.Config(app, log_config=None)
    config.load()
    nothing: Any = None
    made: dict[str, Callable[[], object]] = {
        "HttpProtocol": partial(seam.HttpToolsProtocol, config, ServerState(), {}),
        "Exchange": partial(seam.RequestResponseCycle, *(nothing,) * 11),
        "FeedProtocol": partial(seam.WebSocketsSansIOProtocol, config, ServerState(), {}),
        "Server": partial(uvicorn.Server, config),
        "Worker": partial(seam.supervisors.Process, config, []),
        "Workers": partial(seam.Multiprocess, config, []),
    }
    return made[name]()


def names_of(module: ModuleType, name: str) -> set[str]:
    """Return the names that one of our classes uses from itself and its base, or defines."""
    [tree] = ast.parse(inspect.getsource(getattr(module, name))).body
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_own(node.value)}
    return used | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def _is_own(value: ast.expr) -> bool:
    called = value.func if isinstance(value, ast.Call) else None
    owner = called if called is not None else value
    return isinstance(owner, ast.Name) and owner.id == ("super" if called is not None else "self")


@pytest.mark.parametrize(
    ("module", "name", "relied_on"),
    [
        pytest.param(http_protocol, "HttpProtocol", seam.OF_HTTP, id="HTTP"),
        pytest.param(exchange, "Exchange", seam.OF_EXCHANGES, id="exchanges"),
        pytest.param(feed_protocol, "FeedProtocol", seam.OF_WEBSOCKETS, id="WebSockets"),
        pytest.param(server, "Server", seam.OF_SERVER, id="server"),
        pytest.param(server, "Worker", seam.OF_WORKER, id="worker"),
        pytest.param(server, "Workers", seam.OF_WORKERS, id="workers"),
    ],
)
async def test_what_we_rely_on_is_there(module: ModuleType, name: str, relied_on: frozenset[str]) -> None:
    """Every listed name is uvicorn's, and every name of uvicorn's that our class uses is listed."""
    theirs = stock(name)
    assert {each for each in relied_on if not hasattr(theirs, each)} == set()
    touched = {each for each in names_of(module, name) if hasattr(theirs, each) and not each.startswith("__")}
    assert touched - set(dir(asyncio.Protocol)) == relied_on


def test_what_we_rely_on_in_the_parser_is_there() -> None:
    """The same holds for the parser that `Incoming` feeds: every listed name exists, and every name used is listed."""
    theirs = seam.ServerProtocol(state=seam.State.OPEN)
    assert {each for each in seam.OF_PARSER if not hasattr(theirs, each)} == set()
    tree = ast.parse(inspect.getsource(incoming))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_parser(node.value)}
    assert used == seam.OF_PARSER


def _is_parser(value: ast.expr) -> bool:
    named = value.func if isinstance(value, ast.Call) else value
    name = named.id if isinstance(named, ast.Name) else named.attr if isinstance(named, ast.Attribute) else ""
    return name in {"parser", "_parser", "_open_parser"}


def test_the_supervisor_makes_the_processes_that_it_is_given() -> None:
    """Uvicorn's supervisor looks its class of processes up in its module, wherever it starts one."""
    assert "Process(self.config, self.sockets)" in inspect.getsource(seam.Multiprocess)
    assert seam.Multiprocess.__module__ == seam.supervisors.__name__
