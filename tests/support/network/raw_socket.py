"""A raw WebSocket, for what no client library would do, such as never reading or never answering."""

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from tests.support.served import Served

TEXT, CLOSE, PING = 0x1, 0x8, 0x9  # RFC 6455, section 5.2
ABOUT_VIEWERS = b'{"type":"viewers"'


class Frame(NamedTuple):
    """One frame as received."""

    opcode: int
    payload: bytes


class RawSocket:
    """A connection to the feed after its handshake. Only the test reads, answers and closes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def frame(self) -> Frame:
        """Return the server's next frame that is not about viewers, which may come at any time.

        Raises:
            asyncio.IncompleteReadError, ConnectionError: the connection ended.
        """
        while (frame := await self._frame()).opcode == TEXT and frame.payload.startswith(ABOUT_VIEWERS):
            pass
        return frame

    async def _frame(self) -> Frame:
        """Return the server's next frame; its frames are never masked."""
        first, length = await self.reader.readexactly(2)
        if length in {126, 127}:
            length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8))
        return Frame(first & 0x0F, await self.reader.readexactly(length))

    async def frames_until_the_end(self) -> list[Frame]:
        """Return every complete frame until the connection ends."""
        frames = []
        try:
            while True:
                frames.append(await self.frame())
        except (asyncio.IncompleteReadError, ConnectionError):
            return frames


@asynccontextmanager
async def raw_socket(served: Served, *, receive_buffer: int | None = None) -> AsyncIterator[RawSocket]:
    """Do a handshake with the feed; `receive_buffer` is how many bytes the kernel may buffer for us."""
    host, port = served.url.removeprefix("http://").split(":")
    connecting = socket.socket()
    if receive_buffer is not None:
        connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connecting.connect((host, int(port)))
    reader, writer = await asyncio.open_connection(sock=connecting)
    try:
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            (
                f"GET /api/feed HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101"), answer
        yield RawSocket(reader, writer)
    finally:
        writer.transport.abort()
