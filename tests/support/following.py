"""A subscriber of the feed, as in a script: frames as dicts, each awaited for a limited time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlencode

import websockets
from websockets.asyncio.client import ClientConnection

from tests.support.contract import check_frame
from tests.support.shapes import Json

PATIENCE_S = 10


def untimed(frame: Json) -> Json:
    """Return a frame that tells the time without it."""
    return {name: value for name, value in frame.items() if name != "now"}


class Followed(Protocol):
    """Anything that has a feed."""

    @property
    def feed_url(self) -> str:
        """The URL of its WebSocket."""


class Follower:
    """One WebSocket. `first` is the frame that opened it: a snapshot, or `resumed`.

    `viewers` are the numbers of viewers that it was told, which come at any time and are no part of what is awaited;
    `audience` is the last frame with one.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.first: Json = {}
        self.viewers: list[int] = []
        self.audience: Json = {}

    async def receive(self, timeout_s: float = PATIENCE_S) -> Json:
        """Return the next frame that is not about viewers."""
        async with asyncio.timeout(timeout_s):
            while (frame := await self.receive_any())["type"] == "viewers":
                pass
        return frame

    async def receive_viewers(self, timeout_s: float = PATIENCE_S) -> int:
        """Return the number of viewers in the next frame about them; no other may come before it."""
        async with asyncio.timeout(timeout_s):
            frame = await self.receive_any()
        assert frame["type"] == "viewers", frame
        return self.viewers[-1]

    async def receive_any(self) -> Json:
        """Return the next frame of any kind, after checking it against asyncapi.json."""
        frame = await self.socket.recv()
        assert isinstance(frame, str), "every frame is a text frame"
        decoded: Json = json.loads(frame)
        check_frame(decoded)
        if decoded["type"] == "viewers":
            self.viewers.append(decoded["count"])
            self.audience = decoded
        return decoded

    async def receive_entry(self) -> Json:
        """Return the next frame that is not a heartbeat, however long that takes."""
        while (frame := await self.receive(60))["type"] == "heartbeat":
            pass
        return frame

    async def receive_all(self, count: int) -> list[Json]:
        """Return the next `count` frames."""
        return [await self.receive() for _ in range(count)]

    async def nothing(self, for_s: float = 0.7) -> None:
        """Make sure that no frame arrives for a while: longer than the feed takes to notice anything."""
        try:
            frame = await self.receive(for_s)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected: {frame}")

    async def watch(self, payment_id: str) -> None:
        """Watch a payment."""
        await self.socket.send(json.dumps({"type": "watch", "payment_id": payment_id}))

    async def closed(self, timeout_s: float = PATIENCE_S) -> int | None:
        """Read until the connection ends; return the code of the close frame, or None."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    await self.socket.recv()
        except websockets.ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else None

    @property
    def cursor(self) -> tuple[int, str]:
        """The cursor (`after` and `epoch`) at which this connection began."""
        return self.first["seq"], self.first["epoch"]


@asynccontextmanager
async def following(
    served: Followed, *, origin: str | None = None, query: str = "", **cursor: Any
) -> AsyncIterator[Follower]:
    """Follow a board: without parameters, with `after=` and `epoch=` to resume, or with a raw query string."""
    url = f"{served.feed_url}?{query or urlencode(cursor)}".rstrip("?")
    async with websockets.connect(
        url,
        origin=None if origin is None else websockets.Origin(origin),
        proxy=None,
        max_size=None,
        max_queue=None,  # otherwise a client that stops reading would not see the close frame, and would wait for it
        close_timeout=1,
    ) as socket:
        follower = Follower(socket)
        follower.first = await follower.receive()
        yield follower
