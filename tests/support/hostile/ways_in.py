"""All ways in which strangers can send something to a board, found in its documents and its source."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount, WebSocketRoute

import paidchat
from paidchat.api.contract.asyncapi import asyncapi

SOURCE = Path(paidchat.__file__).parent
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
# What middleware reads of a request's headers. One that isn't listed here fails the walk.
READ_BY: Final[dict[str, set[str]]] = {
    "Assets": set(),  # in its own source, as the next two
    "Files": set(),
    "Guard": set(),
    "ReadyAnswers": {"if-none-match"},
    "Shortcuts": {"content-encoding"},
}
READ_BY_THE_SERVER = {
    *("connection", "content-length", "expect", "host", "transfer-encoding", "upgrade"),
    *("sec-websocket-extensions", "sec-websocket-key", "sec-websocket-protocol", "sec-websocket-version"),
    *("x-forwarded-for", "x-forwarded-proto"),
}
CONTROL_FRAMES = {"frame ping", "frame pong", "frame close", "frame fragment", "frame binary"}  # RFC 6455


def routes(app: FastAPI) -> set[str]:
    """Every route: those of the OpenAPI document, those that it leaves out, the feed, and the page."""
    documented = {
        f"{method.upper()} {path}" for path, operations in app.openapi()["paths"].items() for method in operations
    }
    feeds = {f"WS {channel['address']}" for channel in asyncapi(None)["channels"].values()}
    return documented | feeds | set(_served(app.routes)) | {"GET /"}


def _served(some: Iterable[BaseRoute]) -> Iterator[str]:
    for route in some:
        if isinstance(route, Mount):
            yield f"GET {route.path}/"
        elif isinstance(route, APIRoute):
            yield from (f"{method} {route.path}" for method in route.methods or ())
        elif isinstance(route, WebSocketRoute):
            yield f"WS {route.path}"
        else:
            yield from _served(route.original_router.routes)  # type: ignore[attr-defined]  # of FastAPI's own class


def frames() -> set[str]:
    """Every kind of frame: those in the AsyncAPI document that the server accepts, and the general WebSocket frames."""
    document = asyncapi(None)
    taken = [operation for operation in document["operations"].values() if operation["action"] == "receive"]
    return CONTROL_FRAMES | {
        f"frame {message['$ref'].rpartition('/')[2].lower()}"
        for operation in taken
        for message in operation["messages"]
    }


def headers(app: FastAPI) -> set[str]:
    """Every header that is read: documented, named in our source, or read by middleware."""
    documented = {
        parameter["name"].lower()
        for operations in app.openapi()["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "header"
    }
    before_us = {"ReadyAnswers"} | {getattr(middleware.cls, "__name__", "?") for middleware in app.user_middleware}
    layer: Any = vars(app)["guard"]
    while hasattr(layer, "_app"):
        before_us.add(type(layer).__name__)
        layer = layer._app
    before_us |= {type(route.app).__name__ for route in app.routes if isinstance(route, Mount)}
    read = documented | READ_BY_THE_SERVER | set(_headers_in_source())
    return {f"header {name}" for name in read.union(*(READ_BY[name] for name in before_us))}


def _headers_in_source() -> Iterator[str]:
    """Names of the request headers that are read: `….headers.get("name")`, `Headers(…).getlist("name")`."""
    for call in _calls(path for folder in ("api", "pages") for path in SOURCE.glob(f"{folder}/*.py")):
        func = call.func
        if not isinstance(func, ast.Attribute) or func.attr not in {"get", "getlist"} or not call.args:
            continue
        name = call.args[0]
        if "headers" in ast.unparse(func.value).lower() and isinstance(name, ast.Constant):
            yield str(name.value).lower()


def logged_fields() -> set[str]:
    """Every field of our own log entries; `**` stands for an entry that takes its field names from elsewhere."""
    return {f"field {keyword.arg or '**'}" for call in _log_calls() for keyword in call.keywords}


def _log_calls() -> Iterator[ast.Call]:
    ours = (path for path in SOURCE.rglob("*.py") if "sandbox" not in path.parts)
    for call in _calls(ours):
        func = call.func
        of_log = isinstance(func, ast.Attribute) and ast.unparse(func.value) == "log" and func.attr in LEVELS
        chosen = isinstance(func, ast.Name) and func.id == "write"  # either log.error or log.info
        if of_log or (chosen and call.args and isinstance(call.args[0], ast.Constant)):
            yield call


def _calls(paths: Iterator[Path]) -> Iterator[ast.Call]:
    for path in paths:
        yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
