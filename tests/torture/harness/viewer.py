"""A viewer: one follower of the feed that comes and goes, and whose replica outlives its connections."""

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
HANDSHAKE_S = 30  # on a machine that a hundred others keep busy


class Viewer:
    """Follows a board at `url` (`ws://…/api/feed`), one connection after another."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._socket: ClientConnection | None = None
        self.replica = Replica()
        self.connections = self.snapshots = self.resumed = 0
        self.first = ""  # the type of the frame that opened the last connection
        self.close_code: int | None = None  # of the last close frame received
        self.watched: list[Json] = []  # payments as they were told, in order

    @property
    def connected(self) -> bool:
        """Whether there is a connection that was not given up."""
        return self._socket is not None

    @property
    def cursor(self) -> tuple[int, str] | None:
        """The place in the log and the epoch to come back with; None before the first snapshot."""
        return (self.replica.seq, self.replica.epoch) if self.replica.epoch else None

    async def connect(self, cursor: tuple[int, str] | None = None, *, query: str = "") -> None:
        """Open a connection, plain, with a cursor or with any other query, and take its first frame."""
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
        """Break the connection off, as a lost network would: nothing that is under way is read."""
        if self._socket is not None:
            socket, self._socket = self._socket, None
            socket.transport.abort()
            await socket.wait_closed()

    async def watch(self, payment_id: str) -> None:
        """Ask to be told of a payment."""
        assert self._socket is not None
        await self._socket.send(json.dumps({"type": "watch", "payment_id": payment_id}))

    async def take(self) -> Json:
        """Take one frame.

        Raises:
            ConnectionClosed: the board ended the connection; `close_code` says how.
            TimeoutError: nothing came.
        """
        frame = await self._receive()
        self.replica.take(frame)
        if frame["type"] == "payment.updated":
            self.watched.append(frame["payment"])
        return frame

    async def reach(self, seq: int, patience_s: float = PATIENCE_S) -> None:
        """Take frames until the replica is at `seq`.

        Raises:
            ConnectionClosed: the board ended the connection before.
            TimeoutError: what was to come did not.
        """
        async with asyncio.timeout(patience_s):
            while self.replica.seq < seq:
                await self.take()

    async def catch_up(self, seq: int) -> None:
        """Take frames until the replica is at `seq`; not to get there is a finding."""
        try:
            await self.reach(seq)
        except (TimeoutError, websockets.ConnectionClosed) as end:
            self.replica.findings.append(f"still at {self.replica.seq}, the board is at {seq}: {type(end).__name__}")

    async def read_for(self, seconds: float) -> int:
        """Take what comes for a while and return how many log entries there were."""
        before = self.replica.taken
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await self.take()
        return self.replica.taken - before

    async def read_to_end(self) -> int | None:
        """Take what comes until the board ends the connection; return the close code, None if there was none."""
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
