"""Database restarts: PostgreSQL goes down and comes back under a running board, while people pay and watch."""

import asyncio
import random
import time

import websockets

from tests.support.postgres import Postgres
from tests.torture.checks.audit import read_board, settled_audit
from tests.torture.harness.payers import Crowd
from tests.torture.harness.viewer import Viewer
from tests.torture.harness.world import World, made_world
from tests.torture.order import Order
from tests.torture.table import Row

SHORT, LONG = 2, 20
PAYER_EVERY_S = 0.1
ANSWERS = 10  # responses of the board between two restarts
LONGEST_WAIT_S = 8.0
VIEWERS = 4
RETRY_S = 0.2


async def run(order: Order) -> list[Row]:
    """Restart PostgreSQL again and again; the board must recover by itself."""
    restarts = order.count or (SHORT if order.short else LONG)
    row = Row("database-restarts", "PostgreSQL is restarted while people pay and others watch", order.seed)
    began = time.monotonic()
    server = await asyncio.to_thread(Postgres)
    try:
        database = server.url.render_as_string(hide_password=False)
        async with made_world(launcher=order.launcher, database=database, hooks=order.hooks) as world:
            board = await world.restart_board()
            viewers = [Viewer(f"ws://127.0.0.1:{world.board_port}/api/feed") for _ in range(VIEWERS)]
            following = [asyncio.create_task(_follow(viewer)) for viewer in viewers]
            crowd = Crowd(world, random.Random(order.seed))
            crowd.begin(PAYER_EVERY_S)
            for _ in range(restarts):
                await world.answers_given(ANSWERS, LONGEST_WAIT_S)
                await asyncio.to_thread(server.restart)
            await crowd.end()
            await crowd.all_gone()
            await settled_audit(world, row, timeout_s=order.settle_s)
            row.wrong += crowd.wrong
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
            await _gather(world, viewers, row)
            if not board.alive:
                row.wrong.append("the board did not survive")
            row.counts |= {"restarts": restarts, "payments": len(world.taken)}
    finally:
        await asyncio.to_thread(server.stop)
    row.seconds = time.monotonic() - began
    return [row]


async def _follow(viewer: Viewer) -> None:
    """Follow the board until cancelled, reconnecting with the cursor whenever the connection ends."""
    while True:
        try:
            await viewer.connect(viewer.cursor)
            await viewer.read_to_end()
        except (OSError, websockets.WebSocketException, TimeoutError):
            await asyncio.sleep(RETRY_S)
        await viewer.disconnect()


async def _gather(world: World, viewers: list[Viewer], row: Row) -> None:
    """Compare the viewers with the board: each got one snapshot at the start and has missed nothing since."""
    row.counts["viewers' connections"] = sum(viewer.connections for viewer in viewers)
    messages = await read_board(world)
    async with world.records.reading() as reader:
        head = (await reader.rows("SELECT seq FROM board"))[0].seq
    for viewer in viewers:
        await viewer.disconnect()
        await viewer.connect(viewer.cursor)
        await viewer.catch_up(head)
        await viewer.disconnect()
        if viewer.snapshots > 1:
            row.wrong.append(f"a viewer had to start over {viewer.snapshots - 1} times")
        row.lost += viewer.replica.findings + viewer.replica.differences(messages)[:3]
