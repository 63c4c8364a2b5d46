"""A group: functions that are written in one transaction, and what came of each of them."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy.engine import Connection

from paidchat.storage.outages import is_outage
from paidchat.storage.tail import Tail, begin_tail, savepoint

Work = Callable[..., Any]  # of a connection; or of a connection and items, and then it returns a result for each


@dataclass(eq=False, slots=True)
class Request:
    """A function that waits for its turn. With items, those who wait with the same function share one call of it."""

    work: Work
    items: Sequence[Any] | None = None
    done: "asyncio.Future[Any]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    context: Context = field(default_factory=copy_context)  # log entries and hooks know their request by it
    due: float = 0.0  # when its caller loses patience, by the loop's clock
    is_over: bool = False
    _over: "asyncio.Future[None] | None" = None  # made if the caller gives up, whose `done` is cancelled then

    def end(self, outcome: "Outcome") -> None:
        """Give the outcome to the caller, or tell it that this is over if it has given up."""
        self.is_over = True
        if self._over is not None and not self._over.done():
            self._over.set_result(None)
        if self.done.done():
            return
        if outcome.error is None:
            self.done.set_result(outcome.result)
        else:
            self.done.set_exception(outcome.error)

    async def ended(self) -> None:
        """Wait for the end after giving up."""
        if not self.is_over:
            self._over = asyncio.get_running_loop().create_future()
            await self._over


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request: a result or an error."""

    result: Any = None
    error: Exception | None = None


def run_group(connection: Connection, group: Sequence[Request]) -> tuple[list[Outcome], Tail]:
    """Run a group in the connection's transaction.

    Returns the outcomes in the order of the requests, and what the transaction appends to the log.

    Requests that share a call, and each of the others, are in a savepoint, unless there is nothing else in the group.

    Raises:
        Exception: an outage or, if there is no savepoint, any error. The transaction must not be committed.
    """
    tail = begin_tail(connection)
    calls = [list(call) for _, call in groupby(_by_call(group), key=_shared)]
    if len(calls) == 1:
        return _run(connection, calls[0]), tail
    outcomes = {
        request: outcome for call in calls for request, outcome in zip(call, _attempt(connection, call), strict=True)
    }
    return [outcomes[request] for request in group], tail


def _by_call(group: Sequence[Request]) -> list[Request]:
    """Bring those together that share a call, each at the place of the first."""
    places: dict[Any, int] = {}
    for place, request in enumerate(group):
        places.setdefault(_shared(request), place)
    return sorted(group, key=lambda request: places[_shared(request)])


def _shared(request: Request) -> Any:
    """Return what requests that share a call have in common."""
    return request if request.items is None else request.work


def _run(connection: Connection, call: Sequence[Request]) -> list[Outcome]:
    """Run one call, in the context of its first request."""
    first = call[0]
    if first.items is None:
        return [Outcome(first.context.run(first.work, connection))]
    items = [item for request in call for item in request.items or ()]
    results = iter(first.context.run(first.work, connection, items))
    return [Outcome([next(results) for _ in request.items or ()]) for request in call]


def _attempt(connection: Connection, call: Sequence[Request]) -> list[Outcome]:
    """Run a call in a savepoint; the requests that share one that fails are tried one by one.

    Raises:
        Exception: an outage, in which the whole transaction may have been rolled back: SQLite's
            (sqlite.org/lang_transaction.html, section 3), or PostgreSQL's in a deadlock.
    """
    try:
        with savepoint(connection):
            return _run(connection, call)
    except Exception as error:
        if is_outage(error):
            raise
        if len(call) == 1:
            return [Outcome(error=error)]
    return [outcome for request in call for outcome in _attempt(connection, [request])]
