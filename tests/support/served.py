"""Servers for tests: real ones, on real ports, with real files, in a thread or a process of their own."""

import asyncio
import contextlib
import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from paidchat.app import create_app
from paidchat.sandbox import SandboxSettings
from paidchat.serving.server import Server, server_config
from paidchat.settings import Settings
from tests.support.forking import Forked, launcher
from tests.support.postgres import Postgres, migrate_at

START_TIMEOUT_S = 30
COMMAND_TIMEOUT_S = 60
SECRET = "whsec_of_the_tests"


@dataclass(frozen=True)
class Served:
    """A running board with its sandbox under `/sandbox`."""

    url: str
    settings: Settings
    loop: asyncio.AbstractEventLoop | None = None  # of a server in this process

    @property
    def feed_url(self) -> str:
        """The URL of its WebSocket."""
        return f"ws{self.url.removeprefix('http')}/api/feed"


# Below those that outgoing connections get, or one could take a board's port before the board starts again. Each worker
# has its own, and gives each out only after all others.
_FIRST_PORT, _PORTS_OF_A_WORKER, _WORKERS = 20_000, 2_000, 6


def _ports() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", f"gw{_WORKERS - 1}")[2:]) % _WORKERS
    first = _FIRST_PORT + worker * _PORTS_OF_A_WORKER
    offset = secrets.randbelow(_PORTS_OF_A_WORKER)
    return (first + (offset + number) % _PORTS_OF_A_WORKER for number in itertools.count())


_next_ports = _ports()


def free_port() -> int:
    """Return a port that is free now, and stays so until it is used."""
    while True:
        port = next(_next_ports)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def production(data: Path, port: int, **more: str) -> dict[str, str]:
    """Return the environment of a board in production, on a database in this folder, whose Stripe does not respond."""
    return {
        "PAIDCHAT_DATABASE_URL": f"sqlite:///{data / 'paidchat.db'}",
        "PAIDCHAT_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PAIDCHAT_STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}",
        "STRIPE_SECRET_KEY": "sk_test_of_the_tests",
        "STRIPE_WEBHOOK_SECRET": SECRET,
        **more,
    }


@contextlib.contextmanager
def serving(config: uvicorn.Config) -> Iterator[asyncio.AbstractEventLoop]:
    """Run a server in its own thread until the block ends; yields its event loop."""
    ready = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    def started() -> None:
        loops.append(asyncio.get_running_loop())
        ready.set()

    server = Server(config, started)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready.wait(0.05):
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server takes too long to start"
    try:
        yield loops[0]
    finally:
        server.should_exit = True
        thread.join(START_TIMEOUT_S)
        assert not thread.is_alive(), "the server does not stop"


class Databases:
    """Which database boards are served on: one per folder, so a board served again from a folder finds its data."""

    def __init__(self) -> None:
        self._postgres: Postgres | None = None
        self._urls: dict[Path, str] = {}
        self._template: bytes | None = None  # a migrated file
        self.by_backend = False  # whether the test that runs now says on which

    @contextlib.contextmanager
    def on(self, postgres: Postgres) -> Iterator[None]:
        """Serve the boards of tests that say so on this server until the block ends."""
        self._postgres = postgres
        try:
            yield
        finally:
            self._postgres = None

    def url_for(self, data: Path) -> str:
        """Return the URL of a folder's database."""
        if self._postgres is None or not self.by_backend:
            return f"sqlite:///{self._file_in(data)}"
        if data not in self._urls:
            self._urls[data] = self._postgres.create_migrated()
        return self._urls[data]

    def _file_in(self, data: Path) -> Path:
        """Return a folder's database file, which is there from the start: migrating it takes 30 ms, copying it none."""
        file = data / "paidchat.db"
        if self._template is None:
            with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
                migrated = Path(folder) / "paidchat.db"
                thread.submit(asyncio.run, migrate_at(f"sqlite:///{migrated}")).result()  # this thread may have a loop
                self._template = migrated.read_bytes()
        if not file.exists():
            file.touch(mode=0o600)
            file.write_bytes(self._template)
        return file


