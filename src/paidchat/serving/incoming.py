"""Incoming frames: parsed by websockets, counted, and joined into messages."""

import logging
import time
from typing import Final

from paidchat.serving.seam import Frame, Opcode, ServerProtocol, State

MAX_FRAME: Final = 1024  # bytes in one message of a client
FRAME_BURST, FRAMES_PER_S = 64, 1  # frames of any kind; a client that only reads sends one pong in 20 s
_SHORT: Final = 126  # a payload of fewer bytes has its length in the frame's second byte (RFC 6455, section 5.2)
_log: Final = logging.getLogger("uvicorn.error")


class FrameBudget:
    """How many frames a client may send: a burst, then one a second."""

    __slots__ = ("_at", "_left")

    def __init__(self) -> None:
        self._left: float = FRAME_BURST
        self._at = time.monotonic()

    def admits(self) -> bool:
        """Take one frame from the budget; returns False if it is used up."""
        now = time.monotonic()
        self._left = min(FRAME_BURST, self._left + (now - self._at) * FRAMES_PER_S) - 1
        self._at = now
        return self._left >= 0

    def shrink(self, left: int) -> None:
        """Reduce what is left to at most this."""
        self._left = min(self._left, left)


class Incoming:
    """What the client of an open connection sends, and the answers of the protocol itself: pongs and close frames.

    The library's parser takes 2 KiB, as much as all the rest of a viewer, so it only exists while a frame or message is
    incomplete, or while closing.
    """

    __slots__ = ("_parser", "_parts", "_text", "_unfinished", "budget")

    def __init__(self) -> None:
        self.budget = FrameBudget()
        self._parser: ServerProtocol | None = None
        self._parts: list[bytes] = []  # of a message whose last fragment has not come
        self._text = False  # whether that message is text
        self._unfinished = 0  # bytes of an incomplete frame

    @property
    def is_idle(self) -> bool:
        """Whether the next byte begins a frame outside any message."""
        return self._parser is None

    def _open_parser(self) -> ServerProtocol:
        if self._parser is None:
            self._parser = ServerProtocol(state=State.OPEN, max_size=MAX_FRAME, logger=_log)
        return self._parser

    def parse(self, data: bytes) -> list[Frame]:
        """Parse input, and return the frames that it completes; after malformed input, `is_over` is true."""
        parser = self._open_parser()
        parser.receive_data(data)
        frames = [event for event in parser.events_received() if isinstance(event, Frame)]
        self._unfinished += len(data) - sum(map(_size, frames))
        return frames

    def join(self, frame: Frame) -> str | bytes | None:
        """Take a data frame, and return its message if this is the last fragment: text, or binary.

        Raises:
            UnicodeDecodeError: the text is not UTF-8.
        """
        if frame.opcode is not Opcode.CONT:
            self._text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return None
        message = b"".join(self._parts)
        self._parts.clear()
        return message.decode() if self._text else message

    def close(self, code: int, reason: str = "") -> None:
        """Add a close frame to the answers, unless there is one."""
        parser = self._open_parser()
        if parser.state is State.OPEN:
            parser.send_close(code, reason)

    def answers(self) -> bytes:
        """Take the frames to send."""
        return b"".join(self._open_parser().data_to_send())

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be parsed: the client sent a close frame, or a malformed one."""
        parser = self._open_parser()
        return parser.close_rcvd is not None or parser.parser_exc is not None

    def rest(self) -> None:
        """Drop the parser if nothing is half parsed and the connection stays open."""
        if self._unfinished or self._parts or self._parser is None or self._parser.state is not State.OPEN:
            return
        self._parser = None


def _size(frame: Frame) -> int:
    """Return the size of a client's frame on the wire, if its length is encoded in the fewest bytes.

    A longer encoding only means that its connection keeps the parser.
    """
    size = len(frame.data)
    return size + (6 if size < _SHORT else 8)
