"""The world of a run: a sandbox that keeps running, and a board that is killed and restarted on the same files."""

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.http_client import NO_TLS
from tests.support.served import SECRET, free_port
from tests.support.shapes import Json
from tests.torture.harness.processes import Launcher, Process, launching
from tests.torture.harness.records import Records, new_database
from tests.torture.harness.sandbox_file import SandboxFile

START_TIMEOUT_S = 30
LOOK_EVERY_S = 0.02
ADMIN_TOKEN = "of-the-torture-runs"
LEASE_S = 2.0  # of a dead process; in production the reconciler's lease is a minute, and a payment's claim 30 s


@dataclass
class World:
    """A board and its sandbox, each on its own port.

    Attributes:
        http: a client of the board.
        stripe: a client of the sandbox.
        hooks: that every board of this world is started with; see `hooks`.
        taken: the texts of the payments that got a 201, by id; the board must still have these.
        awaited: the number of responses after which `enough` is set.
        started: set from a board's start to its kill.
    """

    folder: Path
    launcher: Launcher
    records: Records
    board_port: int
    http: httpx.AsyncClient
    stripe: httpx.AsyncClient
    settings: Mapping[str, str]
    hooks: dict[str, Any]
    taken: dict[str, str] = field(default_factory=dict)
    board: Process | None = None
    awaited: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def file(self) -> SandboxFile:
        """The sandbox's own file."""
        return SandboxFile(self.folder / "sandbox.db")

    @property
    def log(self) -> Path:
        """The database of the boards of this world."""
        return self.folder / "board.log"

    async def start_board(self, hooks: Mapping[str, Any] | None = None, **settings: str) -> Process:
        """Start the board, with more hooks; it may not respond yet."""
        assert self.board is None or not self.board.alive
        self.board = await self.launcher.start(
            ["serve", "--host", "127.0.0.1", "--port", str(self.board_port)],
            environment={**self.settings, **settings},
            folder=self.folder,
            log=self.log,
            hooks={**self.hooks, **(hooks or {})},
        )
        self.started.set()
        return self.board

    async def board_answers(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the started board responds."""
        deadline = time.monotonic() + timeout_s
        while not await self.healthy():
            assert self.board is not None
            assert self.board.alive, f"the board ended with {self.board.ended.result()}: {self.log}"
            assert time.monotonic() < deadline, f"the board does not answer: {self.log}"
            await asyncio.sleep(LOOK_EVERY_S)

    async def count_answer(self, answer: httpx.Response) -> None:
        """Count one response of the board."""
        del answer
        self.awaited -= 1
        if self.awaited <= 0:
            self.enough.set()

    async def answers_given(self, count: int, timeout_s: float) -> None:
        """Wait until the board has given this many more responses, or until the timeout."""
        self.awaited = count
        self.enough.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.enough.wait()

    async def healthy(self) -> bool:
        """Tell whether the board responds."""
        try:
            return (await self.http.get("/healthz", timeout=2)).status_code == 200
        except httpx.HTTPError:
            return False

    async def restart_board(self, hooks: Mapping[str, Any] | None = None, **settings: str) -> Process:
        """Kill the running board, if any, start another, and wait until it responds."""
        await self.kill_board()
        board = await self.start_board(hooks, **settings)
        await self.board_answers()
        return board

    async def kill_board(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the board, with SIGKILL by default."""
        self.started.clear()
        if self.board is not None and self.board.alive:
            await self.board.end(number)

    async def act(self, session_id: str, verb: str) -> bool:
        """Apply a verb of the sandbox to a session; return False if its state forbids it."""
        answer = await self.stripe.post(f"/test/sessions/{session_id}/{verb}")
        assert answer.status_code in {200, 409}, answer.text
        return answer.status_code == 200

    async def faults(self, **groups: Json) -> None:
        """Set the sandbox's faults, or clear them if none are given."""
        answer = await (self.stripe.put("/test/faults", json=groups) if groups else self.stripe.delete("/test/faults"))
        assert answer.status_code == 200, answer.text

    async def ledger(self) -> Json:
        """Return the sandbox's ledger."""
        ledger: Json = (await self.stripe.get("/test/ledger")).json()
        return ledger

    async def let_pass(self, seconds: float) -> None:
        """Advance the sandbox's clock."""
        answer = await self.stripe.post("/test/clock", json={"advance_s": seconds})
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def made_world(
    *,
    launcher: Launcher | None = None,
    database: str | None = None,
    hooks: Mapping[str, Any] | None = None,
    database_folder: Path | None = None,
    reconcile_s: float = 1.0,
) -> AsyncIterator[World]:
    """Make a world whose sandbox is running and whose board is not; the board will reconcile every `reconcile_s`.

    A SQLite file is in the world's own folder unless another is given. That folder is deleted at the end, but kept for
    inspection if the block raises.
    """
    async with AsyncExitStack() as stack:
        if launcher is None:
            launcher = await stack.enter_async_context(launching())
        home = Path(tempfile.mkdtemp(prefix="paidchat-torture-"))
        ports = free_port(), free_port()
        board, sandbox = (f"http://127.0.0.1:{port}" for port in ports)
        url = await stack.enter_async_context(new_database(database_folder or home, database))
        running = await launcher.start(
            [
                "sandbox",
                f"--webhook-url={board}/stripe/webhook",
                f"--webhook-secret={SECRET}",
                f"--port={ports[1]}",
                f"--data={home}",
            ],
            environment={},
            folder=home,
            log=home / "sandbox.log",
        )
        stack.push_async_callback(running.end)
        world = World(
            folder=home,
            launcher=launcher,
            records=Records(url),
            board_port=ports[0],
            http=await stack.enter_async_context(_client(board)),
            stripe=await stack.enter_async_context(_client(sandbox)),
            hooks={"lease_s": LEASE_S, **(hooks or {})},
            settings={
                "PAIDCHAT_DATABASE_URL": url,
                "PAIDCHAT_PUBLIC_URL": board,
                "PAIDCHAT_STRIPE_API_BASE": sandbox,
                "STRIPE_SECRET_KEY": "sk_test_of_the_tests",
                "STRIPE_WEBHOOK_SECRET": SECRET,
                "PAIDCHAT_RATE_LIMIT": "off",
                "PAIDCHAT_RECONCILE_SECONDS": str(reconcile_s),
                "PAIDCHAT_ADMIN_TOKEN": ADMIN_TOKEN,
            },
        )
        world.http.event_hooks["response"].append(world.count_answer)
        stack.push_async_callback(world.kill_board)
        await _sandbox_answers(world, running)
        if database is not None:
            await _migrate(world)
        yield world
    shutil.rmtree(home, ignore_errors=True)


def _client(url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=200, keepalive_expiry=2)
    return httpx.AsyncClient(base_url=url, verify=NO_TLS, trust_env=False, timeout=20, limits=limits)


async def _migrate(world: World) -> None:
    """Create the schema; only on SQLite does the board do so itself."""
    migrating = await world.launcher.start(
        ["migrate"], environment=world.settings, folder=world.folder, log=world.log, hooks=world.hooks
    )
    status = await migrating.wait(START_TIMEOUT_S)
    assert status == 0, world.log.read_text()


async def _sandbox_answers(world: World, running: Process) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        assert running.alive, (world.folder / "sandbox.log").read_text()
        assert time.monotonic() < deadline, "the sandbox does not answer"
        try:
            await world.stripe.get("/test/faults")
        except httpx.HTTPError:
            await asyncio.sleep(LOOK_EVERY_S)
        else:
            return
