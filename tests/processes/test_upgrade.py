"""Upgrades of a running board: this program is the old one, beside a newer one with one more revision."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import httpx
import pytest
import websockets
from board_client import session_of
from cluster import Cluster, Node, client_of, paidchat
from following import following
from newer import REVISION, newer_program
from rows import opened
from served import free_port
from webhooks import completed, deliver

from paidchat.storage import schema

Json = dict[str, Any]
P = ParamSpec("P")
T = TypeVar("T")

EARLIER = schema.HEAD
TOO_NEW = f"The database is at revision {REVISION}, newer than this program ({EARLIER})"
AT_LEAST = f"needs at least a program of revision {REVISION}. Update the program."


@dataclass(frozen=True)
class Programs:
    """The old program and the new one on one database; their processes share a sandbox."""

    old: Cluster
    new: Cluster

    def migrate(self) -> None:
        """Let the new program bring the database to its revision."""
        migrated = paidchat("migrate", **self.new.environment)
        assert (migrated.returncode, migrated.stdout) == (0, "The schema is up to date.\n"), migrated.stderr


MakePrograms = Callable[[str, str], Programs]


@pytest.fixture
def make_programs(cluster: Cluster, tmp_path: Path) -> MakePrograms:
    """Make an old and a new program for a database; the new one's schema allows programs of `works_with`."""

    def make(database_url: str, works_with: str) -> Programs:
        old = {**cluster.environment, "PAIDCHAT_DATABASE_URL": database_url}
        new = {**old, "PYTHONPATH": newer_program(tmp_path / "newer", works_with=works_with)}
        return Programs(replace(cluster, environment=old, nodes=[]), replace(cluster, environment=new, nodes=[]))

    return make


@pytest.fixture
async def postgres_url(cluster: Cluster) -> str:
    """A database on PostgreSQL of this program's revision."""
    url = cluster.postgres.create_database()
    async with opened(url) as database:
        await schema.migrate(database)
    return url


async def schema_of(client: httpx.AsyncClient) -> str:
    """Make sure that a board is ready, and return what it says of its schema."""
    answer = await client.get("/readyz")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["schema"])


@dataclass
class Crowd:
    """People who pay through some boards. Of each payment the next board is told, as Stripe would tell it."""

    cluster: Cluster
    payments: list[Json] = field(default_factory=list)
    _names: Iterator[int] = field(default_factory=itertools.count)

    async def pay(self, clients: Sequence[httpx.AsyncClient], each: int = 1) -> None:
        """Make payments through all of these boards at once."""
        told = [*clients[1:], clients[0]]
        await asyncio.gather(*(self._pay(*boards, each) for boards in zip(clients, told, strict=True)))

    async def pay_until(self, clients: Sequence[httpx.AsyncClient], done: "asyncio.Task[T]") -> T:
        """Make payments until something else is done."""
        while not done.done():
            await self.pay(clients)
        return done.result()

    async def _pay(self, client: httpx.AsyncClient, told: httpx.AsyncClient, count: int) -> None:
        for _ in range(count):
            await schema_of(client)
            payment = await self.cluster.post(client, f"Paid {next(self._names)}")
            self.payments.append(payment)
            session = await told.get(
                f"{self.cluster.sandbox_url}/v1/checkout/sessions/{session_of(payment)}",
                headers={"Authorization": "Bearer sk_test_reader"},
            )
            answer = await deliver(told, completed(session.json()))
            assert answer.status_code == 200, answer.text


@dataclass
class Audience:
    """A follower of some boards: of one, and when that goes away, of the next, from where it was."""

    nodes: list[Node]
    seq: int = -1
    epoch: str = ""
    texts: list[str] = field(default_factory=list)

    async def follow(self) -> None:
        """Follow until cancelled; every message must take the next place in the log."""
        for number in itertools.count():
            with contextlib.suppress(websockets.ConnectionClosed, OSError):
                await self._follow(self.nodes[number % len(self.nodes)])
            await asyncio.sleep(0.05)

    async def _follow(self, node: Node) -> None:
        cursor = {"after": self.seq, "epoch": self.epoch} if self.epoch else {}
        async with following(node, **cursor) as follower:
            assert follower.first["type"] == ("resumed" if cursor else "snapshot")
            self.seq, self.epoch = follower.cursor
            while True:
                frame = await follower.receive(60)
                if frame["type"] != "heartbeat":
                    assert (frame["type"], frame["seq"]) == ("message.posted", self.seq + 1)
                    self.texts.append(frame["message"]["text"])
                    self.seq = frame["seq"]

    async def reach(self, seq: int) -> None:
        """Wait until it has read this far."""
        async with asyncio.timeout(20):
            while self.seq < seq:  # noqa: ASYNC110 - it is another task that reads
                await asyncio.sleep(0.05)


