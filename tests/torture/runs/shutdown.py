"""Shutdowns: SIGTERM under load, with stuck clients that a careless server would wait for forever."""

import asyncio
import random
import signal
import time
from dataclasses import dataclass

from tests.torture.checks.audit import settled_audit
from tests.torture.harness.payers import Crowd
from tests.torture.harness.sockets import RawClient
from tests.torture.harness.viewer import Viewer
from tests.torture.harness.world import World, made_world
from tests.torture.order import Order
from tests.torture.table import Row

SHORT, LONG = 2, 25
MOST_VIEWERS = "10000"
PAYER_EVERY_S = 0.05
LONGEST_BUSY_S = 2.0
EXIT_WITHIN_S = 10  # docs/operations.md
RESTARTING = 1012  # the close code
_PAYMENT = b"POST /api/payments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
# Requests that are started and never finished.
STUCK = (
    b"",
    b"POST /stripe/webhook HTTP/1.1\r\nHost: loc",
    b"POST /stripe/webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n{",
    _PAYMENT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    _PAYMENT + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    b"GET /api/messages HTTP/1.1\r\nHost: localhost\r\n\r\n",  # gets a response, and stays open (keep-alive)
)
EACH_STUCK = 6
STALLED, READERS = 20, 5


@dataclass
class Company:
    """The clients that are connected when the board is told to stop."""

    readers: list[Viewer]
    held: list[RawClient]

    @classmethod
    async def arrive(cls, world: World) -> "Company":
        """Connect viewers that read, viewers that don't, and start requests that never end."""
        readers = [Viewer(f"ws://127.0.0.1:{world.board_port}/api/feed") for _ in range(READERS)]
        for reader in readers:
            await reader.connect()
        held = [await RawClient.following(world.board_port) for _ in range(STALLED)]
        for request in STUCK * EACH_STUCK:
            client = await RawClient.connect(world.board_port)
            await client.send(request)
            held.append(client)
        return cls(readers, held)

    async def leave(self) -> list[int | None]:
        """Read to the end of the readers' connections; return their close codes."""
        return await asyncio.gather(*(reader.read_to_end() for reader in self.readers))

    def go(self) -> None:
        """Close the connections that are still open."""
        for client in self.held:
            client.close()


async def run(order: Order) -> list[Row]:
    """Stop a busy board and restart it on the same files, again and again; audit at the end."""
    rounds = order.count or (SHORT if order.short else LONG)
    row = Row(
        "shutdown",
        f"{rounds} times SIGTERM under load, with {STALLED + len(STUCK) * EACH_STUCK} stuck clients",
        order.seed,
    )
    rng = random.Random(order.seed)
    began = time.monotonic()
    exits: list[float] = []
    async with made_world(launcher=order.launcher, database=order.database, hooks=order.hooks) as world:
        crowd = Crowd(world, random.Random(order.seed + 1))
        await world.faults(webhook={"duplicate": 1})
        crowd.begin(PAYER_EVERY_S)
        for _ in range(rounds):
            await world.restart_board(PAIDCHAT_MAX_VIEWERS_PER_CLIENT=MOST_VIEWERS)
            company = await Company.arrive(world)
            leaving = asyncio.create_task(company.leave())
            await asyncio.sleep(rng.uniform(0.2, LONGEST_BUSY_S))
            exits.append(await _stop(world, row))
            codes = await leaving
            company.go()
            if set(codes) != {RESTARTING}:
                row.wrong.append(f"viewers were closed with {codes}")
            row.lost += [finding for reader in company.readers for finding in reader.replica.findings]
        await crowd.end()
        await world.faults()
        await world.restart_board()
        await crowd.all_gone()
        await settled_audit(world, row, timeout_s=order.settle_s)
        row.wrong += crowd.wrong
    row.counts |= {"payers": crowd.lives.total(), "slowest exit s": round(max(exits), 1)}
    row.seconds = time.monotonic() - began
    return [row]


async def _stop(world: World, row: Row) -> float:
    """Send SIGTERM and return how long the board took to exit."""
    board = world.board
    assert board is not None
    began = time.monotonic()
    world.started.clear()
    board.signal(signal.SIGTERM)
    try:
        status = await board.wait(EXIT_WITHIN_S + 10)
    except TimeoutError:
        row.wrong.append(f"the board is still running {EXIT_WITHIN_S + 10} s after SIGTERM")
        await world.kill_board()
        return time.monotonic() - began
    took = time.monotonic() - began
    if took > EXIT_WITHIN_S:
        row.wrong.append(f"the board took {took:.1f} s to stop")
    if status not in {0, -signal.SIGTERM}:
        row.wrong.append(f"the board ended with {status}: {world.log.read_text()[-500:]}")
    return took
