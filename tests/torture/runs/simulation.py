"""Simulations: everything that people, banks, time, the network and operators can do to a board, in any order.

Each is a sequence of rules that Hypothesis chooses and, if a promise is broken, shortens. After every rule the board's
database is compared with the oracle, and every viewer's replica with the board's API.
"""

import asyncio
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from typing import Any, ClassVar

import uvloop
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyFailure, FlakyStrategyDefinition
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.torture.checks.oracle import Finding
from tests.torture.checks.scrutiny import scrutinise, scrutinise_at_rest
from tests.torture.harness.miniature import Miniature, miniature
from tests.torture.harness.stage import Stage
from tests.torture.harness.viewer import Viewer
from tests.torture.hooks.install import install
from tests.torture.order import Order
from tests.torture.table import Row

NAME = "simulation"
LONG, SHORT, BATCH = 2_000, 3, 100  # simulations; Hypothesis runs a third more of its own
MOST_PAYMENTS = 4
MOST_SESSIONS = 2  # of one payment
LONG_STEPS, SHORT_STEPS = 40, 18
PICK = st.integers(0, 30)  # one of several, whatever their number
BREAKAGES = st.sampled_from(
    [{"status": 500, "count": 1}, {"status": 500, "count": 3}, {"drop_answer": 1}, {"drop_answer": 3}]
)
RARE = st.sampled_from(["second session", "paid twice", "restart", "sweep", "full sweep", "trouble"])
DEEDS = st.sampled_from(["start", "deliver", "deliver", "deliver", "look up", "sweep"])
# How far the board's clock is ahead, in seconds; what happens then; and whether it is corrected at once, which is
# likely, so that most events find a right clock.
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
AHEAD = (0, 20, 20, HOUR, HOUR, DAY, 40 * DAY, 10 * MINUTE, -20, -10 * MINUTE, -HOUR)
JUMPS = st.sampled_from(AHEAD)
MEANWHILE = st.sampled_from(
    ["nothing", "look up", "pay and look up", "pay and look up", "deliver", "sweep", "full sweep", "dying sweep"]
)
SET_RIGHT = st.sampled_from([True, True, True, False])
STEPS = st.integers(0, 20)  # of what a board does when it dies
MANNERS = st.sampled_from(["cursor", "cursor", "plain", "other epoch", "ahead"])


class TimeIsUp(Exception):
    """No more simulations are to begin; Hypothesis has no other way to end early."""


