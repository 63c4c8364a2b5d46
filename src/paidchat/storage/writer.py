"""SQLite's one writer: a thread that writes what has gathered in one transaction."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from sqlalchemy.engine import Connection, Engine

log = structlog.get_logger(__name__)

Work = Callable[[Connection], Any]

MOST_AT_ONCE: Final = 32  # functions in one transaction
MOST_WAITING: Final = 1_000
# To write, where every commit waits for the disk. The queue is fair and keeps moving, and a payer would rather wait
# than get an error, but no longer than Stripe waits for the response to a webhook.
TURN_TIMEOUT_S: Final = 5


class Crowded(Exception):
    """Others have been writing for too long, or too many are waiting; nothing was written."""


@dataclass(eq=False, slots=True)
class _Request:
    """A function that waits for its turn; without one, a request to stop the writer while another connection writes."""

    work: Work | None
    done: "asyncio.Future[Any]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    context: Context = field(default_factory=copy_context)  # log entries and hooks know their request by it

    def run(self, connection: Connection) -> Any:
        assert self.work is not None  # noqa: S101 - it is in a group
        return self.context.run(self.work, connection)


@dataclass(frozen=True, slots=True)
class _Outcome:
    result: Any = None
    error: Exception | None = None


class Writer:
    """Runs functions in transactions, one transaction at a time, on one connection and in one thread.

    Functions that arrive while a transaction is being written share the next one, each in a savepoint, so that one
    that raises takes nothing of the others back. 32 payments are started in 0.4 of the time that a commit each takes.
    """

    def __init__(self, engine: Engine, is_outage: Callable[[Exception], bool]) -> None:
        self._engine = engine
        self._is_outage = is_outage  # whether an error is one that every other function would meet too
        self._thread = ThreadPoolExecutor(1, "paidchat-writer")
        self._waiting: deque[_Request] = deque()
        self._is_writing = False

    async def close(self) -> None:
        """Write what was asked for before this call, and nothing afterwards."""
        with contextlib.suppress(Crowded):
            await self._turn(_Request(None))
        await asyncio.to_thread(self._thread.shutdown)

    async def write(self, work: Work) -> Any:
        """Run a function; what it wrote is on disk when this returns.

        If the caller is cancelled before the function's turn, the function is dropped. Once it runs, the caller waits
        for it to end.

        Raises:
            Crowded: it did not run.
            Exception: what the function raises, or the database; nothing of it was written.
        """
        return await self._turn(_Request(work))

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Keep the writer from writing during the block, which writes on a connection of its own.

        Raises:
            Crowded: the turn did not come.
        """
        await self._turn(_Request(None))
        try:
            yield
        finally:
            self._is_writing = False
            self._write_next()

    async def _turn(self, request: _Request) -> Any:
        if len(self._waiting) >= MOST_WAITING:
            raise Crowded("too many are waiting to write")
        self._waiting.append(request)
        impatience = asyncio.get_running_loop().call_later(TURN_TIMEOUT_S, self._turn_away, request)
        if not self._is_writing:
            self._write_next()
        try:
            return await asyncio.shield(request.done)
        except asyncio.CancelledError:
            await self._withdraw(request)
            raise
        finally:
            impatience.cancel()

    def _turn_away(self, request: _Request) -> None:
        if request in self._waiting:
            self._waiting.remove(request)
            request.done.set_exception(Crowded("others have been writing for too long"))

    async def _withdraw(self, request: _Request) -> None:
        """Take a request back, or wait for its end if its turn has come."""
        if request in self._waiting:
            self._waiting.remove(request)
            return
        await asyncio.wait({request.done})
        if request.done.exception() is None and request.work is None:  # it was to be alone, and is not there any more
            self._is_writing = False
            self._write_next()

    # --- in the event loop --------------------------------------------------------------------------

    def _write_next(self) -> None:
        """Begin the next transaction, if anybody waits for one."""
        if not self._waiting:
            return
        self._is_writing = True
        if self._waiting[0].work is None:
            self._waiting.popleft().done.set_result(None)
            return
        group: list[_Request] = []
        while self._waiting and self._waiting[0].work is not None and len(group) < MOST_AT_ONCE:
            group.append(self._waiting.popleft())
        loop = asyncio.get_running_loop()
        running = self._thread.submit(group[0].context.copy().run, self._write_group, group)
        running.add_done_callback(lambda ended: loop.call_soon_threadsafe(self._written, group, ended))

    def _written(self, group: Sequence[_Request], ended: "Future[list[_Outcome]]") -> None:
        self._is_writing = False
        self._write_next()
        for request, outcome in zip(group, ended.result(), strict=True):
            if outcome.error is None:
                request.done.set_result(outcome.result)
            else:
                request.done.set_exception(outcome.error)

    # --- in the thread ------------------------------------------------------------------------------

    def _write_group(self, group: Sequence[_Request]) -> list[_Outcome]:
        try:
            return self._commit(group)
        except Exception as error:
            if len(group) == 1 or self._is_outage(error):
                return [_Outcome(error=error) for _ in group]
            log.warning("group_commit.failed", requests=len(group), exc_info=error)
            return [outcome for request in group for outcome in self._write_group([request])]

    def _commit(self, group: Sequence[_Request]) -> list[_Outcome]:
        with self._engine.connect() as connection:
            connection.execution_options(paidchat_writes=True)
            with connection.begin():
                if len(group) == 1:
                    return [_Outcome(group[0].run(connection))]
                return [self._attempt(request, connection) for request in group]

    def _attempt(self, request: _Request, connection: Connection) -> _Outcome:
        """Run a function of a group in a savepoint.

        Raises:
            Exception: an outage, in which SQLite may have rolled the whole transaction back
                (sqlite.org/lang_transaction.html, section 3).
        """
        try:
            with connection.begin_nested():
                return _Outcome(request.run(connection))
        except Exception as error:
            if self._is_outage(error):
                raise
            return _Outcome(error=error)
