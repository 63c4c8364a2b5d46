"""Database restarts: PostgreSQL goes down and comes back under a board that lives on, while people pay."""

import asyncio
import random
import time
from contextlib import suppress

from postgres import Postgres

from tests.torture.audit import settled_audit
from tests.torture.order import Order
from tests.torture.payers import Crowd
from tests.torture.table import Row
from tests.torture.world import made_world

SHORT, LONG = 2, 20
PAYER_EVERY_S = 0.1
ANSWERS = 10  # of the board's, between a restart and the next
LONGEST_WAIT_S = 8.0


async def run(order: Order) -> list[Row]:
    """Restart a server of the run's own, again and again; the board must get over it by itself."""
    restarts = order.count or (SHORT if order.short else LONG)
    row = Row("database-restarts", "PostgreSQL is restarted while people pay", order.seed)
    began = time.monotonic()
    server = await asyncio.to_thread(Postgres)
    try:
        database = server.url.render_as_string(hide_password=False)
        async with made_world(launcher=order.launcher, database=database, hooks=order.hooks) as world:
            board = await world.restart_board()
            crowd = Crowd(world, random.Random(order.seed))
            gathering = asyncio.create_task(crowd.gather(PAYER_EVERY_S))
            for _ in range(restarts):
                await world.answers_given(ANSWERS, LONGEST_WAIT_S)
                await asyncio.to_thread(server.restart)
            gathering.cancel()
            with suppress(asyncio.CancelledError):
                await gathering
            await crowd.all_gone()
            await settled_audit(world, row, timeout_s=order.settle_s)
            row.wrong += crowd.wrong
            if not board.alive:
                row.wrong.append("the board did not live through it")
            row.counts = {"restarts": restarts, "payments": len(world.taken)}
    finally:
        await asyncio.to_thread(server.stop)
    row.seconds = time.monotonic() - began
    return [row]
