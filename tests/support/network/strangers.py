"""Servers that are not Stripe: one that never responds, one with a fixed response, one that tampers."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx

from tests.support.http_client import NO_TLS


@contextmanager
def silence() -> Iterator[str]:
    """Listen on a port, accept connections, and never respond; yields its URL."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


class Asked(NamedTuple):
    """One request: its path without the query, and its Idempotency-Key."""

    method: str
    path: str
    key: str


@dataclass
class Echo:
    """The fixed response, the paths that return 500 instead, and the requests received."""

    url: str = ""
    status: int = 200
    body: Any = None  # sent as JSON, or unchanged if bytes
    broken: set[str] = field(default_factory=set)
    date: str | None = None  # the Date header, if any
    asked: list[Asked] = field(default_factory=list)

    def about(self, method: str, path: str) -> list[Asked]:
        """Return the requests with this method and path."""
        return [asked for asked in self.asked if (asked.method, asked.path) == (method, path)]


@asynccontextmanager
async def counting() -> AsyncIterator[Echo]:
    """Send one response to every request, after reading its body, and count the requests."""
    echo = Echo(body={})

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            headers: dict[str, str] = {}
            while (header := await reader.readline()) != b"\r\n":
                name, _, value = header.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            await reader.readexactly(int(headers.get("content-length", "0")))
            method, target, _ = line.decode().split()
            path = target.partition("?")[0]
            echo.asked.append(Asked(method, path, headers.get("idempotency-key", "")))
            body = echo.body if isinstance(echo.body, bytes) else json.dumps(echo.body).encode()
            status = 500 if path in echo.broken else echo.status
            head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            date = "" if echo.date is None else f"Date: {echo.date}\r\n"
            writer.write(f"{head}{date}\r\n".encode() + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    echo.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield echo
    finally:
        server.close()


@dataclass
class Tamperer:
    """A proxy to a sandbox that changes its responses: `change` gets path and JSON, and returns the new JSON."""

    target: str = ""
    url: str = ""
    change: Callable[[str, Any], Any] = lambda _path, answer: answer
    forbidden: set[str] = field(default_factory=set)  # paths that our key may not use


@asynccontextmanager
async def tampering() -> AsyncIterator[Tamperer]:
    """Pass every request on to a sandbox, and return its response, changed."""
    between = Tamperer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with httpx.AsyncClient(timeout=10, verify=NO_TLS, trust_env=False) as client:
            while line := await reader.readline():
                headers: dict[str, str] = {}
                while (header := await reader.readline()) != b"\r\n":
                    name, _, value = header.decode("latin-1").partition(":")
                    headers[name.lower()] = value.strip()
                sent = await reader.readexactly(int(headers.pop("content-length", "0")))
                method, target, _ = line.decode().split()
                headers.pop("host")
                path, status = target.partition("?")[0], 403
                changed: Any = {"error": {"type": "invalid_request_error", "message": "This key may not do this."}}
                if path not in between.forbidden:
                    answer = await client.request(method, between.target + target, content=sent, headers=headers)
                    changed, status = between.change(path, answer.json()), answer.status_code
                body = json.dumps(changed).encode()
                head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    between.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield between
    finally:
        server.close()
