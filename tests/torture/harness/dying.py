"""Dying: a board in this process stops in its tracks, and nothing of it reaches its database any more."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

_doomed: ContextVar["Death | None"] = ContextVar("doomed", default=None)


class Died(Exception):
    """The board is dead."""


class Death:
    """Comes after so many steps of what it was set for; a step is a statement, or either side of a commit."""

    def __init__(self, steps: int) -> None:
        self._left = steps
        self.dead = False

    def step(self) -> None:
        """Take a step, or die of it. Who is dead takes none, whatever for.

        Raises:
            Died: the board is.
        """
        if _doomed.get() is self and not self.dead:
            self.dead = self._left == 0
            self._left -= 1
        if self.dead:
            raise Died


@contextmanager
def dying(engine: AsyncEngine, steps: int) -> Iterator[Death]:
    """Let a board lose its database after so many steps of what is done in the block, for the rest of it."""
    death = Death(steps)
    dialect = engine.sync_engine.dialect
    commit = dialect.do_commit

    def before(*_: Any) -> None:
        death.step()

    def do_commit(connection: Any) -> None:
        death.step()
        commit(connection)
        death.step()

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    setattr(dialect, "do_commit", do_commit)  # noqa: B010 - a method of this one object
    token = _doomed.set(death)
    try:
        yield death
    finally:
        _doomed.reset(token)
        setattr(dialect, "do_commit", commit)  # noqa: B010
        event.remove(engine.sync_engine, "before_cursor_execute", before)
