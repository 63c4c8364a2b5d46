"""Servers that are not Stripe: one that never answers, and one that answers what it is told to and counts."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@contextmanager
def silence() -> Iterator[str]:
    """Listen on a port, take connections in, and never say a word; yields its address."""
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
    """What the counting server answers, but for paths that are broken and answer 500, and what it was asked."""

    url: str = ""
    status: int = 200
    body: Any = None
    broken: set[str] = field(default_factory=set)
    date: str | None = None  # the Date header, if there is to be one
    asked: list[Asked] = field(default_factory=list)

    def about(self, method: str, path: str) -> list[Asked]:
        """Return the requests with this method and path."""
        return [asked for asked in self.asked if (asked.method, asked.path) == (method, path)]


@asynccontextmanager
async def counting() -> AsyncIterator[Echo]:
    """Serve one answer to every request, after its body was read, and count them."""
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
            body = json.dumps(echo.body).encode()
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
