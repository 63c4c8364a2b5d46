"""Warming up: does what each process does once, before forking, so that the forks need not."""

import asyncio
import importlib
import tempfile
import threading
import time
from pathlib import Path

# Modules that the command line, the server and the engine import only when needed.
IMPORTED_LATE = (
    "alembic.command",
    "asyncpg",
    "paidchat.app",
    "paidchat.cli.main",
    "paidchat.sandbox",
    "sqlalchemy.dialects.postgresql.asyncpg",
)
THREADS_END_S = 10  # for the threads to end, after their event loop has
FIRST_REQUEST = b"GET /api/messages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def warm_up() -> None:
    """Import everything, and run a throw-away board in this process for a moment.

    Raises:
        RuntimeError: one of its threads is still running, so forking is not safe.
    """
    for name in IMPORTED_LATE:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_live_a_moment(Path(folder)))
    deadline = time.monotonic() + THREADS_END_S
    while threading.active_count() > 1:
        if time.monotonic() > deadline:
            raise RuntimeError(f"threads are left over: {threading.enumerate()}")
        time.sleep(0.01)


async def _live_a_moment(folder: Path) -> None:
    from paidchat.app import create_app  # noqa: PLC0415 - imports that take seconds belong to `warm_up`
    from paidchat.serving.server import Server, listen, server_config  # noqa: PLC0415
    from paidchat.settings import Settings  # noqa: PLC0415

    settings = Settings(
        _env_file=None,
        database_url=f"sqlite:///{folder / 'warm.db'}",
        public_url="http://localhost:1",
        stripe_secret_key="sk_test_none",
        stripe_webhook_secrets="whsec_none",
    )
    ready = asyncio.Event()
    listening = listen("127.0.0.1", 0)
    server = Server(server_config(create_app(settings)), ready.set)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await ready.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1])
    writer.write(FIRST_REQUEST)
    await reader.read()
    writer.close()
    server.should_exit = True
    await serving
