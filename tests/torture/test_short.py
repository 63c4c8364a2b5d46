"""Short passes of the kit's runs, and a check that the runs notice a missing safeguard."""

import asyncio
import importlib
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.torture import command
from tests.torture.harness.processes import launching
from tests.torture.hooks.sabotages import SABOTAGES, is_noticed
from tests.torture.order import Order
from tests.torture.runs import simulation
from tests.torture.table import Row, table

# Other tests look for what these look for, in tests/api, tests/storage and tests/processes; `./dev torture` has them.
ONLY_LONG = {
    *("writers", "database-restarts", "storage-faults", "stalled", "shutdown", "task-kills", "hardening"),
    *("forgeries", "lost-events", "overtaking", "viewers", "kills", "simulation"),
}
RUNS = tuple(run for run in command.RUNS if run not in ONLY_LONG)
# The others take longer, or are only noticed after several rounds: `./dev torture --sabotage all`.
SABOTAGED = ("inbox", "commit-after-answer", "seq")
AT_ONCE = 3  # they mostly wait

Passes = dict[str, asyncio.Task[list[Row]]]


@pytest.fixture(scope="session")
async def passes() -> AsyncIterator[Passes]:
    """Start every short pass; tasks by the name of the run or of the sabotage."""
    gate = asyncio.Semaphore(AT_ONCE)
    seed = secrets.randbelow(1_000_000)

    async def work(run: str, order: Order) -> list[Row]:
        module: Any = importlib.import_module(f"tests.torture.runs.{run.replace('-', '_')}")
        async with gate:
            rows: list[Row] = await module.run(order)
            return rows

    async with launching() as launcher:
        tasks = {run: asyncio.create_task(work(run, Order(seed, short=True, launcher=launcher))) for run in RUNS}
        for name in SABOTAGED:
            order = Order(seed, short=True, count=SABOTAGES[name].count, sabotage=name, launcher=launcher)
            tasks[name] = asyncio.create_task(work(SABOTAGES[name].run, order))
        yield tasks
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("run", RUNS)
async def test_a_short_pass_is_green(passes: Passes, run: str) -> None:
    """A short pass of a run finds nothing lost, doubled, posted unpaid or otherwise wrong."""
    rows = await passes[run]
    assert all(row.green for row in rows), f"\n{table(rows)}"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("sabotage", SABOTAGED)
async def test_a_sabotage_is_noticed(passes: Passes, sabotage: str) -> None:
    """A run without one of the board's safeguards reports what is wrong."""
    rows = await passes[sabotage]
    assert is_noticed(sabotage, rows), f"\n{table(rows)}"


@pytest.mark.long
async def test_simulations_end_when_their_time_is_up() -> None:
    """A run that is cut short reports what it did, as green."""
    [row] = await simulation.run(Order(1, count=1_000, processes=1, deadline=time.monotonic() + 12))
    assert row.green, table([row])
    assert row.counts["simulations"] > 0
