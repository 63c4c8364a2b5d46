"""Stalled viewers: a hundred viewers never read, while the board is busy and other viewers do read."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import quantiles

from paidchat.storage.database import Database
from tests.support.rows import opened, write_messages
from tests.torture.harness.sockets import RawClient, resident_bytes, server_sockets
from tests.torture.harness.viewer import Viewer
from tests.torture.harness.world import World, made_world
from tests.torture.order import Order
from tests.torture.table import Row

MOST_VIEWERS = "10000"
NEVER_S = 3_600.0
READERS = 8
STALLED = 100
TEXT = "\U0001f4b0" * 500  # the most bytes that a message may have: two thousand
MIB = 2**20
# What a hundred stalled viewers may cost: the backlog at which each is dropped, plus some overhead.
MOST_GROWTH = (STALLED + 60) * MIB
FREED_WITHIN_S = 30
DROPPED_WITHIN_S = 20  # in the short pass: the board has let go, and the kernel still tries to send the last bytes
DELIVERED_WITHIN_S = 5  # to all readers; they share this machine with everything else
DROPPED = frozenset({"FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK"})


@dataclass(frozen=True)
class Traffic:
    """How busy the board is: the number of messages at once, and the pause after them."""

    name: str
    batch: int
    pause_s: float


FLOOD = Traffic("flood", 250, 0.0)
LONG = (FLOOD, Traffic("flow", 50, 1.0), Traffic("trickle", 1, 1.0), Traffic("silence", 0, 1.0))


@dataclass
class Measured:
    """The measurements while viewers were stalled."""

    written: int = 0
    delivered_s: list[float] = field(default_factory=list)
    peak: int = 0
    freed_s: float = 0.0


async def run(order: Order) -> list[Row]:
    """Stall viewers under each kind of traffic, one after another, and measure the effect on the others."""
    rows = []
    for traffic in (FLOOD,) if order.short else LONG:
        row = Row("stalled", f"{STALLED} viewers never read, {READERS} do: {traffic.name}", order.seed)
        began = time.monotonic()
        async with (
            made_world(
                launcher=order.launcher, database=order.database, hooks=order.hooks, reconcile_s=NEVER_S
            ) as world,
            opened(world.records.url) as database,
        ):
            await _stall(world, database, traffic, row, until_freed=not order.short)
        row.seconds = time.monotonic() - began
        rows.append(row)
    return rows


async def _stall(world: World, database: Database, traffic: Traffic, row: Row, *, until_freed: bool) -> None:
    board = await world.restart_board(PAIDCHAT_MAX_VIEWERS_PER_CLIENT=MOST_VIEWERS)
    readers = [Viewer(f"ws://127.0.0.1:{world.board_port}/api/feed") for _ in range(READERS)]
    for reader in readers:
        await reader.connect()
    stalled = [await RawClient.following(world.board_port) for _ in range(STALLED)]
    ports = {client.port for client in stalled}
    await _until(lambda: server_sockets(world.board_port, ports)["ESTABLISHED"] == STALLED)
    before = resident_bytes(board.pid)
    measured = Measured(peak=before)
    began = time.monotonic()
    while (left := server_sockets(world.board_port, ports)) and (until_freed or not set(left) <= DROPPED):
        if time.monotonic() - began > (FREED_WITHIN_S if until_freed else DROPPED_WITHIN_S) + 15:
            break
        await _write(database, traffic, readers, measured)
        measured.peak = max(measured.peak, resident_bytes(board.pid))
        await asyncio.sleep(traffic.pause_s)
    measured.freed_s = time.monotonic() - began
    for client in stalled:
        client.close()
    for reader in readers:
        row.lost += reader.replica.findings
        await reader.disconnect()
    _judge(row, measured, before, FREED_WITHIN_S if until_freed else DROPPED_WITHIN_S)


async def _write(database: Database, traffic: Traffic, readers: list[Viewer], measured: Measured) -> None:
    """Post, and measure the time until every reader has the message."""
    if not traffic.batch:
        return
    ids = await write_messages(database, traffic.batch, TEXT)
    measured.written += len(ids)
    began = time.monotonic()
    await asyncio.gather(*(reader.catch_up(ids[-1]) for reader in readers))
    measured.delivered_s.append(time.monotonic() - began)


def _judge(row: Row, measured: Measured, before: int, within_s: float) -> None:
    growth = measured.peak - before
    row.counts |= {"messages": measured.written, "MiB before": round(before / MIB), "MiB more": round(growth / MIB, 1)}
    row.counts["freed after s"] = round(measured.freed_s, 1)
    if len(measured.delivered_s) > 1:
        slow = quantiles(measured.delivered_s, n=20, method="inclusive")[-1]
        row.counts |= {"delivered p95 ms": round(slow * 1000), "worst ms": round(max(measured.delivered_s) * 1000)}
        if slow > DELIVERED_WITHIN_S:
            row.wrong.append(f"readers wait {slow:.1f} s for a message")
    if growth > MOST_GROWTH:
        row.wrong.append(f"the board grew by {growth / MIB:.0f} MiB")
    if measured.freed_s > within_s:
        row.wrong.append(f"stalled viewers were held for {measured.freed_s:.1f} s")


async def _until(holds: Callable[[], bool]) -> None:
    """Wait for something that should happen soon."""
    for _ in range(400):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("viewers are not let in")
