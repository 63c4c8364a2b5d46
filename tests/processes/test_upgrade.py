"""Upgrades of a running board: this program is the old one, beside a newer one with another revision."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import httpx
import pytest
import uvicorn
import websockets

from paidchat.app import create_app
from paidchat.sandbox import SandboxSettings, create_sandbox
from paidchat.serving.server import server_config
from paidchat.settings import Settings
from paidchat.storage import schema
from tests.support.board_client import http_client, session_of, start
from tests.support.following import following
from tests.support.newer import REVISION, newer_program
from tests.support.postgres import Postgres
from tests.support.rows import opened
from tests.support.served import SECRET, Served, free_port, paidchat, process, serving
from tests.support.shapes import Json
from tests.support.transactions import reading
from tests.support.webhooks import completed, deliver_until_taken

P = ParamSpec("P")
T = TypeVar("T")

EARLIER = schema.HEAD
TOO_NEW = f"The database is at revision {REVISION}, newer than this program ({EARLIER})"
AT_LEAST = f"needs at least a program of revision {REVISION}. Update the program."
KEY = "sk_test_of_the_tests"


@dataclass(frozen=True)
class Programs:
    """The old program, which runs in this process, and a newer one on the same database, with one sandbox."""

    folder: Path
    database_url: str
    works_with: str  # what the newer one's schema says
    sandbox_url: str
    old_port: int
    _stack: ExitStack

    @property
    def environment(self) -> dict[str, str]:
        """The environment for commands of the old program."""
        return {
            "PAIDCHAT_DATABASE_URL": self.database_url,
            "PAIDCHAT_PUBLIC_URL": f"http://127.0.0.1:{self.old_port}",
            "PAIDCHAT_STRIPE_API_BASE": self.sandbox_url,
            "PAIDCHAT_RATE_LIMIT": "off",
            "PAIDCHAT_RECONCILE_SECONDS": "1",
            "STRIPE_SECRET_KEY": KEY,
            "STRIPE_WEBHOOK_SECRET": SECRET,
        }

    @property
    def settings(self) -> Settings:
        """The same, as settings."""
        return Settings(
            _env_file=None,
            database_url=self.database_url,
            public_url=f"http://127.0.0.1:{self.old_port}",
            stripe_secret_key=KEY,
            stripe_webhook_secrets=SECRET,
            stripe_api_base=self.sandbox_url,
            rate_limit="off",
            reconcile_seconds=1,
        )

    def start_old(self) -> tuple[Served, ExitStack]:
        """Serve the old program; closing the returned stack stops it."""
        running = self._stack.enter_context(ExitStack())
        app = create_app(self.settings)
        running.enter_context(serving(server_config(app, host="127.0.0.1", port=self.old_port)))
        return Served(f"http://127.0.0.1:{self.old_port}", self.settings), running

    def start_new(self) -> Served:
        """Serve the newer program in its own process."""
        port = free_port()
        self._stack.enter_context(process("serve", "--port", str(port), **self._newer))
        return Served(f"http://127.0.0.1:{port}", self.settings)

    def migrate(self) -> None:
        """Migrate the database to the newer program's revision."""
        migrated = paidchat("migrate", **self._newer)
        assert (migrated.returncode, migrated.stdout) == (0, "The schema is up to date.\n"), migrated.stderr

    @property
    def _newer(self) -> dict[str, str]:
        copy = self.folder / "newer"
        if not copy.exists():
            newer_program(copy, works_with=self.works_with)
        return {**self.environment, "PYTHONPATH": str(copy)}


MakePrograms = Callable[[str, str], Programs]


@pytest.fixture
def make_programs(tmp_path: Path) -> Iterator[MakePrograms]:
    """Make an old and a newer program for a database; the newer schema allows programs of `works_with`."""
    with ExitStack() as stack:

        def make(database_url: str, works_with: str) -> Programs:
            old_port, sandbox_port = free_port(), free_port()
            url = f"http://127.0.0.1:{sandbox_port}"
            sandbox = SandboxSettings(
                data=tmp_path,
                public_url=url,
                webhook_url=f"http://127.0.0.1:{old_port}/stripe/webhook",
                webhook_secret=SECRET,
            )
            config = uvicorn.Config(
                create_sandbox(sandbox), host="127.0.0.1", port=sandbox_port, log_config=None, access_log=False
            )
            stack.enter_context(serving(config))
            return Programs(tmp_path, database_url, works_with, url, old_port, stack)

        yield make


