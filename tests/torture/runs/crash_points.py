"""Crash points: a board dies once before and once after every statement and every call in everything it does."""

import asyncio
import random
import time
from contextlib import suppress
from pathlib import Path

import httpx

from tests.torture.checks.acknowledgements import Acknowledgements
from tests.torture.checks.audit import audit, settled_audit
from tests.torture.harness.processes import Launcher, launching
from tests.torture.harness.stories import ORDERS, Plot, Story, Told
from tests.torture.harness.world import World, made_world
from tests.torture.hooks import crash as crash_hook
from tests.torture.order import Order
from tests.torture.table import Row

PLOTS = (
    Plot("create", ("pay",), by="create"),
    Plot("paid", ("pay",)),
    Plot("paid later", ("pay_later", "settle")),
    Plot("delayed payment failed", ("pay_later", "settle_fail")),
    Plot("expired", ("expire",)),
    Plot("refunded", ("pay", "refund")),
    Plot("refund failed", ("pay", "refund", "refund_fail")),
    Plot("disputed", ("pay", "dispute")),
    Plot("dispute won", ("pay", "dispute", "win_dispute")),
    Plot("paid twice", ("pay",), sessions=2),
    Plot("paid twice, both refunded", ("pay", "refund"), sessions=2),
    Plot("moderated with a refund", (), before=("pay",), by="moderate"),
    Plot("found by the landing page", ("pay",), by="landing"),
    Plot("payment found by the sweep", ("pay",), by="sweep"),
    Plot("refund found by the sweep", ("refund",), before=("pay",), by="sweep"),
    Plot("dispute found by the sweep", ("dispute",), before=("pay",), by="sweep"),
    Plot("second payment found by the sweep", ("pay",), sessions=2, by="sweep"),
)
SHORT_STORIES, SHORT = 3, 2  # and points of each
AT_ONCE = 4  # stories: they mostly wait
TRIES = 4  # at dying at a point
LEASE_S = 0.5
SWEEP_EVERY_S = 0.5
WORKS = {"moderate": ("moderate", "send refunds")}  # the works with a plot's points, if not named like its `by`
NO_SWEEP = {"first_sweep_s": 3600}
SWEEP_AT_ONCE = {"first_sweep_s": 0.05}
# Every removal in this run has a refund.
HALF = "was removed and its refund is not wanted"
HALF_MODERATED = (
    "SELECT message.id FROM message LEFT JOIN refund ON refund.payment_id = message.payment_id "
    "WHERE message.moderated AND refund.payment_id IS NULL"
)
LOOK_EVERY_S = 0.05
ONE_SWEEP = {"PAIDCHAT_RECONCILE_SECONDS": "3600"}
QUIET_S = 1.5
DEATH_TIMEOUT_S = 10  # long, because many boards may share the machine
HEAL_TIMEOUT_S = 20


async def run(order: Order) -> list[Row]:
    """Tell each story in each order, once for each of its points, and audit after each death.

    A short pass dies at a few random points of a few stories; `count` sets how many of each. With a time limit, the
    stories are told in random order, and the last one may have fewer deaths than points.
    """
    stories = [(plot, told) for plot in PLOTS for told in (ORDERS if plot.by != "sweep" else ORDERS[:1])]
    random.Random(order.seed).shuffle(stories)
    if order.story is not None:
        stories = [(plot, told) for plot, told in stories if order.story in _name(plot, told)]
    told_now = stories[: SHORT_STORIES if order.short else None]
    gate = asyncio.Semaphore(AT_ONCE)
    async with launching(order.launcher) as launcher:
        rows = await asyncio.gather(*(_tell(gate, launcher, order, plot, told) for plot, told in told_now))
    begun = [row for row in rows if row is not None]
    if order.story is not None:
        return begun or [Row("crash-points", order.story, order.seed, wrong=["no story has this in its name"])]
    total = Row("crash-points", f"the stories together, of {len(stories)}", order.seed)
    total.counts = {name: sum(row.counts[name] for row in begun) for name in ("points", "deaths")}
    total.counts["stories"] = len(begun)
    total.seconds = sum(row.seconds for row in begun)
    return [total, *begun]


async def _tell(gate: asyncio.Semaphore, launcher: Launcher, order: Order, plot: Plot, told: Told) -> Row | None:
    """Tell one story in its turn, in a world of its own; returns None if the time is up by then."""
    async with gate:
        if order.time_is_up:
            return None
        row = Row("crash-points", _name(plot, told), order.seed)
        began = time.monotonic()
        async with made_world(
            launcher=launcher,
            database=order.database,
            hooks={**order.hooks, "lease_s": LEASE_S},
            reconcile_s=SWEEP_EVERY_S,
        ) as world:
            rng = random.Random(f"{order.seed}, {plot.name}, {told}")
            await Crashes(world, plot, told, row).some_of_them(rng, order)
            await world.restart_board()
            await settled_audit(world, row, timeout_s=order.settle_s)
        row.seconds = time.monotonic() - began
        return row


def _name(plot: Plot, told: Told) -> str:
    return f"{plot.name}, {told}"


