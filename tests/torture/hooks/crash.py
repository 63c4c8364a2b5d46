"""The crash hook: ends a board's process before or after one statement or one call, at a named point.

A point is named after what the board was doing and the step: `webhook checkout.session.completed: before INSERT
message`. Background steps that nothing waits for, such as the feed's reads, are not points. Those that write or ask
Stripe and belong to no work are listed: this hook would be blind to them.
"""

import os
import re
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import stripe
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect

from paidchat.api import admin
from paidchat.payments import core
from paidchat.payments.checkout import Checkout
from paidchat.payments.fulfilment import Fulfilment
from paidchat.payments.reconciler import Reconciler
from tests.torture.hooks.patches import replace

EXIT_STATUS: Final = 86
ARMED: Final = "armed"  # the file with the name of the point; it is deleted when the process dies there
PASSED: Final = "passed"  # the file that lists the points that were passed
HELD: Final = "held"  # while this file exists, no sweep begins
SWEEPING: Final = "sweeping"  # this file exists while a sweep is under way
UNKNOWN: Final = "unknown"  # the file that lists the steps of no known work
READING: Final = ("SELECT", "PRAGMA", "SHOW", "SET", "BEGIN", "WITH")  # first words of steps that change nothing
# Steps that exist only when functions happen to share a transaction; dying there is dying between two statements.
SHARING: Final = ("SAVEPOINT", "RELEASE", "ROLLBACK")
_TABLE = re.compile(r"(?:FROM|INTO|UPDATE)\s+(\w+)")
_ID = re.compile(r"\b(cs|pi|ch|re|du|dp|evt)_\w+")


@dataclass
class Work:
    """What the board is doing in one task: its name, and how often it has reached each step."""

    name: str
    steps: Counter[str] = field(default_factory=Counter)


_work: ContextVar[Work | None] = ContextVar("work", default=None)


class Points:
    """The folder with the point at which to die, and the list of points passed."""

    def __init__(self, folder: Path) -> None:
        self._armed = folder / ARMED
        self._passed, self._unknown = (
            os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in (PASSED, UNKNOWN)
        )

    def pass_by(self, moment: str, step: str) -> None:
        """Pass a point, or die there."""
        if step.startswith(SHARING):
            return
        work = _work.get()
        if work is None:
            if not step.startswith(READING) and self._armed.exists():
                os.write(self._unknown, f"{moment} {step}\n".encode())
            return
        name = f"{work.name}: {moment} {step}"
        work.steps[name] += 1
        if work.steps[name] > 1:
            name += f" ({work.steps[name]})"
        os.write(self._passed, f"{name}\n".encode())
        if self._armed.exists() and self._armed.read_text() == name:
            self._armed.unlink()
            os._exit(EXIT_STATUS)


def install(folder: str) -> None:
    """Make this process die at the point that the folder's file names."""
    points = Points(Path(folder))
    _watch_statements(points)
    _watch_calls(points)
    _name_work()
    _hold_sweeps(Path(folder))


# --- the steps --------------------------------------------------------------------------------------


def _watch_statements(points: Points) -> None:
    @event.listens_for(Engine, "before_cursor_execute")
    def _before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        points.pass_by("before", _short(statement))

    @event.listens_for(Engine, "after_cursor_execute")
    def _after(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        points.pass_by("after", _short(statement))

    def committing(commit: Any) -> Any:
        def do_commit(dialect: Any, connection: Any) -> None:
            points.pass_by("before", "COMMIT")
            commit(dialect, connection)
            points.pass_by("after", "COMMIT")

        return do_commit

    replace(DefaultDialect, "do_commit", committing)


def _short(statement: str) -> str:
    verb = statement.split(maxsplit=1)[0]
    tables = _TABLE.search(statement)
    return f"{verb} {tables[1]}" if tables else verb


def _watch_calls(points: Points) -> None:
    def calling(request: Any) -> Any:
        async def request_async(client: Any, method: str, url: str, *more: Any, **options: Any) -> Any:
            path = _ID.sub(r"\1_…", url.partition("/v1/")[2].partition("?")[0])
            step = f"{method.upper()} /v1/{path}"
            points.pass_by("before", step)
            answer = await request(client, method, url, *more, **options)
            points.pass_by("after", step)
            return answer

        return request_async

    replace(stripe.HTTPXClient, "request_async", calling)


# --- the work ---------------------------------------------------------------------------------------


def _name_work() -> None:
    for owner, name, label in (
        (core, "_board_tag", "start"),
        (Checkout, "start_checkout", "create"),
        (Reconciler, "look_up", "landing"),
        (Fulfilment, "fulfill", "fulfil"),
        (Reconciler, "sweep", "sweep"),
        (admin, "remove_message", "moderate"),
        (Fulfilment, "send_refunds", "send refunds"),
    ):
        replace(owner, name, _as_work(lambda *_, label=label: label))
    replace(Fulfilment, "handle", _as_work(lambda _, news: f"webhook {news.event_type}"))


def _hold_sweeps(folder: Path) -> None:
    held, sweeping = folder / HELD, folder / SWEEPING

    def unless_held(sweep: Any) -> Any:
        async def sweep_unless_held(reconciler: Reconciler, **options: Any) -> Any:
            sweeping.touch()
            try:
                return None if held.exists() else await sweep(reconciler, **options)
            finally:
                sweeping.unlink(missing_ok=True)

        return sweep_unless_held

    replace(Reconciler, "sweep", unless_held)


def _as_work(label: Callable[..., str]) -> Callable[[Any], Any]:
    """Make each call of a function a work of its own, within the work that calls it."""

    def working(function: Any) -> Any:
        async def work(*arguments: Any, **options: Any) -> Any:
            outer = _work.get()
            name = label(*arguments)
            token = _work.set(Work(f"{outer.name} > {name}" if outer else name))
            try:
                return await function(*arguments, **options)
            finally:
                _work.reset(token)

        return work

    return working
