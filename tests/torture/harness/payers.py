"""Payers: people who start payments and pay them, or not, while the board is killed and restarted."""

import asyncio
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.shapes import Json
from tests.torture.harness.world import ADMIN_TOKEN, World

RETRY_EVERY_S = 0.1
BUSY_EVERY_S = 0.5  # a key whose first request was killed stays in progress for a while
PATIENCE_S = 300  # boards that are killed every second are slow
LOOK_EVERY_S = 1.0  # not more often, because each board is killed after a number of responses
LONGEST_PAUSE_S = 0.3
MOST_AT_ONCE = 16

# What happens to a payment after its start: verbs of the sandbox, and `moderate`, done by the board's owner.
LIVES: dict[str, tuple[int, tuple[str, ...]]] = {
    "pays": (30, ("pay",)),
    "is declined and pays": (5, ("decline", "pay")),
    "pays later": (8, ("pay_later", "settle")),
    "pays later, which fails": (5, ("pay_later", "settle_fail")),
    "walks away": (4, ()),
    "lets it expire": (4, ("expire",)),
    "is refunded": (10, ("pay", "refund")),
    "is refunded in part": (4, ("pay", "refund_partial")),
    "is refunded, which fails": (8, ("pay", "refund", "refund_fail")),
    "disputes": (6, ("pay", "dispute")),
    "disputes and loses": (3, ("pay", "dispute", "lose_dispute")),
    "disputes, and the board wins": (6, ("pay", "dispute", "win_dispute")),
    "inquires": (3, ("pay", "inquiry")),
    "is moderated with a refund": (4, ("pay", "moderate")),
}


@dataclass
class Crowd:
    """Everybody who pays during a run.

    Attributes:
        lives: how many payers had each life.
        refunds_owed: payments whose removal with a refund got a 204.
    """

    world: World
    rng: random.Random
    lives: Counter[str] = field(default_factory=Counter)
    refunds_owed: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _sending: asyncio.Task[None] | None = None

    def begin(self, every_s: float) -> None:
        """Start one payer after another until `end` is called."""
        self._sending = asyncio.create_task(self._send_on(every_s))

    async def end(self) -> None:
        """Start no more payers; those that were started continue."""
        assert self._sending is not None
        self._sending.cancel()
        await asyncio.wait([self._sending])

    async def _send_on(self, every_s: float) -> None:
        while True:
            if len(self._tasks) < MOST_AT_ONCE:
                self.send()
            await asyncio.sleep(self.rng.uniform(0, 2 * every_s))

    def send(self, life: str | None = None) -> asyncio.Task[None]:
        """Start one payer, with the given life or a random one."""
        weights = [weight for weight, _ in LIVES.values()]
        life = life or self.rng.choices(list(LIVES), weights)[0]
        self.lives[life] += 1
        task = asyncio.create_task(self._live(f"{self.lives.total()}: who {life}", LIVES[life][1]))
        self._tasks.add(task)
        task.add_done_callback(self._gone)
        return task

    async def all_gone(self) -> None:
        """Wait until every payer is done. The board must be running."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.wrong.append(f"a payer met {error!r}")

    async def _live(self, text: str, verbs: tuple[str, ...]) -> None:
        payment = await start_payment(self.world, text)
        session_id = payment["checkout_url"].rsplit("/", 1)[1]
        for verb in verbs:
            await asyncio.sleep(self.rng.uniform(0, LONGEST_PAUSE_S))
            if verb == "moderate":
                await self._moderate(payment["id"])
            else:
                await self.world.act(session_id, verb)

    async def _moderate(self, payment_id: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        message_id = None
        while message_id is None:
            assert time.monotonic() < deadline, f"payment {payment_id} is not posted"
            found = await ask(self.world, "GET", f"/api/payments/{payment_id}")
            message_id = found.json()["message_id"]
            await asyncio.sleep(LOOK_EVERY_S)
        answer = await ask(
            self.world,
            "DELETE",
            f"/api/admin/messages/{message_id}",
            params={"refund": "true"},
            headers={"Authorization": f"Bearer {ADMIN_TOKEN}"},
        )
        assert answer.status_code == 204, answer.text
        self.refunds_owed.add(payment_id)


async def start_payment(world: World, text: str) -> Json:
    """Start a payment as a good client does, retrying with the same key until there is a response."""
    key = str(uuid.uuid4())
    answer = await ask(world, "POST", "/api/payments", json={"text": text}, headers={"Idempotency-Key": key})
    assert answer.status_code == 201, answer.text
    payment: Json = answer.json()
    world.taken[payment["id"]] = text
    return payment


async def ask(
    world: World, method: str, path: str, *, patience_s: float = PATIENCE_S, **request: Any
) -> httpx.Response:
    """Repeat a request until the response is neither 5xx nor "in progress".

    Raises:
        TimeoutError: there was none in time.
    """
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        await world.started.wait()
        try:
            answer = await world.http.request(method, path, **request)
        except httpx.HTTPError:
            await asyncio.sleep(RETRY_EVERY_S)
            continue
        if answer.status_code == 409:
            await asyncio.sleep(BUSY_EVERY_S)
        elif answer.status_code < 500:
            return answer
        else:
            await asyncio.sleep(RETRY_EVERY_S)
    raise TimeoutError(f"{method} {path} was not answered within {patience_s} s")
