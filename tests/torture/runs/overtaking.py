"""Overtaking: one of Stripe's answers is delayed, and newer ones about the same money arrive first."""

import asyncio
import time

from tests.torture.checks.audit import settled_audit
from tests.torture.harness.payers import start_payment
from tests.torture.harness.world import World, made_world
from tests.torture.hooks.time_hooks import HELD_S
from tests.torture.order import Order
from tests.torture.table import Row

SHORT, LONG = 2, 30  # rounds
PAUSE_S = HELD_S / 4
HOOKS = {"hold_answers": True, "first_sweep_s": 3600}  # the reconciler would ask again, and get the current state

# The answer to the question caused by the first verb arrives after those caused by the second.
TURNS = (("refund", "refund_fail"), ("dispute", "win_dispute"), ("refund_partial", "refund"))


async def run(order: Order) -> list[Row]:
    """Change each payment's money twice, so that the first answer is out of date when it arrives."""
    rounds = order.count or (SHORT if order.short else LONG)
    row = Row("overtaking", "old answers about refunds and disputes arrive after newer ones", order.seed)
    began = time.monotonic()
    async with made_world(launcher=order.launcher, database=order.database, hooks={**order.hooks, **HOOKS}) as world:
        await world.restart_board()
        for number in order.rounds(rounds):
            await asyncio.gather(*(_turn(world, f"round {number}: {turn}", turn) for turn in TURNS))
        await asyncio.sleep(2 * HELD_S)
        row.counts = {"payments": len(world.taken), "answers held": len(world.taken)}
        await settled_audit(world, row, timeout_s=order.settle_s)
    row.seconds = time.monotonic() - began
    return [row]


async def _turn(world: World, text: str, turn: tuple[str, str]) -> None:
    payment = await start_payment(world, text)
    session_id = payment["checkout_url"].rsplit("/", 1)[1]
    await world.act(session_id, "pay")
    for verb in turn:
        await asyncio.sleep(PAUSE_S)
        await world.act(session_id, verb)
