"""Open connections of the feed: small enough for ten thousand viewers who only read."""

import asyncio
import itertools
from typing import Any, Final, Protocol, Self

import msgspec

from paidchat.serving.incoming import Incoming
from paidchat.serving.seam import Close, Frame, Opcode
from paidchat.serving.transports import Transport, reset

PING_INTERVAL_S: Final = 20
PING_TIMEOUT_S: Final = 8  # with the ping interval, this drops a dead connection within 30 s, with a margin
SPREAD_S: Final = 3  # over which first pings are spread; a crowd also takes its time to come, 1 ms of CPU for each
FRAMES_AFTER_CLOSE: Final = 4  # that may still be in flight, and the client's close frame
SLICE: Final = 512  # bytes that are parsed between two checks of the budget
CLOSE_GRACE_S: Final = 2  # at shutdown, for the close frame to reach a client that may not be reading
CLOSING_S: Final = 4  # from our close frame to the end; the contract says within five
ANSWER_S: Final = CLOSING_S - 1  # of it, for the client's close frame
FAREWELLS: Final = 25  # before the event loop gets a turn: about 1.5 ms, and as much for the clients' answers
NOT_UTF8, MISUSE, RESTARTING = 1007, 1008, 1012  # RFC 6455, section 7.4.1, and IANA's registry

_PING: Final = Frame(Opcode.PING, b"").serialize(mask=False)
_RESTARTING: Final = Frame(Opcode.CLOSE, Close(RESTARTING, "").serialize()).serialize(mask=False)
_EMPTY_PONG: Final = b"\x8a\x80"  # and a mask of four bytes, for a payload of none
_EMPTY_PONG_SIZE: Final = 6
_phases: Final = itertools.cycle(range(SPREAD_S))  # so that a crowd that arrives at once is not pinged at once


class Owner(Protocol):
    """What a connection belongs to."""

    def heard(self, message: str | bytes) -> None:
        """Handle a message: text, or binary."""

    def ended(self) -> None:
        """Send nothing more; called once, when a close frame was sent or the connection was lost."""


