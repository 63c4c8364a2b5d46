"""Background tasks: each is killed by its registered name, under load, and the board carries on."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

import paidchat
from paidchat.background import SHAKY_AFTER
from paidchat.domain import Question
from paidchat.feed import subscriber
from paidchat.storage.writer import TASK as WRITER
from paidchat.storage.writer import TURNS
from paidchat.stripe.gateway import StripeGateway
from tests.support.board_client import act, http_client, post, start, stripe_session, until_status
from tests.support.following import Follower, following
from tests.support.served import Served, served_board
from tests.support.webhooks import completed, deliver, paid

TAILER, KEEPALIVE, AUDIENCE = "paidchat:feed.tailer", "paidchat:feed.keepalive", "paidchat:feed.audience"
RECONCILER, LISTENER = "paidchat:reconciler", "paidchat:listener"
ALWAYS = {
    "sqlite": {TAILER, KEEPALIVE, AUDIENCE, RECONCILER},
    "postgresql": {TAILER, KEEPALIVE, AUDIENCE, RECONCILER, LISTENER},
}
SANDBOX = {"sandbox courier", "sandbox clock"}
SOURCES = str(Path(paidchat.__file__).parent)
KILLS = 2
HEALED_WITHIN_S = 30
WEBHOOK_PATIENCE_S = 10


async def in_server(served: Served, work: Callable[[], Awaitable[object]]) -> object:
    """Await something on the server's event loop and return its result."""

    async def run() -> object:
        return await work()

    assert served.loop is not None
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), served.loop))


def tasks_named(name: str) -> list[asyncio.Task[object]]:
    """The running loop's tasks with this name."""
    return [task for task in asyncio.all_tasks() if task.get_name() == name]


async def kill(served: Served, name: str, times: int = 1) -> None:
    """Cancel a task of the server by name, and as many of its successors as given."""

    async def run() -> None:
        for _ in range(times):
            async with asyncio.timeout(HEALED_WITHIN_S):
                while not (found := tasks_named(name)):  # noqa: ASYNC110 - what it waits for sets no event
                    await asyncio.sleep(0)  # a task that runs on demand ends soon
            for _ in range(TURNS + 2):
                await asyncio.sleep(0)  # a writer has taken its group by then
            found[0].cancel()
            await asyncio.wait(found)

    await in_server(served, run)


async def readiness(client: httpx.AsyncClient) -> set[str]:
    """Return the errors in `/readyz`."""
    answer = await client.get("/readyz")
    if answer.status_code == 200:
        return set()
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    return {error["field"] for error in answer.json()["errors"]}


async def until_ready(client: httpx.AsyncClient) -> None:
    """Wait until the board is ready."""
    async with asyncio.timeout(HEALED_WITHIN_S):
        while await readiness(client):  # noqa: ASYNC110 - over HTTP there is no event
            await asyncio.sleep(0.1)


async def restarts(client: httpx.AsyncClient) -> dict[str, float]:
    """Return how often each task was restarted, from the metrics."""
    text = (await client.get("/metrics")).text
    found = re.findall(r'^paidchat_background_restarts_total{task="([^"]+)"} (\S+)', text, re.MULTILINE)
    return {name: float(value) for name, value in found}


@pytest.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A board for this test, with frequent heartbeats and a reconciler that runs every second."""
    monkeypatch.setattr(subscriber, "HEARTBEAT_S", 1)
    with served_board(tmp_path, reconcile_seconds=1) as board:
        yield board


@asynccontextmanager
async def traffic(client: httpx.AsyncClient) -> AsyncIterator[list[str]]:
    """Pay for messages one after another during the block; yields their texts, complete when it has ended."""
    texts: list[str] = []
    over = False

    async def run() -> None:
        while not over:
            text = str(uuid.uuid4())
            while (answer := await client.post("/api/payments", json={"text": text})).status_code == 503:
                assert answer.json()["code"] == "not_ready"  # the writer was killed; the payer starts again
            texts.append(text)
            await act(client, answer.json(), "pay")
            await until_status(client, answer.json()["id"], "fulfilled")

    paying = asyncio.create_task(run())
    try:
        yield texts
    finally:
        over = True
        await paying


class Witness:
    """Follows on one connection and checks that every message arrives once, in order and without a gap."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._seq = follower.first["seq"]

    async def sees(self, texts: list[str]) -> None:
        """Read these messages; heartbeats may come between."""
        for text in texts:
            while (frame := await self._follower.receive())["type"] == "heartbeat":
                assert frame["seq"] == self._seq
            assert (frame["type"], frame["seq"], frame["message"]["text"]) == ("message.posted", self._seq + 1, text)
            self._seq += 1

    async def sees_heartbeat(self) -> None:
        """Read a heartbeat, and nothing else."""
        assert await self._follower.receive() == {"type": "heartbeat", "seq": self._seq}