@pytest.fixture
async def postgres_url(postgres: Postgres) -> str:
    """A PostgreSQL database at this program's revision."""
    url = postgres.create_database()
    async with opened(url) as database:
        await schema.migrate(database)
    return url


async def schema_of(client: httpx.AsyncClient) -> str:
    """Check that a board is ready, and return what it says about its schema."""
    answer = await client.get("/readyz")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["schema"])


@dataclass
class Crowd:
    """People who pay through several boards. Stripe's event of each payment goes to the next board."""

    sandbox_url: str
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
            await asyncio.sleep(0.1)  # the processes under test need the CPU too
        return done.result()

    async def _pay(self, client: httpx.AsyncClient, told: httpx.AsyncClient, count: int) -> None:
        for _ in range(count):
            await schema_of(client)
            payment = await start(client, f"Paid {next(self._names)}")
            session_id = session_of(payment)
            paid = await told.post(f"{self.sandbox_url}/test/sessions/{session_id}/pay")
            assert paid.status_code == 200, paid.text
            self.payments.append(payment)
            session = await told.get(
                f"{self.sandbox_url}/v1/checkout/sessions/{session_id}", headers={"Authorization": f"Bearer {KEY}"}
            )
            answer = (await deliver_until_taken(told, completed(session.json())))[-1]
            assert answer.status_code == 200, answer.text


@dataclass
class Audience:
    """A subscriber of several boards: when one goes away, it resumes at the next."""

    boards: list[Served]
    seq: int = -1
    epoch: str = ""
    texts: list[str] = field(default_factory=list)

    async def follow(self) -> None:
        """Follow until cancelled; every message must have the next seq."""
        for number in itertools.count():
            with contextlib.suppress(websockets.ConnectionClosed, OSError):
                await self._follow(self.boards[number % len(self.boards)])
            await asyncio.sleep(0.05)

    async def _follow(self, board: Served) -> None:
        cursor: Json = {"after": self.seq, "epoch": self.epoch} if self.epoch else {}
        async with following(board, **cursor) as follower:
            assert follower.first["type"] == ("resumed" if cursor else "snapshot")
            self.seq, self.epoch = follower.cursor
            while True:
                frame = await follower.receive(60)
                if frame["type"] != "heartbeat":
                    assert (frame["type"], frame["seq"]) == ("message.posted", self.seq + 1)
                    self.texts.append(frame["message"]["text"])
                    self.seq = frame["seq"]

    async def reach(self, seq: int) -> None:
        """Wait until it has read up to this seq."""
        async with asyncio.timeout(20):
            while self.seq < seq:  # noqa: ASYNC110 - it is another task that reads
                await asyncio.sleep(0.05)


@pytest.mark.long
async def test_old_and_new_serve_side_by_side(make_programs: MakePrograms, postgres_url: str) -> None:
    """In a compatible upgrade under load the old program stays ready and can restart; nothing is lost or duplicated."""
    programs = make_programs(postgres_url, EARLIER)
    crowd = Crowd(programs.sandbox_url)
    old, running = programs.start_old()
    of_the_old = Audience([old])
    async with http_client(old) as on_old, in_background(of_the_old.follow()):
        await of_the_old.reach(0)
        await crowd.pay_until([on_old], in_thread(programs.migrate))
        assert await schema_of(on_old) == "newer"
        new = await crowd.pay_until([on_old], in_thread(programs.start_new))
        of_the_new = Audience([new])
        of_the_old.boards.append(new)
        async with http_client(new) as on_new, in_background(of_the_new.follow()):
            await of_the_new.reach(0)
            assert await schema_of(on_new) == "ok"
            await crowd.pay([on_old, on_new], 5)
            await crowd.pay_until([on_new], in_thread(running.close))
            await crowd.pay_until([on_new], in_thread(programs.start_old))
            await crowd.pay([on_old, on_new], 5)
            for client in (on_old, on_new):
                page = (await client.get("/api/messages", params={"limit": 1})).json()
                assert page["seq"] == len(crowd.payments)  # the log holds one entry for each payment
            for audience in (of_the_old, of_the_new):
                await audience.reach(len(crowd.payments))
        ledger = (await on_old.get(f"{programs.sandbox_url}/test/ledger")).json()
    assert len(ledger["sessions"]) == len(crowd.payments)
    money = {(session["payment_status"], session["amount_refunded"]) for session in ledger["sessions"]}
    assert money == {("paid", 0)}
    assert sorted(of_the_old.texts) == sorted(payment["text"] for payment in crowd.payments)
    assert len(of_the_new.texts) >= 20


