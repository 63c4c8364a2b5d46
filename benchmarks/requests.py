"""Measures what requests cost the server: CPU per request, and requests per second.

Boards on SQLite run beside the load, each on a core of its own. `--against FOLDER` measures another checkout in the
same run, in turns, and prints the ratios: that is how a change is measured before and after.
./dev bench requests [--against FOLDER] [--rounds 5]
"""

import argparse
import asyncio
import contextlib
import json
import os
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks._boards import ROOT, SECRET, Board, board
from tests.support.webhooks import completed, paid, signature

HISTORY = 1_000  # messages on the board
AT_ONCE = 32
WEBHOOKS, READS = 640, 1_000  # in a round
SERVER_CORE, LOAD_CORE = 0, 1
NO_SWEEP = {"PAIDCHAT_RECONCILE_SECONDS": "3600"}  # it would ask the sandbox about every copied payment
FIRST_SWEEP_S = 1.5
WEBHOOK, PAGE, BOARD, LOOK_UP, HEALTH = "webhook, 32 at a time", "newest page", "board", "payment lookup", "healthz"


@dataclass(frozen=True)
class Cost:
    """What a round of one kind of request took."""

    cpu_us: float  # of the server, per request
    per_second: float


class Load:
    """What is asked of one board."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._template = ""
        self._payment = ""
        self._session = ""

    async def prepare(self) -> None:
        """Start the payment that all others are copies of, and post a history."""
        async with httpx.AsyncClient(base_url=self._board.url, trust_env=False, timeout=20) as client:
            payment = (await client.post("/api/payments", json={"text": "Hello"})).raise_for_status().json()
            self._payment, self._session = payment["id"], payment["checkout_url"].rpartition("/")[2]
            where = f"{self._board.sandbox}/v1/checkout/sessions/{self._session}"
            asked = await client.get(where, headers={"Authorization": "Bearer sk_test_of_the_benchmark"})
            session = asked.raise_for_status().json()
        self._template = json.dumps(completed(paid(session, payment_intent="INTENT"), event_id="evt_"))
        await self.webhooks(HISTORY)

    async def webhooks(self, count: int) -> Cost:
        """Pay for copies of the payment, and deliver an event about each."""
        sent = [self._delivery(payment_id) for payment_id in self._copies(count)]
        cost = await self._cost(sent)
        self._check_posted(count)
        return cost

    async def reads(self, path: str) -> Cost:
        """Read a path again and again."""
        return await self._cost([_request("GET", path)] * READS)

    async def look_ups(self) -> Cost:
        """Look up a payment that is fulfilled."""
        with self._database() as database:
            [[payment_id]] = database.execute("SELECT id FROM payment WHERE status = 'fulfilled' LIMIT 1")
        return await self.reads(f"/api/payments/{payment_id}")

    async def _cost(self, requests: Sequence[bytes]) -> Cost:
        cpu, began = self._board.cpu_s(), time.perf_counter()
        await send(self._board.url, requests)
        return Cost((self._board.cpu_s() - cpu) / len(requests) * 1e6, len(requests) / (time.perf_counter() - began))

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._board.data / "paidchat.db", timeout=10)) as database, database:
            yield database

    def _copies(self, count: int) -> list[str]:
        """Insert unpaid payments, each with a session of its own."""
        with self._database() as database:
            database.row_factory = sqlite3.Row
            row = dict(database.execute("SELECT * FROM payment WHERE id = ?", [self._payment]).fetchone())
            ids = [str(uuid.uuid4()) for _ in range(count)]
            copies = [{**row, "id": each, "session_id": f"cs_{each}", "stripe_key": each} for each in ids]
            columns = ", ".join(row)
            places = ", ".join(f":{name}" for name in row)
            database.executemany(f"INSERT INTO payment ({columns}) VALUES ({places})", copies)  # noqa: S608
        return ids

    def _check_posted(self, count: int) -> None:
        """Every event that was acknowledged has posted a message."""
        with self._database() as database:
            [[unposted]] = database.execute(
                "SELECT count(*) FROM payment LEFT JOIN message ON payment_id = payment.id "
                "WHERE session_id LIKE 'cs_%-%' AND message.id IS NULL"
            )
        assert unposted == 0, f"{unposted} of {count} messages are missing"

    def _delivery(self, payment_id: str) -> bytes:
        text = self._template.replace(self._payment, payment_id).replace(self._session, f"cs_{payment_id}")
        body = text.replace("INTENT", f"pi_{payment_id}").replace("evt_", f"evt_{payment_id}").encode()
        signed = signature(body, SECRET)
        return _request("POST", "/stripe/webhook", body, f"Stripe-Signature: {signed}\r\n")


def _request(method: str, path: str, body: bytes = b"", more: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def send(url: str, requests: Sequence[bytes]) -> None:
    """Send every request once, over 32 connections; each must be answered with 200."""
    waiting = list(reversed(requests))
    host, _, port = url.removeprefix("http://").partition(":")

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while waiting:
            writer.write(waiting.pop())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))


@contextlib.asynccontextmanager
async def loading(checkout: Path) -> AsyncIterator[Load]:
    """Serve a checkout's board on the server's core."""
    with tempfile.TemporaryDirectory() as folder, board(Path(folder), checkout, **NO_SWEEP) as running:
        for task in os.listdir(f"/proc/{running.pid}/task"):  # noqa: PTH208 - files in memory
            os.sched_setaffinity(int(task), {SERVER_CORE})
        await asyncio.sleep(FIRST_SWEEP_S)
        load = Load(running)
        await load.prepare()
        yield load


KINDS: dict[str, Callable[[Load], Any]] = {
    WEBHOOK: lambda load: load.webhooks(WEBHOOKS),
    PAGE: lambda load: load.reads("/api/messages"),
    BOARD: lambda load: load.reads("/api/board"),
    LOOK_UP: lambda load: load.look_ups(),
    HEALTH: lambda load: load.reads("/healthz"),
}


async def measure(checkouts: Sequence[Path], rounds: int) -> None:
    """Measure each kind on each checkout, in turns, and print the medians."""
    costs: dict[tuple[str, Path], list[Cost]] = {(kind, each): [] for kind in KINDS for each in checkouts}
    for number in range(rounds + 1):
        for checkout in checkouts if number % 2 else reversed(checkouts):
            async with loading(checkout) as load:
                for kind, run in KINDS.items():
                    cost = await run(load)
                    if number:  # the first round warms up
                        costs[kind, checkout].append(cost)
    print(f"{'':24}{'CPU, µs':>10}{'per second':>12}{'ratios to the other checkout':>34}")
    for kind in KINDS:
        medians = [
            (
                statistics.median(c.cpu_us for c in costs[kind, each]),
                statistics.median(c.per_second for c in costs[kind, each]),
            )
            for each in checkouts
        ]
        cpu, rate = medians[0]
        ratio = "" if len(medians) == 1 else f"{cpu / medians[1][0]:>22.2f}{rate / medians[1][1]:>12.2f}"
        print(f"{kind:24}{cpu:10.0f}{rate:12.0f}{ratio}")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout, measured in the same run")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    asyncio.run(measure([ROOT, *([given.against.resolve()] if given.against else [])], given.rounds))


if __name__ == "__main__":
    main()
