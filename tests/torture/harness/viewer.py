"""A viewer: a subscriber of the feed that reconnects, and keeps its replica across connections."""

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import websockets

from tests.support.shapes import Json
from tests.torture.harness.replica import Replica

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection


PATIENCE_S = 20
HANDSHAKE_S = 30  # long, because the machine may be busy with a hundred others


class Viewer:
    """Follows a board at `url` (`ws://…/api/feed`), over one connection at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._socket: ClientConnection | None = None
        self.replica = Replica()
        self.connections = self.snapshots = self.resumed = 0
        self.first = ""  # the type of the frame that opened the last connection
        self.close_code: int | None = None  # of the last close frame received
        self.watched: list[Json] = []  # payments from the feed, in order

    @property
    def connected(self) -> bool:
        """Whether there is an open connection."""
        return self._socket is not None

    @property
    def cursor(self) -> tuple[int, str] | None:
        """The cursor (seq, epoch) to reconnect with; None before the first snapshot."""
        return (self.replica.seq, self.replica.epoch) if self.replica.epoch else None

    async def connect(self, cursor: tuple[int, str] | None = None, *, query: str = "") -> None:
        """Open a connection, without a query, with a cursor or with any other query, and read its first frame."""
        if cursor is not None:
            query = urlencode({"after": cursor[0], "epoch": cursor[1]})
        self._socket = await websockets.connect(
            f"{self._url}?{query}".rstrip("?"),
            proxy=None,
            max_size=None,
            compression=None,
            close_timeout=1,
            open_timeout=HANDSHAKE_S,
            ping_interval=None,
        )
        self.connections += 1
        first = await self._receive()
        self.first = first["type"]
        if self.first == "snapshot":
            self.snapshots += 1
        else:
            self.resumed += 1
        self.replica.open(first, cursor=cursor)

    async def disconnect(self) -> None:
        """Cut the connection, as a network failure would, without reading what was sent."""
        if self._socket is not None:
            socket, self._socket = self._socket, None
            socket.transport.abort()
            await socket.wait_closed()

    async def watch(self, payment_id: str) -> None:
        """Watch a payment."""
        assert self._socket is not None
        await self._socket.send(json.dumps({"type": "watch", "payment_id": payment_id}))

    async def take(self) -> Json:
        """Read one frame.

        Raises:
            ConnectionClosed: the board closed the connection; `close_code` is set.
            TimeoutError: no frame arrived.
        """
        frame = await self._receive()
        self.replica.take(frame)
        if frame["type"] == "payment.updated":
            self.watched.append(frame["payment"])
        return frame

    async def reach(self, seq: int, patience_s: float = PATIENCE_S) -> None:
        """Read frames until the replica is at `seq`.

        Raises:
            ConnectionClosed: the board closed the connection before.
            TimeoutError: the entries did not arrive.
        """
        async with asyncio.timeout(patience_s):
            while self.replica.seq < seq:
                await self.take()

    async def catch_up(self, seq: int) -> None:
        """Read frames until the replica is at `seq`; if it does not get there, that is a finding."""
        try:
            await self.reach(seq)
        except (TimeoutError, websockets.ConnectionClosed) as end:
            self.replica.findings.append(f"still at {self.replica.seq}, the board is at {seq}: {type(end).__name__}")

    async def read_for(self, seconds: float) -> int:
        """Read frames for a while, and return the number of log entries among them."""
        before = self.replica.taken
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await self.take()
        return self.replica.taken - before

    async def read_to_end(self) -> int | None:
        """Read frames until the board closes the connection; return the close code, or None."""
        try:
            while True:
                await self.take()
        except websockets.ConnectionClosed:
            return self.close_code

    async def _receive(self) -> Json:
        assert self._socket is not None
        try:
            async with asyncio.timeout(PATIENCE_S):
                decoded: Json = json.loads(await self._socket.recv())
        except websockets.ConnectionClosed as end:
            self.close_code = end.rcvd.code if end.rcvd else None
            self._socket = None
            raise
        return decoded
