"""The results of all benchmarks: prints the tables, and writes RESULTS.md and its plot."""

import json
import platform
import sqlite3
import subprocess
import sysconfig
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks import _model as models
from benchmarks import _table as table
from benchmarks._figures import IDLE_VIEWER, PAIDCHAT, TO_MANY
from benchmarks._plot import plot
from benchmarks._postgres import PSQL
from benchmarks._processes import HERE, NODE, PEERS, cores
from benchmarks._records import Records, load
from paidchat.storage import sqlite_library

RESULTS, PLOT = HERE / "RESULTS.md", HERE / "results.svg"
PACKAGES = (
    "fastapi",
    "uvicorn",
    "uvloop",
    "sqlalchemy",
    "sqlmodel",
    "aiosqlite",
    "pysqlite3",
    "asyncpg",
    "stripe",
    "httpx",
)


def _machine() -> str:
    info = Path("/proc/cpuinfo").read_text()
    name = info.partition("model name")[2].partition(":")[2].partition("\n")[0].strip()
    return f"{cores()} cores, {name or platform.machine()}"


def _build() -> str:
    """Say how Python was built: with this optimization a loop in Python ran 2.2 times as fast, a webhook 1.15 times."""
    is_optimized = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    return f"built with{'' if is_optimized else 'out'} profile-guided optimization"


def _versions() -> Iterator[str]:
    node, psql = (subprocess.check_output([program, "--version"], text=True).strip() for program in (NODE, PSQL))
    libraries = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield f"Python {platform.python_version()}, {_build()}: {libraries}"
    packages = json.loads((PEERS / "package.json").read_text())["dependencies"]
    yield f"Node {node.removeprefix('v')}: " + ", ".join(f"{name} {number}" for name, number in packages.items())
    sqlite = f"{sqlite_library.sqlite3.sqlite_version} (paidchat), {sqlite3.sqlite_version} (plain FastAPI)"
    yield f"SQLite {sqlite}; PostgreSQL {psql.split()[-1]}"


def _model(records: Records) -> Iterator[str]:
    delivery = records.median(TO_MANY, PAIDCHAT, "cpu")
    viewer = records.median(IDLE_VIEWER, PAIDCHAT, "kib")
    if delivery is None or viewer is None:
        return
    yield from ("", "## More viewers", "", f"Computed from these results: {models.ASSUMED}.", "")
    yield from table.in_markdown(models.COLUMNS, models.model(delivery, viewer))


def document(records: Records) -> Iterator[str]:
    """Return the lines of RESULTS.md."""
    yield from ("# Results", "", "Written by `./dev bench`; don't edit it.", "")
    amount = " with a quarter of the load (`--quick`)" if records.quick else ""
    yield from (f"- {records.count} round{'s' if records.count > 1 else ''}{amount}, after one to warm up",)
    yield from (f"- {line}" for line in (_machine(), *_versions()))
    yield from (
        "",
        "## Targets",
        "",
        "Each compares figures of the same round; the median of the rounds counts.",
        "",
    )
    yield from table.in_markdown(table.CHECKED, table.targets(records))
    yield from ("", f"![Each target as a share of what is allowed]({PLOT.name})", "", "## Figures", "")
    yield from (
        "Medians, per request or delivery. CPU is the server process's alone. paidchat logs each webhook's verdict,",
    )
    yield from (
        "and requests that are slow or fail (`PAIDCHAT_LOG_REQUESTS=slow-or-failed`); the peers log nothing.",
        "",
    )
    yield from table.in_markdown(table.FIGURES, table.figures(records))
    yield from _model(records)


def main() -> None:
    """Print and write what the newest runs measured."""
    records = load()
    table.show(records)
    RESULTS.write_text("\n".join(document(records)) + "\n")
    PLOT.write_text(plot(records))


if __name__ == "__main__":
    main()
