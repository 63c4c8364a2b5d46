"""Kills: a board is killed at random moments, also during start-up, while people pay and Stripe delivers."""

import asyncio
import random
import time
from collections.abc import Iterable
from typing import Any

from tests.torture.checks.acknowledgements import Acknowledgements
from tests.torture.checks.audit import settled_audit
from tests.torture.harness.payers import Crowd
from tests.torture.harness.world import World, made_world
from tests.torture.order import Order
from tests.torture.table import Row

SHORT, LONG = 6, 1000
PAYER_EVERY_S = 0.06
IN_START_UP = 0.3  # of all kills
LONGEST_START_UP_S = 0.5
MOST_ANSWERS = 25  # a board is killed after at most this many responses to payers, however fast the machine is
LONGEST_LIFE_S = 3.0
LONGEST_PAUSE_S = 0.1
PASSING_S = 2  # how far the sandbox's clock advances at each kill, so that it retries while a board is running
FAULTS_EVERY = 4  # kills
THOROUGH_EVERY = 50  # kills

# Faults of webhook delivery, drawn again every few kills and cleared for the audit.
FAULTS: tuple[dict[str, Any], ...] = (
    {},
    {"duplicate": 2},
    {"drop": 3},
    {"reorder": True},
    {"delay_s": 0.5, "duplicate": 1},
    {"foreign_events": True},
)


async def run(order: Order) -> list[Row]:
    """Kill, check what is on disk, start again; at the end let the board settle, and audit."""
    kills = order.count or (SHORT if order.short else LONG)
    row = Row("kills", "SIGKILL at random moments while people pay", order.seed)
    rng = random.Random(order.seed)
    began = time.monotonic()
    async with made_world(launcher=order.launcher, database=order.database, hooks=order.hooks) as world:
        crowd = Crowd(world, random.Random(order.seed + 1))
        crowd.begin(PAYER_EVERY_S)
        await _kill(world, rng, order.rounds(kills), row)
        await crowd.end()
        await world.faults()
        await world.restart_board()
        await crowd.all_gone()
        await settled_audit(world, row, timeout_s=order.settle_s)
        row.wrong += crowd.wrong
        row.lost += await _refunds_not_sent(world, crowd)
        row.counts |= await _counts(world)
    row.seconds = time.monotonic() - began
    return [row]


async def _kill(world: World, rng: random.Random, rounds: Iterable[int], row: Row) -> None:
    """Kill once in each round, and count the kills, and those of boards that had not responded yet."""
    acknowledged = Acknowledgements(world)
    row.counts |= {"kills": 0, "in start-up": 0}
    for number in rounds:
        if number % FAULTS_EVERY == 0:
            await world.faults(webhook=rng.choice(FAULTS))
        await world.start_board()
        if rng.random() < IN_START_UP:
            row.counts["in start-up"] += 1
            await asyncio.sleep(rng.uniform(0, LONGEST_START_UP_S))
        else:
            await world.board_answers()
            await world.answers_given(rng.randrange(MOST_ANSWERS), LONGEST_LIFE_S)
            await asyncio.sleep(rng.uniform(0, LONGEST_PAUSE_S))
        await world.kill_board()
        row.counts["kills"] += 1
        await world.let_pass(PASSING_S)
        row.lost += await acknowledged.check(thorough=number % THOROUGH_EVERY == 0)
    row.counts["events acknowledged"] = acknowledged.events


async def _refunds_not_sent(world: World, crowd: Crowd) -> list[str]:
    sessions = (await world.ledger())["sessions"]
    back = {
        session["client_reference_id"]
        for session in sessions
        if session["amount_refunded"] >= session["amount_total"] or session["disputed"]
    }
    return [f"payment {payment_id} was to be refunded and was not" for payment_id in crowd.refunds_owed - back]


async def _counts(world: World) -> dict[str, float]:
    ledger = await world.ledger()
    async with world.records.reading() as reader:
        posted = len(await reader.rows("SELECT id FROM message"))
        seq = (await reader.rows("SELECT seq FROM board"))[0].seq
    return {
        "payments": len(world.taken),
        "paid": sum(session["payment_status"] == "paid" for session in ledger["sessions"]),
        "posted": posted,
        "seq": seq,
        "deliveries": len(ledger["deliveries"]),
    }