async def test_old_and_new_serve_side_by_side(make_programs: MakePrograms, postgres_url: str) -> None:
    """During a compatible upgrade under load the old program stays ready and can restart; nothing is lost or doubled."""
    programs = make_programs(postgres_url, EARLIER)
    old_cluster, new_cluster = programs.old, programs.new
    crowd = Crowd(old_cluster)
    port = free_port()
    old = await asyncio.to_thread(old_cluster.start_node, port)
    of_the_old = Audience([old])
    async with client_of(old) as on_old, in_background(of_the_old.follow()):
        await of_the_old.reach(0)
        await crowd.pay_until([on_old], in_thread(programs.migrate))
        assert await schema_of(on_old) == "newer"
        new = await crowd.pay_until([on_old], in_thread(new_cluster.start_node))
        of_the_new = Audience([new])
        of_the_old.nodes.append(new)
        async with client_of(new) as on_new, in_background(of_the_new.follow()):
            await of_the_new.reach(0)
            assert await schema_of(on_new) == "ok"
            await crowd.pay([on_old, on_new], 5)
            await crowd.pay_until([on_new], in_thread(old.stop))
            await crowd.pay_until([on_new], in_thread(old_cluster.start_node, port))
            await crowd.pay([on_old, on_new], 5)
            ledger = await old_cluster.ledger(on_old)
            for client in (on_old, on_new):
                page = (await client.get("/api/messages", params={"limit": 1})).json()
                assert page["seq"] == len(crowd.payments)  # the log holds one entry for each payment
            for audience in (of_the_old, of_the_new):
                await audience.reach(len(crowd.payments))
    paid = {payment["id"] for payment in crowd.payments}
    sessions = [session for session in ledger["sessions"] if session["client_reference_id"] in paid]
    assert [(session["payment_status"], session["amount_refunded"]) for session in sessions] == [("paid", 0)] * len(
        paid
    )
    assert sorted(of_the_old.texts) == sorted(payment["text"] for payment in crowd.payments)
    assert len(of_the_new.texts) >= 15


async def test_the_old_program_stops_at_what_it_cannot_use(make_programs: MakePrograms, postgres_url: str) -> None:
    """After an incompatible upgrade the old program is not ready, and neither starts nor migrates; it says why."""
    programs = make_programs(postgres_url, REVISION)
    old = await asyncio.to_thread(programs.old.start_node)
    async with client_of(old) as client:
        assert await schema_of(client) == "ok"
        await in_thread(programs.migrate)
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    [error] = answer.json()["errors"]
    assert error["field"] == "schema"
    assert_says_too_new(error["message"])
    commands = (("serve", "--port", str(free_port())), ("migrate",), ("messages", "list"), ("doctor",))
    refused = await asyncio.gather(*(in_thread(paidchat, *each, **programs.old.environment) for each in commands))
    assert [done.returncode for done in refused] == [2, 1, 1, 1]
    for done in refused:
        assert_says_too_new(done.stderr + done.stdout)
        assert "Traceback" not in done.stderr
    assert "→ Update the program." in refused[3].stdout


async def test_the_old_program_is_operated_on_a_newer_schema(make_programs: MakePrograms, postgres_url: str) -> None:
    """After a compatible upgrade the old program's commands work; `migrate` has nothing to do, `doctor` only warns."""
    programs = make_programs(postgres_url, EARLIER)
    await in_thread(programs.migrate)
    commands = (("migrate",), ("messages", "list"), ("doctor",), ("reconcile",))
    migrated, listed, examined, reconciled = await asyncio.gather(
        *(in_thread(paidchat, *each, **programs.old.environment) for each in commands)
    )
    for done in (migrated, listed, examined, reconciled):
        assert done.returncode == 0, done.stdout + done.stderr
    assert migrated.stdout == f"{TOO_NEW}, which may still use it. There is nothing to do.\n"
    assert f" warning  database: {TOO_NEW}" in examined.stdout


@pytest.mark.parametrize("works_with", [EARLIER, REVISION], ids=["compatible", "incompatible"])
async def test_an_sqlite_file_goes_back_to_the_old_program(
    make_programs: MakePrograms, tmp_path: Path, works_with: str
) -> None:
    """A file that a newer program has migrated is served by the old one if it may use it, and left as it is."""
    programs = make_programs(f"sqlite:///{tmp_path / 'paidchat.db'}", works_with)
    await in_thread(programs.migrate)
    if works_with == REVISION:
        refused = await in_thread(paidchat, "serve", "--port", str(free_port()), **programs.old.environment)
        assert refused.returncode == 2
        assert_says_too_new(refused.stderr)
    else:
        old = await in_thread(programs.old.start_node)
        crowd = Crowd(programs.old)
        async with client_of(old) as client:
            await crowd.pay([client], 3)
            assert await schema_of(client) == "newer"
            page = (await client.get("/api/messages")).json()
        assert [message["text"] for message in page["messages"]] == [payment["text"] for payment in crowd.payments]
        await in_thread(old.stop)
    async with opened(programs.old.environment["PAIDCHAT_DATABASE_URL"]) as database:
        async with database.reading() as connection:
            assert await schema.revision(connection) == REVISION


def assert_says_too_new(words: str) -> None:
    """Make sure that somebody is told what is the matter and what to do."""
    assert TOO_NEW in words
    assert AT_LEAST in words


def in_thread(work: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> "asyncio.Task[T]":
    """Do something that takes its time while the loop goes on."""
    return asyncio.ensure_future(asyncio.to_thread(work, *arguments, **more))


@contextlib.asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something beside the block; what goes wrong in it fails the block."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        yield
        task.cancel()