databases = Databases()


@contextlib.contextmanager
def served_board(data: Path, port: int | None = None, **overrides: Any) -> Iterator[Served]:
    """Serve a board and its sandbox, as the demo does, from one folder; `overrides` are settings."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    settings = Settings(
        **{
            "_env_file": None,
            "database_url": databases.url_for(data),
            "public_url": url,
            "stripe_secret_key": "sk_test_of_the_tests",
            "stripe_webhook_secrets": SECRET,
            "stripe_api_base": f"{url}/sandbox",
            "rate_limit": "off",
            **overrides,
        }
    )
    sandbox = SandboxSettings(
        data=data, public_url=f"{url}/sandbox", webhook_url=f"{url}/stripe/webhook", webhook_secret=SECRET
    )
    app = create_app(settings, sandbox)
    proxies = settings.trusted_proxies
    with serving(server_config(app, host="127.0.0.1", port=port, trusted_proxies=proxies)) as loop:
        yield Served(url, settings, loop)


# Environment variables that an interpreter reads at its start.
OF_INTERPRETERS = ("PYTHON", "LC_", "LANG", "LD_")
Running = Forked | subprocess.Popen[str]


def needs_its_own_interpreter(arguments: tuple[str, ...], environment: dict[str, str]) -> bool:
    """Whether forking from a running process would behave differently from starting a new one."""
    return "--workers" in arguments or any(name.startswith(OF_INTERPRETERS) for name in environment)


@contextlib.contextmanager
def process(*arguments: str, ready: str = "is ready", **environment: str) -> Iterator[Running]:
    """Run `paidchat …` as a process; at the end of the block it is killed if it is still running."""
    start = _start if needs_its_own_interpreter(arguments, environment) else _fork
    with _until_the_end(start, arguments, environment, ready) as running:
        yield running


@contextlib.contextmanager
def process_anew(*arguments: str, **environment: str) -> Iterator[Running]:
    """Run `paidchat …` in a new interpreter, which inherits what this process has set for its children."""
    with _until_the_end(_start, arguments, environment, "is ready") as running:
        yield running


@contextlib.contextmanager
def _until_the_end(
    start: Callable[[tuple[str, ...], dict[str, str], Path], Running],
    arguments: tuple[str, ...],
    environment: dict[str, str],
    ready: str,
) -> Iterator[Running]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        log.touch()
        running = start(arguments, {**_kept(), **environment}, log)
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while ready not in log.read_text(errors="replace"):
                assert running.poll() is None, f"paidchat ended with {running.wait()}: {log.read_text()}"
                assert time.monotonic() < deadline, f"paidchat takes too long to start: {log.read_text()}"
                time.sleep(0.02)
            yield running
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGKILL)
            running.wait()


def _kept() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}


def _fork(arguments: tuple[str, ...], environment: dict[str, str], log: Path) -> Running:
    return launcher().start(arguments, environment, log, log)


def _start(arguments: tuple[str, ...], environment: dict[str, str], log: Path) -> Running:
    command = [sys.executable, "-m", "paidchat", *arguments]
    with log.open("a") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True, env=environment)


def paidchat(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a paidchat command until it ends."""
    if needs_its_own_interpreter(arguments, environment):
        return subprocess.run(
            [sys.executable, "-m", "paidchat", *arguments],
            capture_output=True,
            text=True,
            errors="backslashreplace",  # the output need not be in this process's encoding
            env={**_kept(), **environment},
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        running = launcher().start(arguments, {**_kept(), **environment}, output, errors)
        try:
            status = running.wait(COMMAND_TIMEOUT_S)
        finally:
            running.send_signal(signal.SIGKILL)
        return subprocess.CompletedProcess(arguments, status, output.read_text(), errors.read_text())
