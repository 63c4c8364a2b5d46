"""Storage faults: the disk is full, writes fail, or another process holds the lock; then the fault ends."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from paidchat.storage.sqlite_library import sqlite3
from tests.torture.checks.audit import audit, settled_audit
from tests.torture.harness.disks import Disk, LimitedFiles, filling_disk
from tests.torture.harness.payers import start_payment
from tests.torture.harness.processes import Launcher, launching
from tests.torture.harness.records import POSTGRESQL_DRIVER
from tests.torture.harness.world import World, made_world
from tests.torture.order import Order
from tests.torture.table import Row

FAULT_S, SHORT_FAULT_S = 25, 4
WRITERS = 6  # people who try to pay while nothing can be written
PAUSE_S = 0.2
LONGEST_ANSWER_S = 9.0
LONGEST_HEALTH_S = 2.5  # a few milliseconds on an idle machine; anything that waits for the database takes longer
HEALTH_EVERY_S = 0.1
WAITING = 24  # payments that are paid during the fault: enough to need a new page of every table

Fault = Callable[[World], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Trouble:
    """A fault: its description, how to cause it, the board's hooks for it, and the place of its database.

    While it lasts, other processes may or may not be able to read the database.
    """

    what: str
    fault: Fault
    hooks: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    readable: bool = True


@dataclass
class Witness:
    """The responses to people and to Stripe while the fault lasted."""

    answers: list[tuple[int, float]] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


async def run(order: Order) -> list[Row]:
    """Cause each fault, or the first `count`, under a busy board: it must survive and recover by itself."""
    async with launching(order.launcher) as launcher:
        if order.database is not None:
            return [await _bear(order, launcher, trouble) for trouble in POSTGRESQL[: order.count]]
        with tempfile.TemporaryDirectory(prefix="paidchat-torture-") as name:
            folder = Path(name)
            with filling_disk(folder / "small") as small:
                limited = LimitedFiles(folder)
                troubles = (
                    Trouble(small.what, full(small), small.hooks, small.folder),
                    Trouble(limited.what, full(limited)),
                    Trouble("another process holds BEGIN EXCLUSIVE", locked_file),
                )
                return [await _bear(order, launcher, trouble) for trouble in troubles[: order.count]]


# --- the faults -------------------------------------------------------------------------------------


@asynccontextmanager
async def locked_file(world: World) -> AsyncIterator[None]:
    """Hold SQLite's lock in another process, namely this one."""
    assert world.records.file is not None
    holder = sqlite3.connect(world.records.file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


@asynccontextmanager
async def locked_tables(world: World) -> AsyncIterator[None]:
    """Hold PostgreSQL's locks on the tables that the board writes to; reads still work."""
    async with _operator(world) as execute:
        await execute("BEGIN")
        await execute("LOCK TABLE payment, stripe_event, board IN EXCLUSIVE MODE")
        yield
        await execute("ROLLBACK")


@asynccontextmanager
async def no_connections(world: World) -> AsyncIterator[None]:
    """Cut every connection to the board's PostgreSQL database and refuse new ones, as a stopped server does."""
    name = make_url(world.records.url).database
    async with _operator(world, "postgres") as execute:
        await execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        await execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608 - ours
        try:
            yield
        finally:
            await execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


@asynccontextmanager
async def _operator(world: World, database: str | None = None) -> AsyncIterator[Callable[[str], Awaitable[Any]]]:
    """Yield a function that runs single statements on the board's server, in the board's database or another."""
    url = make_url(world.records.url).set(drivername=POSTGRESQL_DRIVER)
    if database is not None:
        url = url.set(database=database)
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        yield connection.exec_driver_sql
    await engine.dispose()


def full(disk: Disk) -> Fault:
    """Return the fault of a full disk."""

    @asynccontextmanager
    async def fault(world: World) -> AsyncIterator[None]:
        assert world.board is not None
        pid = world.board.pid
        disk.fill(pid)
        try:
            yield
        finally:
            disk.clear(pid)

    return fault


POSTGRESQL = (
    Trouble("tables are locked", locked_tables),
    Trouble("the database refuses connections", no_connections, readable=False),
)


# --- during one ------------------------------------------------------------------------------------


async def _bear(order: Order, launcher: Launcher, trouble: Trouble) -> Row:
    row = Row("storage-faults", trouble.what, order.seed)
    began = time.monotonic()
    witness = Witness()
    async with made_world(
        launcher=launcher,
        database=order.database,
        hooks={**order.hooks, **trouble.hooks},
        database_folder=trouble.folder,
    ) as world:
        await world.restart_board()
        waiting = [await start_payment(world, f"waiting {number}") for number in range(WAITING)]
        async with trouble.fault(world):
            await _use(world, waiting, witness, SHORT_FAULT_S if order.short else FAULT_S)
            row.lost += await _half_written(world) if trouble.readable else []
        refused = sum(status >= 500 for status, _ in witness.answers)
        if refused == 0:
            row.wrong.append("the fault had no effect: nothing was refused")
        row.wrong += _judge(witness)
        await _is_well(world, row)
        retried = await _landed_later(world)
        if not retried:
            row.wrong.append("no event was refused first and accepted later")
        await settled_audit(world, row, timeout_s=order.settle_s)
    row.seconds = time.monotonic() - began
    row.counts |= {
        "answers": len(witness.answers),
        "refused": refused,
        "slowest answer s": round(max(took for _, took in witness.answers), 2),
        "slowest healthz s": round(max(witness.health), 3),
        "events accepted at a later attempt": retried,
    }
    return row


async def _use(world: World, waiting: list[Any], witness: Witness, seconds: float) -> None:
    """Use the board for a while: pay open payments, start more, read, check its health."""
    until = time.monotonic() + seconds
    sessions = [payment["checkout_url"].rsplit("/", 1)[1] for payment in waiting]
    paying = [asyncio.create_task(world.act(session_id, "pay")) for session_id in sessions]
    writing = [asyncio.create_task(_write(world, witness, number, until)) for number in range(WRITERS)]
    while time.monotonic() < until:
        await _look(world, witness)
        await asyncio.sleep(HEALTH_EVERY_S)
    await asyncio.gather(*paying, *writing)


async def _write(world: World, witness: Witness, writer: int, until: float) -> None:
    number = 0
    while time.monotonic() < until:
        number += 1
        text = f"writer {writer}, {number}"
        began = time.monotonic()
        try:
            answer = await world.http.post("/api/payments", json={"text": text})
        except httpx.HTTPError as error:
            witness.wrong.append(f"POST /api/payments got no response: {error!r}")
            continue
        witness.answers.append((answer.status_code, time.monotonic() - began))
        if answer.status_code == 201:
            world.taken[answer.json()["id"]] = text
        await asyncio.sleep(PAUSE_S)


async def _look(world: World, witness: Witness) -> None:
    """Everything that needs no writes still works."""
    began = time.monotonic()
    health = await world.http.get("/healthz")
    witness.health.append(time.monotonic() - began)
    if health.status_code != 200:
        witness.wrong.append(f"GET /healthz was {health.status_code}")


async def _half_written(world: World) -> list[str]:
    """Report what is half done while the fault lasts: acknowledged but missing, or shown but unpaid."""
    findings = await audit(world, at_rest=False)
    return [*findings.lost, *findings.doubled, *findings.unpaid_posted, *findings.wrong]


def _judge(witness: Witness) -> list[str]:
    slow = [f"an answer took {took:.1f} s" for _, took in witness.answers if took > LONGEST_ANSWER_S]
    strange = [f"an answer was {status}" for status, _ in witness.answers if status < 500 and status != 201]
    lazy = [f"healthz took {took:.1f} s" for took in witness.health if took > LONGEST_HEALTH_S]
    return [*witness.wrong, *slow, *strange, *lazy]


async def _is_well(world: World, row: Row) -> None:
    """The board recovers by itself: without a restart it accepts the next payment."""
    answer = await world.http.post("/api/payments", json={"text": "the first after the fault"})
    if answer.status_code != 201:
        row.wrong.append(f"after the fault POST /api/payments was {answer.status_code}: {answer.text}")
    else:
        world.taken[answer.json()["id"]] = "the first after the fault"


async def _landed_later(world: World) -> int:
    """Wait for Stripe's retries, and return how many events were refused first and accepted later."""
    deadline = time.monotonic() + 15
    while True:
        refused: set[str] = set()
        landed: set[str] = set()
        for delivery in (await world.ledger())["deliveries"]:
            status = delivery["status"]
            if status is not None and status >= 500:
                refused.add(delivery["event"])
            elif status == 200:
                landed.add(delivery["event"])
        if refused <= landed or time.monotonic() > deadline:
            return len(refused & landed)
        await world.let_pass(20)
        await asyncio.sleep(0.3)
