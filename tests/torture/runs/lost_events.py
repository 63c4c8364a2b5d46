"""Lost events: no webhook arrives for days, and the board finds out everything by asking Stripe.

One of the events that Stripe lists is unreadable.
"""

import asyncio
import random
import time

from tests.torture.checks.audit import settled_audit
from tests.torture.harness.payers import LIVES, Crowd
from tests.torture.harness.world import made_world
from tests.torture.order import Order
from tests.torture.table import Row

SHORT, LONG = 1, 40  # payers with each life
SILENT = [life for life in LIVES if life != "is moderated with a refund"]  # that life waits for its message


async def run(order: Order) -> list[Row]:
    """Let payers with every life pay while all deliveries are lost, and audit what the reconciler found."""
    each = order.count or (SHORT if order.short else LONG)
    row = Row("lost-events", "no webhook ever arrives", order.seed)
    began = time.monotonic()
    async with made_world(
        launcher=order.launcher, database=order.database, hooks=order.hooks, reconcile_s=0.5
    ) as world:
        await world.faults(webhook={"drop": "all"})
        world.file.add_unreadable_event()
        await world.restart_board()
        crowd = Crowd(world, random.Random(order.seed))
        for _ in order.rounds(each):
            await asyncio.gather(*(crowd.send(life) for life in SILENT))
        await settled_audit(world, row, timeout_s=order.settle_s)
        ledger = await world.ledger()
        if any(delivery["status"] for delivery in ledger["deliveries"]):
            row.wrong.append("a webhook arrived")
        row.counts = {"payments": len(world.taken), "events lost": len(ledger["deliveries"])}
    row.seconds = time.monotonic() - began
    return [row]