class OpenConnection(msgspec.Struct, gc=False, eq=False):
    """A WebSocket after its handshake: an asyncio protocol without a task, a queue, or a timer before it closes.

    An idle viewer takes 2 KiB this way instead of 30. All that it ever sends is the empty pong that answers the ping
    of `tick`; anything else goes through the library's parser (`Incoming`). The garbage collector does not look at it
    (`gc=False`) nor at its transport (`heap.exempt`): once the connection is lost, no cycle holds them.
    """

    transport: Transport
    _connections: set[Any]  # the server's, to be told when it shuts down
    owner: Owner | None = None
    is_congested: bool = False  # whether much of what was sent is still in the transport's buffer
    _incoming: Incoming | None = None
    _is_leaving: bool = False  # whether the server has begun to shut down
    _is_deaf: bool = False  # whether input is ignored from now on
    _awaits_pong: bool = False
    _since_ping: int = msgspec.field(default_factory=_phases.__next__)  # ticks
    _deadline: asyncio.TimerHandle | None = None  # set when it begins to close
    _drained: asyncio.Future[None] | None = None

    def __post_init__(self) -> None:
        self._connections.add(self)

    # --- output -------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than it is sent to."""
        self.is_congested = True

    def resume_writing(self) -> None:
        """Note that most of the buffer has been read."""
        self.is_congested = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    async def drained(self) -> None:
        """Wait until most of the buffer has been read, or the connection is lost; one task at a time may wait."""
        if self.is_congested:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def tick(self) -> None:
        """Ping the client, and drop it if it does not answer; call this once a second.

        Seconds are counted in calls, so that a pause of the whole process is nobody's silence.
        """
        self._since_ping += 1
        if self._since_ping >= PING_INTERVAL_S:
            self._since_ping = 0
            if not self.transport.is_closing():
                self._awaits_pong = True
                self.transport.write(_PING)
        elif self._awaits_pong and self._since_ping >= PING_TIMEOUT_S:
            self.drop()

    # --- the end ------------------------------------------------------------------------------------

    def drop(self) -> None:
        """Reset the connection without a close frame, which could not be sent in order."""
        reset(self.transport)

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, and wait a moment for the client's."""
        incoming = self._wake()
        incoming.close(code, reason)
        incoming.budget.shrink(FRAMES_AFTER_CLOSE)
        self._write(incoming.answers())
        self._end()
        self._after(ANSWER_S, self._hang_up, CLOSING_S - ANSWER_S)

    def shutdown(self) -> None:
        """Say that the server restarts, and don't wait long for that to be read.

        uvicorn calls this for all connections in a row. The first call sees to the others too, some at a time: for
        10,000 it takes 0.6 s of CPU.
        """
        if not self._is_leaving:
            everyone = [each for each in self._connections if isinstance(each, OpenConnection)]
            for each in everyone:
                each._is_leaving = True  # noqa: SLF001 - its own class
            _say_farewell(everyone)

    def farewell(self) -> None:
        """Send a close frame unless one was sent, and close."""
        if self._deadline is None:
            self._write(_RESTARTING)
        self._hang_up(CLOSE_GRACE_S)

    def eof_received(self) -> None:
        """Let the transport close."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, and whoever waits."""
        del exc
        self._is_deaf = True
        self._connections.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        self._end()
        self.resume_writing()

    def _end(self) -> None:
        owner, self.owner = self.owner, None
        if owner is not None:
            owner.ended()

    def _hang_up(self, grace_s: float) -> None:
        """Close once everything is sent, but within so many seconds, whatever the client does."""
        self._is_deaf = True
        self._end()
        self.transport.close()
        self._after(grace_s, self._cut)

    def _cut(self) -> None:
        reset(self.transport, even_if_closing=True)

    def _after(self, seconds: float, step: Any, *arguments: Any) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, step, *arguments)

    # --- input --------------------------------------------------------------------------------------

    @property
    def data_received(self) -> Self:
        """Itself, to be called: uvloop keeps what it finds here, and a bound method would be an object per viewer."""
        return self

    def __call__(self, data: bytes) -> None:
        """Take the answer to a ping, or parse input in slices, since as little as two bytes are a frame.

        An expected empty pong that comes alone takes 0.5 µs; with the parser it would take 33.
        """
        is_idle = self._incoming is None or self._incoming.is_idle
        if self._awaits_pong and is_idle and len(data) == _EMPTY_PONG_SIZE and data.startswith(_EMPTY_PONG):
            self._awaits_pong = False
            return
        incoming = self._wake()
        for start in range(0, len(data), SLICE):
            if self._is_deaf:
                return
            self._take(incoming, data[start : start + SLICE])
        incoming.rest()

    def hear_early(self, data: bytes) -> None:
        """Take what came during the handshake, while reading was paused, and go on reading after it."""
        self(data)
        if not self._is_deaf and not self.transport.is_closing():
            self.transport.resume_reading()

    def _wake(self) -> Incoming:
        if self._incoming is None:
            self._incoming = Incoming()
        return self._incoming

    def _take(self, incoming: Incoming, data: bytes) -> None:
        """Parse one slice, and send what the protocol answers."""
        for frame in incoming.parse(data):
            if self._is_deaf:
                break
            if frame.opcode is not Opcode.CLOSE and not incoming.budget.admits():
                self._refuse_more()
                break
            self._handle(incoming, frame)
        self._write(incoming.answers())
        if incoming.is_over and not self._is_deaf:
            self._hang_up(CLOSING_S)

    def _handle(self, incoming: Incoming, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.PING | Opcode.CLOSE:
                return  # the parser answers these
            case Opcode.PONG:
                self._awaits_pong = self._awaits_pong and bool(frame.data)
                return
        try:
            message = incoming.join(frame)
        except UnicodeDecodeError:
            incoming.close(NOT_UTF8)
            self._write(incoming.answers())
            self._hang_up(CLOSING_S)
            return
        if message is not None and self.owner is not None:
            self.owner.heard(message)

    def _refuse_more(self) -> None:
        """Stop reading; the kernel buffers what still arrives and drops it at no cost."""
        self._is_deaf = True
        self.transport.pause_reading()
        if self._deadline is None:
            self.close(MISUSE, "too many frames")

    def _write(self, frames: bytes) -> None:
        if frames and not self.transport.is_closing():
            self.transport.write(frames)


def _say_farewell(connections: list[OpenConnection]) -> None:
    for connection in connections[-FAREWELLS:]:
        connection.farewell()
    del connections[-FAREWELLS:]
    if connections:
        asyncio.get_running_loop().call_soon(_say_farewell, connections)
