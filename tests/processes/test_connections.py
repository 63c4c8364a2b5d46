"""Abandoned connections, by the hundred: afterwards the process has no descriptors and no memory left of them."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.support.network.raw_http import handshake
from tests.support.served import Running, free_port, process_anew, production

MIB = 2**20
EACH = 100  # connections of each kind
GONE_WITHIN_S = 30 + 10  # for a busy machine
MOST_GROWTH = 8 * MIB
SOON = ("a handshake", "misuse", "a broken")  # kinds that are closed at once
AT_ONCE = 100  # connections being opened

POST = b"POST /stripe/webhook HTTP/1.1\r\nHost: board\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
# What is sent first, and then every few seconds until the other side closes.
KINDS: dict[str, tuple[bytes, bytes]] = {
    "silence": (b"", b""),
    "a slow head": (b"POST /stripe/webhook HTTP/1.1\r\nX-Y: ", b"a"),
    "a head that stops": (POST, b""),
    "a slow body": (POST + b"Content-Length: 4000\r\n\r\n", b"a"),
    "a body that stops": (POST + b"Content-Length: 4000\r\n\r\n{", b""),
    "slow chunks": (CHUNKED, b"1\r\na\r\n"),
    "slow trailers": (CHUNKED + b"0\r\n", b"X-Y: a\r\n"),
    "half a handshake": (handshake()[:-2], b""),
    "a handshake with a body": (handshake(Content_Length="5"), b"a"),
    "a handshake with a long line": (handshake(Cookie="a" * 25_000), b"a"),
    "a handshake elsewhere": (handshake("/"), b"a"),
    "a handshake with a bad key": (handshake(Sec_WebSocket_Key="x"), b"a"),
    "a handshake of another version": (handshake(Sec_WebSocket_Version="8"), b"a"),
    "a handshake of another origin": (handshake(Origin="https://evil.example.com"), b"a"),
    "misuse of the feed": (handshake() + b"\x81\x80" + bytes(4) + b"\x81\x80" + bytes(4) + b"\x81\x00", b"\x89\x00"),
    "a broken request": (b"GET / HTTP/1.1\nHost: board\n\n", b"a"),
}


def sockets_of(pid: int) -> int:
    """Return how many of a process's descriptors are sockets; the database's files come and go."""
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += str(descriptor.readlink()).startswith("socket:")
    return count


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process and its children have as many descriptors as the test needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def connect(port: int, places: asyncio.Semaphore, start: bytes) -> socket.socket:
    """Connect, and send the first bytes."""
    connected = socket.socket()
    connected.setblocking(False)
    async with places:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connected, ("127.0.0.1", port))
        with contextlib.suppress(OSError):
            await loop.sock_sendall(connected, start)
    return connected


async def sockets_left(board: Running, port: int, kinds: Iterable[tuple[bytes, bytes]]) -> int:
    """Open connections of these kinds, all at once, and return how many of their sockets are left after 30 s."""
    places = asyncio.Semaphore(AT_ONCE)
    before = sockets_of(board.pid)
    chosen = list(kinds) * EACH
    connections = await asyncio.gather(*(connect(port, places, start) for start, _ in chosen))
    began = time.monotonic()
    while (left := sockets_of(board.pid) - before) > 0 and time.monotonic() - began < GONE_WITHIN_S:
        for connection, (_, drip) in zip(connections, chosen, strict=True):
            with contextlib.suppress(OSError):
                connection.send(drip)
        await asyncio.sleep(2)
    for connection in connections:
        connection.close()
    return left


@pytest.mark.long
@pytest.mark.usefixtures("many_descriptors")
async def test_connections_that_come_to_nothing_leave_nothing(tmp_path: Path) -> None:
    """Of 100 concurrent connections of each kind nothing is left after 30 s, though their clients never close."""
    port = free_port()
    with process_anew("serve", "--port", str(port), **production(tmp_path, port)) as board:
        assert await sockets_left(board, port, KINDS.values()) <= 0
        # They have grown the process's memory as far as needed; from those that follow, nothing may be left.
        memory = resident(board.pid)
        assert await sockets_left(board, port, [kind for name, kind in KINDS.items() if name.startswith(SOON)]) <= 0
        assert resident(board.pid) - memory < MOST_GROWTH


def lines_of(board: subprocess.Popen[str]) -> str:
    """Stop a process and return its output."""
    board.send_signal(signal.SIGTERM)
    output, _ = board.communicate(timeout=20)
    return output


@contextlib.contextmanager
def limited(data: Path, port: int, soft: int, hard: int, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Serve a board with these limits on open files; yields the process once it responds."""
    arguments = ["prlimit", f"--nofile={soft}:{hard}", "paidchat", "serve", "--port", str(port)]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    kept["PATH"] = f"{Path(sys.executable).parent}:{kept['PATH']}"
    with subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**kept, "PAIDCHAT_LOG_FORMAT": "json", **production(data, port, **more)},
    ) as board:
        try:
            until = time.monotonic() + 30
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                assert time.monotonic() < until
                time.sleep(0.1)
            yield board
        finally:
            if board.poll() is None:
                board.kill()


@pytest.mark.long
def test_the_limit_of_descriptors_is_raised(tmp_path: Path) -> None:
    """A process raises its soft limit as far as it may, and logs nothing if that is enough."""
    port = free_port()
    with limited(tmp_path, port, 256, 2048, PAIDCHAT_MAX_VIEWERS="1000") as board:
        limits = Path(f"/proc/{board.pid}/limits").read_text()
        assert next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3] == "2048"
        assert "descriptors." not in lines_of(board)


@pytest.mark.long
def test_too_few_descriptors_are_named(tmp_path: Path) -> None:
    """A process that can't have enough for its viewers warns at startup, and logs when it refuses connections."""
    port = free_port()
    with limited(tmp_path, port, 64, 64, PAIDCHAT_MAX_VIEWERS="500") as board:
        crowd = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(100)]
        time.sleep(3)
        for one in crowd:
            one.close()
        time.sleep(1)
        output = lines_of(board)
    assert "descriptors.limit_low" in output
    assert "PAIDCHAT_MAX_VIEWERS" in output
    assert output.count("descriptors.exhausted") == 1