class Crashes:
    """The crashes of one plot in one order, in their own world."""

    def __init__(self, world: World, plot: Plot, told: Told, row: Row) -> None:
        self._world = world
        self._plot = plot
        self._told = told
        self._row = row
        self._folder = world.folder / "points"
        self._acknowledged = Acknowledgements(world)
        self._stories = 0

    async def some_of_them(self, rng: random.Random, order: Order) -> None:
        """Rehearse to learn the points, then die at each, or at some random ones, until the time is up."""
        count = order.count or (SHORT if order.short else None)
        points = await self._rehearse()
        if not points:
            self._row.wrong.append("the plot has no points: its hooks see nothing of it")
        chosen = points if count is None else rng.sample(points, min(count, len(points)))
        for point in chosen:
            if order.time_is_up:
                break
            if await self._die_in_time(point):
                self._row.details.append(point)
            elif not point.endswith(")"):  # the second time and later: only if works did not share a transaction
                self._row.wrong.append(f"never reached {point}")
        deaths = len(self._row.details)
        self._row.counts = {"points": len(points), "deaths": deaths, "payments": len(self._world.taken)}

    async def _rehearse(self) -> list[str]:
        """Tell a story to a board of its own, and return the points that it passed."""
        self._folder.mkdir()
        hooks = {"crash": str(self._folder), **NO_SWEEP}
        story = self._new_story()
        await self._world.faults(webhook={"drop": "all"})
        await self._world.restart_board(hooks)
        if self._plot.by == "sweep":
            await story.begin()
            await story.go_on()
            await self._world.kill_board()
            self._arm("")
            await self._world.start_board({**hooks, **SWEEP_AT_ONCE}, **ONE_SWEEP)
        else:
            self._arm("")
            await story.begin()
            await story.go_on()
        await self._quiet()
        await self._world.kill_board()
        await self._heal("nothing", story)
        return self._passed()

    def _passed(self) -> list[str]:
        passed, unknown = (
            self._file(name).read_text().splitlines() for name in (crash_hook.PASSED, crash_hook.UNKNOWN)
        )
        self._row.wrong += [f"the hooks don't know what this belongs to: {step}" for step in dict.fromkeys(unknown)]
        return [point for point in dict.fromkeys(passed) if point.startswith(WORKS.get(self._plot.by, self._plot.by))]

    async def _die_in_time(self, point: str) -> bool:
        """Die at a point, in a later story if need be."""
        for _ in range(TRIES):
            if await self._die_at(point):
                return True
        return False

    async def _die_at(self, point: str) -> bool:
        """Die at a point, check what is on disk, continue with another board, and audit; False if it did not die."""
        story = self._new_story()
        died = await self._tell(point, story)
        await self._world.kill_board()
        self._row.lost += [f"{point}: {what}" for what in await self._acknowledged.check()]
        if self._told == "reversed" and story.payment is None:
            await story.pay_unseen()
        await self._heal(point, story)
        return died

    async def _tell(self, point: str, story: Story) -> bool:
        """Tell a story to the running board, which should die at a point; return whether it did."""
        await self._world.faults(webhook={"drop": "all"})
        await self._hold_sweeps()
        if self._plot.by == "sweep":
            await story.begin()
            await story.go_on()
            self._arm(point)
            self._file(crash_hook.HELD).unlink()
        else:
            self._arm(point)
            with suppress(httpx.HTTPError):
                await story.begin()
                await story.go_on()
        assert self._world.board is not None
        with suppress(TimeoutError):
            return await self._world.board.wait(DEATH_TIMEOUT_S) == crash_hook.EXIT_STATUS
        return False

    async def _hold_sweeps(self) -> None:
        """Let no sweep find the story before its events do, and wait for the end of one that is under way."""
        self._file(crash_hook.HELD).touch()
        while True:
            if not self._file(crash_hook.SWEEPING).exists():
                return
            await asyncio.sleep(LOOK_EVERY_S)

    def _file(self, name: str) -> Path:
        return self._folder / name

    def _arm(self, point: str) -> None:
        self._file(crash_hook.ARMED).write_text(point)

    async def _quiet(self) -> None:
        """Wait until the board has not reached another point for a while."""
        passed, size = self._file(crash_hook.PASSED), -1
        while (grown := passed.stat().st_size) != size:
            size = grown
            await asyncio.sleep(QUIET_S)

    async def _heal(self, point: str, story: Story) -> None:
        """Start a board on what the last one left, which won't die, and wait until everything is right.

        The next story is told to this board.
        """
        for name in (crash_hook.ARMED, crash_hook.HELD, crash_hook.SWEEPING):
            self._file(name).unlink(missing_ok=True)
        await self._world.restart_board({"crash": str(self._folder)})
        await self._world.faults()
        if self._told != "reversed" or story.payment is not None:
            await story.begin(patient=True)
            await story.go_on()
        deadline = time.monotonic() + HEAL_TIMEOUT_S
        while findings := await audit(self._world):
            if time.monotonic() > deadline:
                findings.into(self._row, f"after {point}")
                return
            await asyncio.sleep(LOOK_EVERY_S)
        async with self._world.records.reading() as reader:
            self._row.wrong += [f"after {point}: message {row.id} {HALF}" for row in await reader.rows(HALF_MODERATED)]

    def _new_story(self) -> Story:
        self._stories += 1
        return Story(self._world, self._plot, self._told, f"{self._plot.name} {self._stories}")
