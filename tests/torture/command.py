"""The command: the list of runs, its options, and the table of results."""

import argparse
import asyncio
import importlib
import math
import secrets
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.torture import report
from tests.torture.hooks.sabotages import SABOTAGES, is_noticed
from tests.torture.order import Order
from tests.torture.table import Row, table

# Each is a module of `runs` with `async def run(order: Order) -> list[Row]`.
RUNS = {
    "kills": "a board is killed at random moments while people pay",
    "task-kills": "background tasks are cancelled while people pay",
    "lost-events": "no webhook ever arrives",
    "duplicates": "each event arrives fifty times at once",
    "overtaking": "an old answer from Stripe arrives after newer ones",
    "writers": "many write through several processes while others tail the log, on PostgreSQL",
    "database-restarts": "PostgreSQL goes down and comes back",
    "storage-faults": "a full disk, failing writes, a lock held by another process",
    "crash-points": "a board dies before and after every statement and every call",
    "simulation": "everything that can happen to a board, in any order",
    "forgeries": "somebody other than Stripe tries to make the board post",
    "viewers": "thousands of viewers reconnect with all kinds of cursors",
    "stalled": "a hundred viewers never read",
    "shutdown": "SIGTERM under load, with clients that don't let go",
    "hardening": "floods, deadlines, a hanging Stripe, canaries in the log",
}
POSTGRESQL_ALONE = {"writers", "database-restarts"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return 0 if nothing was found or, with --sabotage, if every sabotage was noticed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.report and options.short:
        parser.error("only long runs are reported: leave out --short")
    if unknown := [name for name in options.runs if name not in RUNS]:
        parser.error(f"there is no run {', '.join(unknown)}: {', '.join(RUNS)}")
    if options.list:
        _list()
        return 0
    with _server(options.database) as options.database:
        return _do(options)


def _do(options: argparse.Namespace) -> int:
    if options.sabotage:
        names = SABOTAGES if options.sabotage == "all" else [options.sabotage]
        noticed = [_is_noticed(name, options) for name in names]
        return int(not all(noticed))
    rows = [row for name in options.runs or RUNS for row in _run_and_report(name, options)]
    return int(not all(row.green for row in rows))


def _run_and_report(name: str, options: argparse.Namespace) -> list[Row]:
    what = report.made(name, _database(name, options))
    rows = _run(name, _order(options))
    if options.report:
        report.keep(what, rows, is_part=options.story is not None)
    return rows


def _database(name: str, options: argparse.Namespace) -> str:
    return "PostgreSQL" if options.database or name in POSTGRESQL_ALONE else "SQLite"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev torture", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="run", help=f"any of: {', '.join(RUNS)}")
    parser.add_argument("--seed", type=int, help="repeats a run with the same choices; random by default")
    parser.add_argument("--short", action="store_true", help="a short pass of a few seconds")
    parser.add_argument("--count", type=int, help="the number of rounds, in runs that have rounds")
    parser.add_argument("--story", metavar="TEXT", help="only the stories of crash-points whose name contains it")
    parser.add_argument("--minutes", type=float, help="begin no more rounds of a run after this time", default=math.inf)
    parser.add_argument("--processes", type=int, help="how many simulate at a time; by default one per processor")
    at = "postgresql://… instead of SQLite; `postgresql` starts one"
    parser.add_argument("--database", metavar="URL", type=_address, help=at)
    parser.add_argument("--sabotage", choices=[*SABOTAGES, "all"], help="remove a safeguard: its run must turn red")
    parser.add_argument("--report", action="store_true", help="write the results into docs/torture.md")
    parser.add_argument("--list", action="store_true", help="list the runs and sabotages")
    return parser


def _address(text: str) -> str:
    """Return what was given for `--database` if it can be PostgreSQL's; without one, runs use SQLite."""
    if text != "postgresql" and not text.startswith(("postgresql://", "postgresql+asyncpg://")):
        raise argparse.ArgumentTypeError(f"{text!r} is not postgresql://…; leave it out to use SQLite")
    return text


@contextmanager
def _server(database: str | None) -> Iterator[str | None]:
    """Yield the URL; for `postgresql`, that of a server which is started and runs as long as the command."""
    if database != "postgresql":
        yield database
        return
    from tests.support.postgres import Postgres  # noqa: PLC0415 - a wheel with a server in it, imported only if it is used

    server = Postgres()
    try:
        yield server.url.render_as_string(hide_password=False)
    finally:
        server.stop()


def _order(options: argparse.Namespace, sabotage: str | None = None) -> Order:
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    if sabotage is None:
        return Order(
            seed,
            short=options.short,
            count=options.count,
            database=options.database,
            story=options.story,
            processes=options.processes,
            deadline=time.monotonic() + options.minutes * 60,
        )
    count, story = SABOTAGES[sabotage].count, SABOTAGES[sabotage].story
    return Order(seed, short=True, count=count, database=options.database, sabotage=sabotage, story=story)


def _run(name: str, order: Order) -> list[Row]:
    """Make a run and print its rows; a run that crashes is red too."""
    _say(f"{name}: seed {order.seed}")
    module = importlib.import_module(f"tests.torture.runs.{name.replace('-', '_')}")
    try:
        rows: list[Row] = asyncio.run(module.run(order))
    except Exception as error:  # noqa: BLE001 - any error goes into the table
        traceback.print_exc()
        rows = [Row(name, "did not end", order.seed, wrong=[repr(error)])]
    if order.time_is_up and not any(count for row in rows for count in row.counts.values()):
        rows[0].wrong.append("nothing was done before the time was up")
    _say(table(rows))
    return rows


def _is_noticed(name: str, options: argparse.Namespace) -> bool:
    sabotage = SABOTAGES[name]
    _say(f"sabotage {name}: {sabotage.what}; {sabotage.run} must turn red and say: {sabotage.sign}")
    order = _order(options, name)
    noticed = is_noticed(name, _run(sabotage.run, order))
    if options.report:
        what = report.made(sabotage.run, _database(sabotage.run, options))
        report.keep_sabotage(what, name, order.seed, noticed=noticed)
    _say(f"sabotage {name} {'was noticed' if noticed else 'WAS NOT NOTICED: the run misses it'}")
    return noticed


def _list() -> None:
    for name, what in RUNS.items():
        _say(f"{name:16} {what}")
    for name, sabotage in SABOTAGES.items():
        _say(f"--sabotage {name}: {sabotage.what} ({sabotage.run} turns red)")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