async def test_every_task_has_a_name_that_is_tested(served: Served, backend: str) -> None:
    """The tasks of an idle board are those that the tests below kill; all have names."""

    def is_ours(task: asyncio.Task[object]) -> bool:
        code = getattr(task.get_coro(), "cr_code", None)
        return code is not None and code.co_filename.startswith(SOURCES)

    async def names() -> set[str]:
        return {task.get_name() for task in asyncio.all_tasks() if is_ours(task)}

    async with http_client(served) as client:
        await until_ready(client)
        assert await in_server(served, names) == ALWAYS[backend] | SANDBOX
        assert await restarts(client) == dict.fromkeys(ALWAYS[backend], 0)


@pytest.mark.long
async def test_killed_tasks_cost_nobody_a_message(served: Served, backend: str) -> None:
    """Each is killed twice under load: every paid message is posted and delivered in order, and heartbeats continue."""
    async with http_client(served) as client, following(served) as follower:
        await until_ready(client)
        witness = Witness(follower)
        for name in sorted(ALWAYS[backend] | SANDBOX | {WRITER}):
            async with traffic(client) as texts:
                await kill(served, name, times=KILLS)
            texts.append(f"After {name} was killed")
            await post(client, texts[-1])
            await witness.sees(texts)
            await witness.sees_heartbeat()
            await until_ready(client)
        assert await restarts(client) == dict.fromkeys(ALWAYS[backend], KILLS)
        if backend == "postgresql":
            assert (await client.get("/readyz")).json()["listener"] == "ok"


async def test_a_killed_sweep_still_finds_what_no_webhook_told(served: Served) -> None:
    """After its task was killed the reconciler continues: it finds a payment whose webhook was lost."""
    async with http_client(served) as client, following(served) as follower:
        await client.put("/sandbox/test/faults", json={"webhook": {"drop": "all"}})
        payment = await start(client, "Unheard")
        await kill(served, RECONCILER, times=2)
        await act(client, payment, "pay")
        while (frame := await follower.receive(HEALED_WITHIN_S))["type"] == "heartbeat":
            pass
        assert frame["message"]["text"] == "Unheard"


async def test_a_webhook_whose_writer_is_killed_is_sent_again(served: Served) -> None:
    """Requests waiting for a killed writer get a 503 at once, and succeed when repeated."""
    async with http_client(served) as client:
        payments = [await start(client, f"Number {number}") for number in range(10)]
        events = [completed(paid(await stripe_session(client, payment))) for payment in payments]
        killing = asyncio.create_task(kill(served, WRITER, times=8))
        statuses: set[int] = set()
        while not killing.done():
            async with asyncio.timeout(WEBHOOK_PATIENCE_S):
                answers = await asyncio.gather(*(deliver(client, event) for event in events))
            statuses |= {answer.status_code for answer in answers}
            for answer in answers:
                if answer.status_code == 503:
                    assert answer.json()["code"] == "not_ready"
                    assert int(answer.headers["Retry-After"]) > 0
        await killing
        assert 503 in statuses
        assert statuses <= {200, 503}
        answers = await asyncio.gather(*(deliver(client, event) for event in events))
        assert {answer.status_code for answer in answers} == {200}
        page = (await client.get("/api/messages", params={"limit": 100})).json()["messages"]
        assert sorted(message["text"] for message in page) == sorted(payment["text"] for payment in payments)


@pytest.mark.any_database
async def test_tasks_that_keep_dying_make_the_board_not_ready(served: Served, backend: str) -> None:
    """While tasks are killed again and again, `/readyz` names them and says what happens; then it is 200 again."""
    async with http_client(served) as client:
        await until_ready(client)
        for name in ALWAYS[backend]:
            await kill(served, name, times=SHAKY_AFTER)
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["code"] == "not_ready"
        messages = {error["field"]: error["message"] for error in answer.json()["errors"]}
        assert messages.keys() & ALWAYS[backend]
        assert all("restarted" in messages[name] for name in messages.keys() & ALWAYS[backend])
        assert (await client.get("/healthz")).status_code == 200
        await until_ready(client)


@pytest.mark.any_database
async def test_a_mistake_in_a_background_question_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected error while asking Stripe after the response is logged, and the connection stays usable."""

    async def mistaken(gateway: StripeGateway, session_id: str, question: Question) -> None:
        del gateway, question
        raise TypeError(f"a mistake about {session_id}")

    monkeypatch.setattr(StripeGateway, "retrieve_session", mistaken)
    with served_board(tmp_path, reconcile_seconds=3600) as served:  # a sweep would ask before the lookup does
        async with http_client(served) as client:
            payment = await start(client)
            for _ in range(2):
                assert (await client.get(f"/api/payments/{payment['id']}")).status_code == 200
            assert (await client.get("/healthz")).status_code == 200
            for _ in range(100):
                if found := [record for record in caplog.records if "stripe.not_asked" in record.getMessage()]:
                    break
                await asyncio.sleep(0.1)
                await client.get(f"/api/payments/{payment['id']}")  # if the first sweep asked before, not again for 5 s
    assert {record.levelname for record in found} == {"ERROR"}
    assert "a mistake" in found[0].getMessage()
    assert not [record for record in caplog.records if "request.failed" in record.getMessage()]
