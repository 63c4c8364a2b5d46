"""A connection pooler in front of PostgreSQL, in session or transaction mode, like PgBouncer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final, Literal

from sqlalchemy.engine import URL, make_url

SSL_REQUEST: Final = (80877103).to_bytes(4, "big")
PASSWORD_WANTED: Final = {3, 5, 10, 11}  # the kinds of authentication messages that the client must answer
LET_THROUGH: Final = {"user", "database", "client_encoding", "application_name"}
IDLE: Final = b"I"
Mode = Literal["session", "oldest first", "latest first"]


@dataclass
class Stream:
    """One side of a connection, message by message (postgresql.org/docs/current/protocol-message-formats.html)."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def first(self) -> bytes:
        """Read a startup message, without its length; a request for TLS is declined."""
        while True:
            size = int.from_bytes(await self.reader.readexactly(4), "big")
            body = await self.reader.readexactly(size - 4)
            if body != SSL_REQUEST:
                return body
            self.writer.write(b"N")

    async def message(self) -> tuple[bytes, bytes]:
        """Read a message: its kind, and the rest without the length."""
        kind = await self.reader.readexactly(1)
        size = int.from_bytes(await self.reader.readexactly(4), "big")
        return kind, await self.reader.readexactly(size - 4)

    def send(self, kind: bytes, body: bytes) -> None:
        """Send a message; a startup message has no kind."""
        self.writer.write(kind + (len(body) + 4).to_bytes(4, "big") + body)


@dataclass
class Pooler:
    """Gives each client, or each transaction, a session."""

    target: URL
    mode: Mode
    idle: list[Stream] = field(default_factory=list)
    opened: list[Stream] = field(default_factory=list)
    returned: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it disconnects."""
        client = Stream(reader, writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            startup = await client.first()
            names = startup[4:].split(b"\0")[:-2:2]
            if unknown := [name.decode() for name in names if name.decode() not in LET_THROUGH]:
                refusal = f"SFATAL\0C08P01\0Munsupported startup parameter: {unknown[0]}\0\0"
                client.send(b"E", refusal.encode())
            else:
                server = await self._open(startup, client)
                await (self._keep(client, server) if self.mode == "session" else self._share(client, server))
        writer.close()

    async def _open(self, startup: bytes, client: Stream) -> Stream:
        socket = str(self.target.query["host"])
        server = Stream(*await asyncio.open_unix_connection(f"{socket}/.s.PGSQL.{self.target.port or 5432}"))
        self.opened.append(server)
        server.send(b"", startup)
        while True:
            kind, body = await server.message()
            client.send(kind, body)
            if kind == b"R" and int.from_bytes(body[:4], "big") in PASSWORD_WANTED:
                server.send(*await client.message())
            if kind == b"Z":
                return server

    async def _keep(self, client: Stream, server: Stream) -> None:
        async def pump(source: Stream, sink: Stream) -> None:
            while data := await source.reader.read(65536):
                sink.writer.write(data)
            sink.writer.close()

        await asyncio.gather(pump(client, server), pump(server, client))

    async def _share(self, client: Stream, server: Stream) -> None:
        self._give_back(server)
        answering: asyncio.Task[None] | None = None
        while (message := await client.message())[0] != b"X":
            if answering is None or answering.done():
                server = await self._take()
                answering = asyncio.create_task(self._answer(client, server))
            server.send(*message)

    async def _answer(self, client: Stream, server: Stream) -> None:
        """Pass on what the server sends until its transaction has ended."""
        while True:
            kind, body = await server.message()
            client.send(kind, body)
            if (kind, body) == (b"Z", IDLE):
                self._give_back(server)
                return

    async def _take(self) -> Stream:
        while not self.idle:
            self.returned.clear()
            await self.returned.wait()
        return self.idle.pop(0 if self.mode == "oldest first" else -1)

    def _give_back(self, server: Stream) -> None:
        self.idle.append(server)
        self.returned.set()


@contextlib.asynccontextmanager
async def pooled(url: str, mode: Mode) -> AsyncIterator[str]:
    """Pool a database; yields the URL to use instead of its own."""
    target = make_url(url)
    pooler = Pooler(target, mode)
    listening = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"postgresql://{target.username}:{target.password or ''}@127.0.0.1:{port}/{target.database}"
    finally:
        listening.close()
        for server in pooler.opened:
            server.writer.close()
