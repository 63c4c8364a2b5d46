"""Forgeries: tries to make the board post without being Stripe, in every way that we could think of."""

import asyncio
import json
import random
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tests.support.shapes import Json
from tests.support.webhooks import completed, paid, signature
from tests.torture.checks import forgery_contents, forgery_signatures, forgery_transport
from tests.torture.checks.forgery import CLOSED, IDEAS, Forgery, Scene
from tests.torture.harness.world import World, made_world
from tests.torture.order import Order
from tests.torture.table import Row

SHORT = 6  # cases of each idea
CORPUS = (forgery_signatures, forgery_transport, forgery_contents)  # importing them registers their ideas
ANSWER_WITHIN_S = 3.0
STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})")
MOST_ACCEPTED = 5  # stop after this many, because more would add nothing
NEVER_S = 3600.0  # so that only the requests sent can change anything
STATES = (
    "SELECT id, status, paid, refunded, disputed, payment_intent, session_id FROM payment ORDER BY id",
    "SELECT id, payment_id, hidden FROM message ORDER BY id",
    "SELECT payment_intent, status FROM refund ORDER BY payment_intent",
    "SELECT seq FROM board",
)


@dataclass
class Trial:
    """A board that is sent forgeries, and the results so far."""

    world: World
    row: Row
    victims: list[Json] = field(default_factory=list)
    scene: Scene | None = None
    state: Any = None
    sent: int = 0

    async def prepare(self) -> None:
        """Create three payments: one open, one posted, and one waiting for the bank."""
        victim, posted, waiting = [await _start(self.world, text) for text in ("victim", "posted", "waiting")]
        await self.world.act(_session_id(posted), "pay")
        await self.world.act(_session_id(waiting), "pay_later")
        session = await _retrieve(self.world, _session_id(posted))
        seen = await _event_about(self.world, session["id"])
        self.scene = Scene(
            host=f"127.0.0.1:{self.world.board_port}",
            victim=await _retrieve(self.world, _session_id(victim)),
            posted=session,
            seen=seen,
        )
        self.state = await _state(self.world)

    async def try_on(self, forgery: Forgery) -> None:
        """Send one forgery; record any change it made, and any response it should not have got."""
        statuses = await send(self.world.board_port, forgery.request)
        self.sent += 1
        what = f"{forgery.idea}: {forgery.name}"
        if not set(statuses) <= forgery.allowed:
            self.row.wrong.append(f"{what} was answered {statuses}")
        state = await _state(self.world)
        if state != self.state:
            self.row.forged_accepted.append(f"{what} (answered {statuses})")
            await self.prepare()  # the victim can't be used again

    async def check_the_key(self) -> None:
        """Send the genuine event: it must post, otherwise the forgeries were refused for another reason."""
        assert self.scene is not None
        event = json.dumps(completed(paid(self.scene.victim))).encode()
        statuses = await send(self.world.board_port, self.scene.post(event, signature(event)))
        if statuses != [200] or await _state(self.world) == self.state:
            self.row.wrong.append(
                f"the genuine event was answered {statuses} and did not post: the forgeries prove nothing"
            )


async def run(order: Order) -> list[Row]:
    """Send every forgery in random order, and check after each whether anything changed."""
    row = Row("forgeries", f"{len(IDEAS)} ways to impersonate Stripe", order.seed)
    began = time.monotonic()
    ideas = list(IDEAS)
    random.Random(order.seed).shuffle(ideas)
    async with made_world(
        launcher=order.launcher, database=order.database, hooks=order.hooks, reconcile_s=NEVER_S
    ) as world:
        await world.restart_board()
        trial = Trial(world, row)
        await trial.prepare()
        for idea in ideas:
            assert trial.scene is not None
            # Made one by one, so that each is signed with the current time.
            for forgery in islice(idea.forgeries(trial.scene), SHORT if order.short else None):
                await trial.try_on(forgery)
            if len(row.forged_accepted) > MOST_ACCEPTED:
                break
        await trial.check_the_key()
        if not await world.healthy():
            row.wrong.append("the board no longer responds")
        row.counts |= {"ideas": len(IDEAS), "cases": trial.sent}
    row.seconds = time.monotonic() - began
    return [row]


async def send(port: int, request: bytes) -> list[int]:
    """Send raw bytes; return the statuses of the responses, or `CLOSED` if there were none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_WITHIN_S):
            writer.write(request)
            while chunk := await reader.read(65536):
                answer += chunk
    writer.transport.abort()
    return [int(status) for status in STATUS_LINE.findall(answer)] or [CLOSED]


async def _start(world: World, text: str) -> Json:
    answer = await world.http.post("/api/payments", json={"text": text})
    assert answer.status_code == 201, answer.text
    payment: Json = answer.json()
    return payment


def _session_id(payment: Json) -> str:
    return str(payment["checkout_url"]).rsplit("/", 1)[1]


async def _retrieve(world: World, session_id: str) -> Json:
    answer = await world.stripe.get(f"/v1/checkout/sessions/{session_id}", headers=_KEY)
    assert answer.status_code == 200, answer.text
    session: Json = answer.json()
    return session


async def _event_about(world: World, session_id: str) -> Json:
    answer = await world.stripe.get("/v1/events", params={"type": "checkout.session.completed"}, headers=_KEY)
    event: Json = next(each for each in answer.json()["data"] if each["data"]["object"]["id"] == session_id)
    return event


async def _state(world: World) -> Any:
    async with world.records.reading() as reader:
        return [[tuple(row) for row in await reader.rows(state)] for state in STATES]


_KEY = {"Authorization": "Bearer sk_test_reader"}
