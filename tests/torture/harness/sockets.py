"""Sockets: raw TCP clients that misbehave, and the kernel's view of a server's connections."""

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Collection
from pathlib import Path

HANDSHAKE = (
    "GET /api/feed HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SMALLEST_BUFFER = 4096  # bytes; the kernel doubles it
# Values of `st` in /proc/net/tcp (include/net/tcp_states.h); the other states cost neither memory nor a slot.
STATES = {1: "ESTABLISHED", 4: "FIN_WAIT1", 5: "FIN_WAIT2", 8: "CLOSE_WAIT", 9: "LAST_ACK", 11: "CLOSING"}


class RawClient:
    """A TCP connection that sends and reads only when it is told to."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.port: int = connected.getsockname()[1]

    @classmethod
    async def connect(cls, port: int) -> "RawClient":
        """Connect to a server on this machine, with a small receive buffer."""
        made = socket.socket()
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALLEST_BUFFER)
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
        return cls(made)

    @classmethod
    async def following(cls, port: int) -> "RawClient":
        """Connect, and send a handshake for the feed, without waiting for the response."""
        client = await cls.connect(port)
        await client.send(HANDSHAKE.format(host=f"127.0.0.1:{port}").encode())
        return client

    async def send(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            OSError: the other side has closed.
        """
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def read_to_end(self, timeout_s: float) -> bytes | None:
        """Read until the other side closes, and return everything; None if it does not in time."""
        loop = asyncio.get_running_loop()
        received = b""
        try:
            async with asyncio.timeout(timeout_s):
                while chunk := await loop.sock_recv(self._socket, 65536):
                    received += chunk
        except TimeoutError:
            return None
        except OSError:  # reset
            pass
        return received

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def server_sockets(port: int, clients: Collection[int] | None = None) -> Counter[str]:
    """Count a server's connections by state; only those to the given client ports, if any."""
    found: Counter[str] = Counter()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, remote, state, *_ = line.split()
            ours = int(local.rpartition(":")[2], 16) == port
            if ours and (clients is None or int(remote.rpartition(":")[2], 16) in clients):
                found[STATES.get(int(state, 16), "")] += 1
    del found[""]
    return found


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