class Simulation(RuleBasedStateMachine):
    """The simulation of one board. All of them share the miniature and the event loop, one after another."""

    deadline: ClassVar[float]
    miniature: ClassVar[Miniature]
    runner: ClassVar[asyncio.Runner]
    counts: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        if time.monotonic() > self.deadline:
            raise TimeIsUp
        self._open = AsyncExitStack()
        self._stage = Stage(self.miniature, self.counts)
        self._by_mail = True
        self._broken = False
        self._do(self._open.enter_async_context(self.miniature.fresh()))

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            self.runner.run(work)
        except BaseException:
            self._broken = True
            raise

    def teardown(self) -> None:
        """Deliver everything and check all promises, unless one is already broken."""
        self.counts["simulations"] += 1
        self.counts["jumps"] += self.miniature.clock.jumps
        try:
            if not self._broken:
                self._do(scrutinise_at_rest(self._stage, by_mail=self._by_mail))
        finally:
            self._do(self._close())

    async def _close(self) -> None:
        for viewer in self._stage.viewers:
            await viewer.disconnect()
        await self._open.aclose()

    # --- rules --------------------------------------------------------------------------------------

    @initialize(by_mail=st.booleans(), foreign=st.booleans(), viewers=st.integers(0, 2))
    def begin(self, by_mail: bool, foreign: bool, viewers: int) -> None:
        """Choose how it ends, whether another application shares the account, and the number of viewers."""
        self._by_mail = by_mail
        self._stage.viewers = [Viewer(self.miniature.feed_url) for _ in range(viewers)]
        self._do(self._stage.share_account(foreign=foreign))
        self.start_payment()

    @precondition(lambda self: len(self._stage.accounts) < MOST_PAYMENTS)
    @rule()
    def start_payment(self) -> None:
        """Somebody starts a payment."""
        self._do(self._stage.pay_for(f"message {len(self._stage.accounts)}"))

    @rule(pick=PICK)
    def act(self, pick: int) -> None:
        """A person, a bank or time does to a session something that its state allows."""
        self._do(self._stage.act(pick))

    @precondition(lambda self: self._stage.payable)
    @rule(pick=PICK)
    def pay(self, pick: int) -> None:
        """Somebody pays: the most frequent rule."""
        self._do(self._stage.pay(pick))

    @precondition(lambda self: self._stage.undelivered)
    @rule(pick=PICK, copies=st.sampled_from([1, 1, 1, 2, 5]))
    def deliver(self, pick: int, copies: int) -> None:
        """One of the waiting events arrives, once or several times at once."""
        self._do(self._stage.deliver(pick, copies))

    @precondition(lambda self: self._stage.undelivered)
    @rule()
    def deliver_oldest(self) -> None:
        """The event that has waited longest arrives."""
        self._do(self._stage.deliver(0, 1))

    @precondition(lambda self: self._stage.delivered)
    @rule(pick=PICK)
    def deliver_again(self, pick: int) -> None:
        """An event arrives again."""
        self._do(self._stage.deliver_again(pick))

    @precondition(lambda self: self._stage.undelivered)
    @rule(pick=PICK)
    def lose(self, pick: int) -> None:
        """An event is lost."""
        self._stage.lose(pick)

    @rule(pick=PICK)
    def look_up(self, pick: int) -> None:
        """A payer returns to the page."""
        self._do(self._stage.look_up(pick))

    @precondition(lambda self: any(account.message_id is not None for account in self._stage.accounts))
    @rule(pick=PICK, refund=st.booleans())
    def moderate(self, pick: int, refund: bool) -> None:
        """An operator removes a message."""
        self._do(self._stage.moderate(pick, refund=refund))

    @precondition(lambda self: any(account.message_id is not None for account in self._stage.accounts))
    @rule(pick=PICK)
    def restore(self, pick: int) -> None:
        """An operator restores a message."""
        self._do(self._stage.restore(pick))

    @rule(what=RARE, pick=PICK, fault=BREAKAGES)
    def once_in_a_while(self, what: str, pick: int, fault: dict[str, int]) -> None:
        """The reconciler runs, the board is restarted, Stripe fails, or a payment gets two sessions, both paid."""
        stage = self._stage
        match what:
            case "sweep":
                self._do(stage.sweep(full=False))
            case "full sweep":
                self._do(stage.sweep(full=True))
            case "restart":
                self._do(stage.restart())
            case "trouble":
                self._do(stage.break_stripe(fault))
            case "second session" | "paid twice":
                account = stage.accounts[pick % len(stage.accounts)]
                if len(account.sessions) < MOST_SESSIONS:
                    self._do(stage.open_second_session(account))
                if what == "paid twice":
                    self._do(stage.pay_everything(account))

    @rule(deed=DEEDS, pick=PICK, steps=STEPS)
    def crash(self, deed: Any, pick: int, steps: int) -> None:
        """The board dies in the middle of an action, and another is started."""
        if deed != "start" or len(self._stage.accounts) < MOST_PAYMENTS:
            self._do(self._stage.crash(deed, pick, steps))

    @rule(seconds=JUMPS, meanwhile=MEANWHILE, pick=PICK, set_right=SET_RIGHT)
    def jump(self, seconds: int, meanwhile: str, pick: int, set_right: bool) -> None:
        """The board's clock jumps, something happens, and the clock stays wrong or is corrected."""
        self.miniature.clock.jump(timedelta(seconds=seconds))
        match meanwhile:
            case "look up":
                self._do(self._stage.look_up(pick))
            case "pay and look up" if self._stage.payable:
                self._do(self._stage.pay_and_look_up(pick))
            case "deliver" if self._stage.undelivered:
                self._do(self._stage.deliver(pick, 1))
            case "sweep" | "full sweep":
                self._do(self._stage.sweep(full=meanwhile == "full sweep"))
            case "dying sweep":
                self._do(self._stage.crash("sweep", pick, pick))  # leaves its lease behind
        if set_right:
            self.miniature.clock.jump(timedelta(0))

    @precondition(lambda self: any(not viewer.connected for viewer in self._stage.viewers))
    @rule(pick=PICK, manner=MANNERS)
    def join(self, pick: int, manner: Any) -> None:
        """A viewer connects, or reconnects."""
        self._do(self._stage.join(pick, manner))

    @precondition(lambda self: any(viewer.connected for viewer in self._stage.viewers))
    @rule(pick=PICK)
    def leave(self, pick: int) -> None:
        """A viewer's connection breaks."""
        self._do(self._stage.leave(pick))

    @precondition(lambda self: any(viewer.connected for viewer in self._stage.viewers))
    @rule(pick=PICK, which=PICK)
    def watch(self, pick: int, which: int) -> None:
        """A viewer watches a payment."""
        self._do(self._stage.watch(pick, which))

    @invariant()
    def promises_hold(self) -> None:
        """Everything that must always hold does."""
        self._do(scrutinise(self._stage))


