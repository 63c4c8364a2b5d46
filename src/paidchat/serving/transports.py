"""Transports: what the feed needs of a viewer's connection, and how one is cut off."""

import contextlib
import socket
import struct
from typing import Any, Final, Protocol

_AT_ONCE: Final = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time


class Transport(Protocol):
    """The part of `asyncio.Transport` that the feed uses."""

    def write(self, data: bytes) -> None:
        """Queue bytes for sending."""

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""

    def is_closing(self) -> bool:
        """Tell whether nothing more may be written."""

    def get_extra_info(self, name: str) -> Any:
        """Return what is known of the connection; its socket, say."""

    def abort(self) -> None:
        """Close without sending what waits."""


def reset(transport: Transport, *, even_if_closing: bool = False) -> None:
    """Drop a connection whose other side does not read: without a word, and with all that the kernel holds for it.

    One that is closing already has its last words under way; they are let go too only if asked for.

    An aborted connection alone leaves what was handed to the kernel there, for as long as the other side takes no
    notice: megabytes, in the worst case, that nobody can account for. A reset frees them now (RFC 9293, 3.10.5).
    """
    connected = transport.get_extra_info("socket")
    if connected is not None and (even_if_closing or not transport.is_closing()):
        with contextlib.suppress(OSError):  # the connection may be gone already
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()
