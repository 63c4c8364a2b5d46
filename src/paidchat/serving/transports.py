"""Transports: what the feed needs of a connection, and how to reset one."""

import asyncio
import contextlib
import socket
import struct
from typing import Any, Final, Protocol

_AT_ONCE: Final = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds


class Transport(Protocol):
    """The part of `asyncio.Transport` that the feed uses."""

    def write(self, data: bytes) -> None:
        """Queue bytes for sending."""

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes in the send buffer."""

    def is_closing(self) -> bool:
        """Tell whether it is closing or closed."""

    def get_extra_info(self, name: str) -> Any:
        """Return information about the connection, such as its socket."""

    def pause_reading(self) -> None:
        """Leave what arrives in the kernel."""

    def resume_reading(self) -> None:
        """Read again."""

    def close(self) -> None:
        """Close once the buffer is sent."""

    def abort(self) -> None:
        """Close without sending the buffer."""


def reset(transport: Transport, *, even_if_closing: bool = False) -> None:
    """Reset a connection whose client does not read, discarding everything that the kernel buffers for it.

    For one that is already closing, the data still being sent is only discarded on request.

    Aborting alone leaves the kernel's buffer, up to megabytes, for as long as the client doesn't read. A reset frees it
    at once (RFC 9293, section 3.10.5).
    """
    connected = transport.get_extra_info("socket")
    if connected is not None and (even_if_closing or not transport.is_closing()):
        with contextlib.suppress(OSError):  # the connection may be closed already
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()


class LastWords:
    """A transport for a response that ends the connection: it sends EOF instead of closing.

    Closing with unread input resets the connection, and the response could be lost (RFC 9112, section 9.6).
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Queue bytes for sending."""
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Tell whether it is closing or closed."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Send EOF, or close if it can't."""
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        else:
            self._transport.close()