@dataclass(frozen=True)
class Batch:
    """A number of simulations with one seed, and the hooks of their boards."""

    seed: int
    simulations: int
    steps: int
    shorten: bool
    database: str | None
    hooks: dict[str, Any]
    deadline: float


async def run(order: Order) -> list[Row]:
    """Run batches of simulations, each with its own seed, several at a time.

    With a count and no time limit, the steps that lead to a finding are shortened, which can take minutes; a finding
    names the count.
    """
    simulations = order.count or (SHORT if order.short else LONG)
    steps = SHORT_STEPS if order.short else LONG_STEPS
    row = Row(NAME, f"simulated boards, up to {steps} random actions each", order.seed)
    began = time.monotonic()
    shorten = order.count is not None and not order.short and order.deadline == math.inf
    batches = [
        Batch(
            seed=order.seed + number,
            simulations=min(BATCH, simulations - start),
            steps=steps,
            shorten=shorten,
            database=order.database,
            hooks=order.hooks,
            deadline=order.deadline,
        )
        for number, start in enumerate(range(0, simulations, BATCH))
    ]
    processes = min(len(batches), order.processes or os.cpu_count() or 1)
    # In their own processes, because they change global state: constants, logging, and removed safeguards.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        loop = asyncio.get_running_loop()
        running = [loop.run_in_executor(pool, simulate, batch) for batch in batches]
        for number, done in enumerate(asyncio.as_completed(running), start=1):
            counts, finding = await done
            if not order.short:
                sys.stderr.write(f"batch {number} of {len(batches)}: {finding or 'nothing found'}\n")
            row.counts |= {name: row.counts.get(name, 0) + count for name, count in counts.items()}
            if finding is not None:
                getattr(row, finding[0]).append(finding[1])
    row.seconds = time.monotonic() - began
    return [row]


def simulate(batch: Batch) -> tuple[Counter[str], tuple[str, str] | None]:
    """Run a batch up to the first broken promise; return the counters, and the finding with its column."""
    install(batch.hooks)
    chosen = settings(
        max_examples=batch.simulations,
        stateful_step_count=batch.steps,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if batch.shorten else [Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    Simulation.counts = Counter()
    Simulation.deadline = batch.deadline
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        opened = AsyncExitStack()
        Simulation.runner = runner
        Simulation.miniature = runner.run(opened.enter_async_context(miniature(batch.database)))
        try:
            run_state_machine_as_test(seed(batch.seed)(Simulation), settings=chosen)
        except TimeIsUp:
            pass
        except FlakyStrategyDefinition:  # if it was told that the time is up while it repeated something
            if time.monotonic() <= batch.deadline:
                raise
        except Finding as finding:
            return Simulation.counts, (finding.kind, _told(finding, batch))
        except FlakyFailure as flaky:  # the same steps, repeated, did not lead to it: it depends on timing
            found = [error for error in flaky.exceptions if isinstance(error, Finding)]
            if not found:
                raise
            return Simulation.counts, (found[0].kind, f"once, and not when repeated: {_told(found[0], batch)}")
        finally:
            runner.run(opened.aclose())
    return Simulation.counts, None


def _told(finding: Finding, batch: Batch) -> str:
    """Return a finding in words, with what repeats it."""
    return f"{finding.what}; --seed {batch.seed} --count {batch.simulations}: {' '.join(_steps(finding))}"


def _steps(finding: Finding) -> list[str]:
    """Return the calls that lead to a finding, from the notes that Hypothesis adds to it."""
    lines = [line for note in getattr(finding, "__notes__", []) for line in note.splitlines()]
    steps = [line.removeprefix("state.") for line in lines if line.startswith("state.")]
    return [step for step in steps if not step.startswith(("promises_hold", "teardown"))]
