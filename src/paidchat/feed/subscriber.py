"""Subscribers: a connection to the feed, and how far it has got."""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Final

import msgspec
import structlog

from paidchat.serving.open_connection import OpenConnection

log = structlog.get_logger(__name__)

HEARTBEAT_S: Final = 20
MAX_BACKLOG: Final = 1024 * 1024  # bytes that may be buffered for a subscriber before it is dropped
STALL_S: Final = 15  # how long a subscriber may read nothing of what is buffered for it
NOWHERE: Final = -1  # no delivery begins there
BATCH: Final = 100  # subscribers served before the event loop gets a turn: about 1 ms of writing
DROPS: Final = 25  # subscribers dropped before that: about 1 ms, with the end of each connection


class Subscriber(msgspec.Struct, gc=False, eq=False):
    """A connection and its position in the log. The transport's buffer is its only queue."""

    connection: OpenConnection
    cursor: int = 0
    watches: dict[str, bytes | None] = {}  # payment id → the last frame sent about it, the oldest watch first
    told: bytes = b""  # the last frame that the audience sent it
    tell_from: int = 0  # the beat of the audience from which it may be told another
    _seen: int | None = None  # the cursor at the last tick, unless another frame was sent since
    _quiet: int = 0  # ticks without a frame
    _backlog: int = 0  # bytes, at the last tick
    _stalled: int = 0  # ticks since it last read something of the backlog
    _is_over: bool = False

    @property
    def gone(self) -> bool:
        """Whether nothing may be sent any more: it has left, or the connection is closed or closing."""
        return self._is_over or self.connection.transport.is_closing()

    def end(self) -> None:
        """Send nothing from now on, not even what is being delivered."""
        self._is_over = True
        self.cursor = NOWHERE

    def send(self, frames: bytes) -> None:
        """Send whole frames. A subscriber that does not read is dropped, and reconnects with its cursor."""
        if self.gone:
            return
        if self.connection.transport.get_write_buffer_size() > MAX_BACKLOG:
            self.drop()
            return
        try:
            self.connection.transport.write(frames)
        except Exception as error:  # noqa: BLE001 - one broken connection must not affect the others
            self.drop_broken(error)
        self._seen = None

    def tick(self, heartbeat: bytes | None) -> None:
        """Drop a subscriber that is dead or stalled, and send a quiet one the heartbeat; call this once a second."""
        if self.gone:
            return
        self.connection.tick()
        self.drop_if_stalled()
        if self.cursor != self._seen:
            self._seen, self._quiet = self.cursor, 0
            return
        self._quiet += 1
        if self._quiet >= HEARTBEAT_S and heartbeat is not None:
            self.send(heartbeat)

    def drop_if_stalled(self) -> None:
        """Drop the subscriber if it has read nothing of its buffer for a while."""
        backlog = self.connection.transport.get_write_buffer_size()
        if backlog == 0 or backlog < self._backlog:
            self._stalled = 0
        else:
            self._stalled += 1
            if self._stalled > STALL_S:
                self.drop()
        self._backlog = backlog

    def drop_broken(self, error: Exception) -> None:
        """Drop a subscriber to whose connection writing failed, which is expected only if that is closed already."""
        if not self.gone:
            log.error("feed.write_failed", exc_info=error)
        self.drop()

    def drop(self) -> None:
        """Reset the connection without a close frame, which could not be sent in order."""
        self.connection.drop()


async def in_batches(subscribers: Collection[Subscriber], size: int = BATCH) -> AsyncIterator[list[Subscriber]]:
    """Yield those who are there now, with a turn for the event loop between two batches.

    What was yielded is let go of: freeing 10,000 dropped ones at the end would take 20 ms.
    """
    everyone = list(subscribers)
    while everyone:
        yield everyone[-size:]
        del everyone[-size:]
        if everyone:
            await asyncio.sleep(0)
