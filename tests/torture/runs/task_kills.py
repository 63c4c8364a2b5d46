"""Task kills: a board's background tasks are cancelled at random while people pay and a viewer follows."""

import asyncio
import random
import time

import websockets

from tests.torture.checks.audit import settled_audit
from tests.torture.harness.payers import Crowd
from tests.torture.harness.viewer import Viewer
from tests.torture.harness.world import World, made_world
from tests.torture.order import Order
from tests.torture.table import Row

SHORT, LONG = 30, 300  # kills
EVERY_S = 0.15
PAYER_EVERY_S = 0.1


async def run(order: Order) -> list[Row]:
    """Cancel tasks while people pay; the board must recover, post everything and deliver it in order."""
    kills = order.count or (SHORT if order.short else LONG)
    row = Row("task-kills", "background tasks are cancelled at random while people pay", order.seed)
    began = time.monotonic()
    hooks = {**order.hooks, "kill_tasks": {"times": kills, "every_s": EVERY_S}}
    async with made_world(launcher=order.launcher, database=order.database, hooks=hooks) as world:
        await world.restart_board()
        viewer = Viewer(f"ws://127.0.0.1:{world.board_port}/api/feed")
        await viewer.connect()
        # The viewer must keep reading, otherwise it answers no pings and is dropped.
        reading = asyncio.create_task(_read_on(viewer))
        crowd = Crowd(world, random.Random(order.seed))
        crowd.begin(PAYER_EVERY_S)
        await asyncio.sleep(kills * EVERY_S)
        await crowd.end()
        await crowd.all_gone()
        await settled_audit(world, row, timeout_s=order.settle_s)
        reading.cancel()
        await asyncio.wait([reading])
        await _heal(world, viewer, row, order.settle_s)
        row.wrong += crowd.wrong
        row.lost += viewer.replica.findings
        row.counts = {"kills": kills, "payments": len(world.taken), "entries seen": viewer.replica.taken}
        await viewer.disconnect()
    row.seconds = time.monotonic() - began
    return [row]


async def _read_on(viewer: Viewer) -> None:
    """Read until cancelled, without a timeout: a task that is killed several times in a row is down for seconds."""
    while True:
        await viewer.read_for(PAYER_EVERY_S)


async def _heal(world: World, viewer: Viewer, row: Row, within_s: float) -> None:
    """Wait until the viewer has everything on its one connection, and the board is ready."""
    async with world.records.reading() as reader:
        seq = (await reader.rows("SELECT seq FROM board"))[0].seq
    try:
        await viewer.reach(seq, within_s)
    except (TimeoutError, websockets.ConnectionClosed) as end:
        row.lost.append(f"a follower is still at {viewer.replica.seq}, the board is at {seq}: {type(end).__name__}")
    deadline = time.monotonic() + within_s
    while (answer := await world.http.get("/readyz")).status_code != 200:
        if time.monotonic() > deadline:
            row.wrong.append(f"the board does not get ready again: {answer.text}")
            return
        await asyncio.sleep(0.2)
