"""Measures what a viewer, a message and a process cost, and extrapolates to 10^5 to 10^7 viewers.

One board on SQLite with its sandbox; the viewers are in this process. CPU is the board's own, from /proc. The last
table is computed from the measurements: to try other assumptions, change those at the top and run it again.
./dev bench cost
"""

import asyncio
import base64
import contextlib
import json
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks._boards import Board, board

VIEWERS = (0, 500, 1_500)
MESSAGES = 15  # posted at each number of viewers
STORED = (1_000, 100_000)  # messages on the board when a page is read
READS = 60

# Assumptions of the model.
MESSAGES_PER_SECOND = 1.0
FRAME_BYTES = 350
CORES_PER_MACHINE, GIB_PER_MACHINE, GBIT_PER_MACHINE = 8, 32, 10
HEADROOM = 0.5  # how much of a core a process should use
POLLS_PER_SECOND = 2  # of the database, by each process


class Viewer(asyncio.Protocol):
    """A viewer that only counts bytes, so that it takes almost no CPU of this process."""

    received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /api/feed HTTP/1.1\r\nHost: board\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Count."""
        self.received += len(data)


async def connect(port: int, count: int) -> list[asyncio.BaseTransport]:
    """Connect viewers, 50 at a time."""
    loop = asyncio.get_running_loop()
    transports: list[asyncio.BaseTransport] = []
    for start in range(0, count, 50):
        opened = await asyncio.gather(
            *(loop.create_connection(Viewer, "127.0.0.1", port) for _ in range(min(50, count - start)))
        )
        transports += [transport for transport, _ in opened]
    await asyncio.sleep(2)
    return transports


async def post(client: httpx.AsyncClient, sandbox: str, text: str) -> None:
    """Pay for one message."""
    payment = (await client.post("/api/payments", json={"text": text})).json()
    session = payment["checkout_url"].rsplit("/", 1)[1]
    await client.post(f"{sandbox}/test/sessions/{session}/pay")


async def measure_viewers(running_board: Board) -> tuple[float, float, float]:
    """Return µs of CPU per delivery, KiB per viewer, and ms of CPU per message without viewers."""
    port = int(running_board.url.rsplit(":", 1)[1])
    cpu, memory = [], []
    async with httpx.AsyncClient(base_url=running_board.url, trust_env=False, timeout=30) as client:
        for _ in range(5):
            await post(client, running_board.sandbox, "Warm up " + "x" * 180)
        for count in VIEWERS:
            transports = await connect(port, count)
            memory.append(running_board.rss_kib())
            before = running_board.cpu_s()
            for number in range(MESSAGES):
                await post(client, running_board.sandbox, f"Message {number} " + "x" * 180)
            await asyncio.sleep(1)
            cpu.append(running_board.cpu_s() - before)
            for transport in transports:
                transport.close()
            await asyncio.sleep(1)
    per_delivery = (cpu[-1] - cpu[1]) / (MESSAGES * (VIEWERS[-1] - VIEWERS[1])) * 1e6
    per_viewer = (memory[-1] - memory[1]) / (VIEWERS[-1] - VIEWERS[1])
    return per_delivery, per_viewer, cpu[0] / MESSAGES * 1e3


def fill(database: Path, count: int) -> None:
    """Put messages on a board that has been started once."""
    at = "2026-01-01 00:00:00.000000"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        (head,) = connection.execute("SELECT seq FROM board").fetchone()
        seqs = range(head + 1, count + 1)
        connection.executemany(
            "INSERT INTO payment (id, status, paid, refunded, disputed, text, amount, currency, created_at, expires_at,"
            " client, stripe_key, stripe_params) VALUES (?, 'fulfilled', 1, 0, 0, 'x', 100, 'usd', ?, ?, '', ?, '{}')",
            ((f"p{seq}", at, at, f"k{seq}") for seq in seqs),
        )
        connection.executemany(
            "INSERT INTO message (id, payment_id, text, amount, currency, posted_at, moderated, hidden)"
            " VALUES (?, ?, ?, 100, 'usd', ?, 0, 0)",
            ((seq, f"p{seq}", "x" * 200, at) for seq in seqs),
        )
        connection.executemany(
            "INSERT INTO log_entry (seq, kind, message_id, at) VALUES (?, 'posted', ?, ?)",
            ((seq, seq, at) for seq in seqs),
        )
        connection.execute("UPDATE board SET seq = ?", (max(head, count),))


async def measure_page(url: str, query: str) -> float:
    """Return the median milliseconds of reading a page."""
    times = []
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        for _ in range(READS):
            started = time.perf_counter()
            (await client.get(f"/api/messages{query}")).raise_for_status()
            times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


async def measure_idle(running_board: Board) -> float:
    """Return the share of a core that a board uses while nothing happens."""
    before = running_board.cpu_s()
    await asyncio.sleep(5)
    return (running_board.cpu_s() - before) / 5


def model(per_delivery_us: float, per_viewer_kib: float) -> None:
    """Print what more viewers would need."""
    print(f"\nModel: {MESSAGES_PER_SECOND:g} message/s of {FRAME_BYTES} bytes, processes at {HEADROOM:.0%} of a core")
    print("     viewers  processes  memory GiB  egress Gbit/s  machines   polls/s")
    for viewers in (10**4, 10**5, 10**6, 10**7):
        cores = viewers * MESSAGES_PER_SECOND * per_delivery_us / 1e6
        processes = max(1, -(-int(cores * 1000) // int(HEADROOM * 1000)), -(-viewers // 20_000))
        memory = viewers * per_viewer_kib / 1024**2
        egress = viewers * MESSAGES_PER_SECOND * FRAME_BYTES * 8 / 1e9
        machines = max(
            -(-processes // CORES_PER_MACHINE), memory / GIB_PER_MACHINE, egress / (GBIT_PER_MACHINE * HEADROOM)
        )
        print(
            f"{viewers:>12,} {processes:>10,} {memory:>11.1f} {egress:>14.2f} {-(-machines // 1):>9,.0f}"
            f" {processes * (POLLS_PER_SECOND + MESSAGES_PER_SECOND):>9,.0f}"
        )


async def main() -> None:
    """Measure, and print the measurements and the model."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with board(data) as running_board:
            idle = await measure_idle(running_board)
            per_delivery, per_viewer, per_message = await measure_viewers(running_board)
        print(f"a delivery          {per_delivery:8.1f} µs of CPU")
        print(f"an idle viewer      {per_viewer:8.1f} KiB")
        print(f"a paid message      {per_message:8.1f} ms of CPU, checkout included, no viewers")
        print(f"an idle process     {idle:8.1%} of a core")
        pages = {}
        for count in STORED:
            fill(data / "paidchat.db", count)
            with board(data) as running_board:
                newest = await measure_page(running_board.url, "")
                deep = await measure_page(running_board.url, f"?before={count // 2}")
            pages[count] = (newest, deep)
            print(f"a page, {count:>9,} stored {newest:8.2f} ms newest, {deep:.2f} ms in the middle")
        first, last = (pages[count][0] for count in STORED)
        print(f"a page at {STORED[-1]:,} costs {last / first:.2f} times one at {STORED[0]:,}")
        model(per_delivery, per_viewer)
    print(json.dumps({"per_delivery_us": per_delivery, "per_viewer_kib": per_viewer, "per_message_ms": per_message}))


if __name__ == "__main__":
    asyncio.run(main())
