"""Dying: simulates a crash of a board in this process, after which it can't use its database any more."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from paidchat.storage.database import Database
from paidchat.storage.sqlite import SQLite

_doomed: ContextVar["Death | None"] = ContextVar("doomed", default=None)


class Died(Exception):
    """The board is dead."""


class Death:
    """Raises after a number of steps; a step is a statement, or either side of a commit."""

    def __init__(self, steps: int) -> None:
        self._left = steps
        self.dead = False

    def step(self) -> None:
        """Take a step, or die. A dead board can take no more steps.

        Raises:
            Died: the board is dead.
        """
        if _doomed.get() is self and not self.dead:
            self.dead = self._left == 0
            self._left -= 1
        if self.dead:
            raise Died


@contextmanager
def dying(database: Database, steps: int) -> Iterator[Death]:
    """Cut a board off from its database after a number of steps within the block, until the end of the block."""
    death = Death(steps)
    token = _doomed.set(death)
    try:
        with ExitStack() as stack:
            for engine in _engines(database):
                stack.enter_context(_stepping(engine, death))
            yield death
    finally:
        _doomed.reset(token)


def _engines(database: Database) -> list[Engine]:
    """Return the engines of a database: those with which it reads and writes."""
    store = database._store
    if isinstance(store, SQLite):
        return [store.engine]
    return [each.sync_engine for each in (store.engine, *store._writing)]


@contextmanager
def _stepping(engine: Engine, death: Death) -> Iterator[None]:
    dialect = engine.dialect
    commit = dialect.do_commit

    def before(*_: Any) -> None:
        death.step()

    def do_commit(connection: Any) -> None:
        death.step()
        commit(connection)
        death.step()

    event.listen(engine, "before_cursor_execute", before)
    setattr(dialect, "do_commit", do_commit)  # noqa: B010 - a method of this one object
    try:
        yield
    finally:
        setattr(dialect, "do_commit", commit)  # noqa: B010
        event.remove(engine, "before_cursor_execute", before)