async def test_the_old_program_stops_at_what_it_cannot_use(make_programs: MakePrograms, postgres_url: str) -> None:
    """After an incompatible upgrade the old program is not ready, and neither starts nor migrates; it says why."""
    programs = make_programs(postgres_url, REVISION)
    old, _ = programs.start_old()
    async with http_client(old) as client:
        assert await schema_of(client) == "ok"
        await in_thread(programs.migrate)
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    [error] = answer.json()["errors"]
    assert error["field"] == "schema"
    assert_says_too_new(error["message"])
    served, migrated = await asyncio.gather(
        in_thread(paidchat, "serve", "--port", str(free_port()), **programs.environment),
        in_thread(paidchat, "migrate", **programs.environment),
    )
    assert (served.returncode, migrated.returncode) == (2, 1)
    for refused in (served, migrated):
        assert_says_too_new(refused.stderr)
        assert "Traceback" not in refused.stderr


async def test_the_old_program_serves_a_file_that_it_may_use(make_programs: MakePrograms, tmp_path: Path) -> None:
    """An SQLite file that a newer program migrated compatibly is served by the old one and left unchanged."""
    programs = make_programs(f"sqlite:///{tmp_path / 'paidchat.db'}", EARLIER)
    await in_thread(programs.migrate)
    crowd = Crowd(programs.sandbox_url)
    old, running = programs.start_old()
    async with http_client(old) as client:
        await crowd.pay([client], 3)
        assert await schema_of(client) == "newer"
        page = (await client.get("/api/messages")).json()
    assert [message["text"] for message in page["messages"]] == [payment["text"] for payment in crowd.payments]
    running.close()
    migrated = await in_thread(paidchat, "migrate", **programs.environment)
    assert migrated.returncode == 0, migrated.stderr
    assert migrated.stdout == f"{TOO_NEW}, which may still use it. There is nothing to do.\n"
    assert await revision_of(programs.database_url) == REVISION


async def test_the_old_program_refuses_a_file_that_it_cannot_use(make_programs: MakePrograms, tmp_path: Path) -> None:
    """An SQLite file that a newer program migrated incompatibly is refused with an explanation and left unchanged."""
    programs = make_programs(f"sqlite:///{tmp_path / 'paidchat.db'}", REVISION)
    await in_thread(programs.migrate)
    refused = await in_thread(paidchat, "serve", "--port", str(free_port()), **programs.environment)
    assert refused.returncode == 2
    assert_says_too_new(refused.stderr)
    assert "Traceback" not in refused.stderr
    assert await revision_of(programs.database_url) == REVISION


async def revision_of(url: str) -> str | None:
    """Return the revision of a database."""
    async with opened(url) as database, reading(database) as connection:
        return await connection.run_sync(schema.revision)


def assert_says_too_new(words: str) -> None:
    """Check that a text says what is wrong and what to do."""
    assert TOO_NEW in words
    assert AT_LEAST in words


def in_thread(work: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> "asyncio.Task[T]":
    """Run something blocking while the event loop continues."""
    return asyncio.ensure_future(asyncio.to_thread(work, *arguments, **more))


@contextlib.asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something beside the block; its errors fail the block."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        yield
        task.cancel()
