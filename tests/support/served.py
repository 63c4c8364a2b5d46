"""Servers for tests: real ones, on real ports, with real files, in a thread or in a process of their own."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from postgres import Postgres

from paidchat.app import create_app
from paidchat.sandbox import SandboxSettings
from paidchat.server import Server, server_config
from paidchat.settings import Settings
from paidchat.storage.database import Database
from paidchat.storage.schema import migrate

START_TIMEOUT_S = 30
SECRET = "whsec_of_the_tests"


@dataclass(frozen=True)
class Served:
    """A running board with its sandbox under `/sandbox`."""

    url: str
    settings: Settings
    loop: asyncio.AbstractEventLoop | None = None  # that of a server in this process

    @property
    def feed_url(self) -> str:
        """Where its WebSocket is."""
        return f"ws{self.url.removeprefix('http')}/api/feed"


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(config: uvicorn.Config) -> Iterator[asyncio.AbstractEventLoop]:
    """Run a server in a thread of its own until the block ends; gives its event loop."""
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
    """Which database boards are served on: one per folder, so that a board served again from a folder is the same."""

    def __init__(self) -> None:
        self._postgres: Postgres | None = None
        self._urls: dict[Path, str] = {}

    @contextlib.contextmanager
    def on(self, postgres: Postgres) -> Iterator[None]:
        """Serve boards on this server until the block ends."""
        self._postgres = postgres
        try:
            yield
        finally:
            self._postgres = None

    def url_for(self, data: Path) -> str:
        """Return the URL of a folder's database."""
        if self._postgres is None:
            return f"sqlite:///{data / 'paidchat.db'}"
        if data not in self._urls:
            self._urls[data] = self._postgres.create_database()
            # A test's own loop is running in this thread.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, _migrate(self._urls[data])).result()
        return self._urls[data]


databases = Databases()


async def _migrate(url: str) -> None:
    database = Database(url)
    await database.open()
    await migrate(database)
    await database.close()


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


@contextlib.contextmanager
def process(*arguments: str, ready: str = "is ready", **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run `paidchat …` as a process of its own; it is killed at the end of the block if it still runs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    running = subprocess.Popen(
        [sys.executable, "-m", "paidchat", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**kept, **environment},
    )
    assert running.stdout is not None
    # Nobody reads on, and a full pipe would stop the process.
    rest = threading.Thread(target=running.stdout.read, daemon=True)
    try:
        for line in running.stdout:
            if ready in line:
                break
        else:
            raise AssertionError(f"paidchat {' '.join(arguments)} ended with {running.wait()}")
        rest.start()
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGKILL)
        running.wait()
        if rest.ident is not None:
            rest.join()
        running.stdout.close()
