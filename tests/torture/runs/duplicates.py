"""Duplicates: each event arrives fifty times at once, together with the landing page's lookup and the reconciler."""

import asyncio
import time

from tests.torture.checks.audit import settled_audit
from tests.torture.harness.payers import start_payment
from tests.torture.harness.world import World, made_world
from tests.torture.order import Order
from tests.torture.table import Row

SHORT, LONG = 3, 150  # payments
COPIES, LOOKS = 50, 5


async def run(order: Order) -> list[Row]:
    """Pay, and report the payment to the board in every way at once."""
    payments = order.count or (SHORT if order.short else LONG)
    row = Row("duplicates", f"each event {COPIES} times at once, with the landing page and the reconciler", order.seed)
    began = time.monotonic()
    async with made_world(
        launcher=order.launcher, database=order.database, hooks=order.hooks, reconcile_s=0.2
    ) as world:
        await world.restart_board()
        await world.faults(webhook={"duplicate": COPIES - 1})
        for number in order.rounds(payments):
            await _pay(world, f"payment {number}")
        await world.faults()
        await settled_audit(world, row, timeout_s=order.settle_s)
        row.counts = {"payments": len(world.taken), "deliveries": len((await world.ledger())["deliveries"])}
    row.seconds = time.monotonic() - began
    return [row]


async def _pay(world: World, text: str) -> None:
    payment = await start_payment(world, text)
    session_id = payment["checkout_url"].rsplit("/", 1)[1]
    looks = (world.http.get(f"/api/payments/{payment['id']}") for _ in range(LOOKS))
    await asyncio.gather(world.act(session_id, "pay"), *looks)
