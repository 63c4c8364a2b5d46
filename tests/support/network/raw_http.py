"""Raw HTTP, for requests that no client library would send."""

import asyncio
import json
import time
from typing import Any, NamedTuple

from tests.support.served import Served

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the key in RFC 6455, section 1.3
PATIENCE_S = 15


class Answer(NamedTuple):
    """A response as received."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.body)


def handshake(path: str = "/api/feed", version: str = "HTTP/1.1", without: str = "", **fields: str) -> bytes:
    """Build a WebSocket handshake; `fields` (with _ for -) are added, or replace the usual ones."""
    usual = {
        "Host": "board",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    replaced = {name.lower() for name in given} | {without.lower()}
    usual = {name: value for name, value in usual.items() if name.lower() not in replaced}
    lines = [f"GET {path} {version}", *(f"{name}: {value}" for name, value in (usual | given).items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class RawHttp:
    """A connection to a board. Only the test sends and reads."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, served: Served) -> "RawHttp":
        """Connect to a board."""
        host, port = served.url.removeprefix("http://").split(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    def send(self, data: bytes) -> None:
        """Send bytes; reading will show whether the other side has gone."""
        self.writer.write(data)

    async def answer(self, *, head_only: bool = False) -> Answer:
        """Read one answer.

        Raises:
            asyncio.IncompleteReadError, ConnectionError, TimeoutError: there is none.
        """
        async with asyncio.timeout(PATIENCE_S):
            top = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *lines = top.strip().split("\r\n")
            headers: dict[str, str] = {}
            for name, _, value in (line.partition(":") for line in lines):
                before = headers.get(name.lower())
                headers[name.lower()] = value.strip() if before is None else f"{before}, {value.strip()}"
            status = int(line.split(" ")[1])
            length = 0 if head_only or status in {101, 204, 304} else int(headers.get("content-length", 0))
            return Answer(status, headers, await self.reader.readexactly(length))

    async def ends_within(self, seconds: float) -> float:
        """Read until the connection ends, and return how long that took; fail if it does not end."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                while await self.reader.read(65536):
                    pass
        except ConnectionError:
            pass
        return time.monotonic() - began

    def close(self) -> None:
        """Close the connection."""
        self.writer.transport.abort()


async def exchange(served: Served, request: bytes, *, head_only: bool = False) -> Answer:
    """Send a request on its own connection and return the response."""
    connection = await RawHttp.connect(served)
    try:
        connection.send(request)
        return await connection.answer(head_only=head_only)
    finally:
        connection.close()
