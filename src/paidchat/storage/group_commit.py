"""Group commit: requests that arrive while a transaction is being written share the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_AT_ONCE = 32  # requests in one transaction
TASK: Final = "paidchat:group_commit"  # the writer task's name; it runs only while there is something to write


class WriteInterrupted(Exception):
    """The writer was cancelled midway, so these items may or may not have been written. Submit them again."""


@dataclass(frozen=True, slots=True)
class _Request(Generic[Item, Result]):
    items: Sequence[Item]
    done: "asyncio.Future[list[Result]]"

    def succeed(self, results: list[Result]) -> None:
        if not self.done.done():
            self.done.set_result(results)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class GroupCommit(Generic[Item, Result]):
    """Passes requests to one writer task, which resolves each after the transaction with it has been committed.

    `write` takes the items of any number of requests and returns a result for each, or raises and has written
    nothing. The requests of a group that fails are written again one by one, so that a bad one doesn't fail the
    others. If `is_outage` says that this can't help, all waiting requests fail at once instead of one after another.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[list[Result]]],
        is_outage: Callable[[Exception], bool],
    ) -> None:
        self._write = write
        self._is_outage = is_outage
        self._waiting: list[_Request[Item, Result]] = []
        self._writing: list[_Request[Item, Result]] = []
        self._suspects = 0  # how many of the first waiting requests are from a failed group and are written one by one
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """Return the results once they are on disk. Cancelling the caller does not cancel the write.

        Raises:
            WriteInterrupted: the writer was cancelled. The next request starts another.
            Exception: whatever `write` raises for these items alone.
        """
        request: _Request[Item, Result] = _Request(items, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._writer is None:
            self._start_writer()
        return await asyncio.shield(request.done)

    def _start_writer(self) -> None:
        # Not in a task group: it ends after the last request that waits for it, and the server awaits those.
        self._writer = asyncio.create_task(self._run(), name=TASK)
        self._writer.add_done_callback(self._ended)

    async def _run(self) -> None:
        while self._waiting:
            size = 1 if self._suspects else MOST_AT_ONCE
            self._writing, self._waiting = self._waiting[:size], self._waiting[size:]
            self._suspects = max(0, self._suspects - size)
            await self._write_group(self._writing)
            self._writing = []

    def _ended(self, writer: asyncio.Task[None]) -> None:
        """If the writer ended early, fail the requests that wait for it: they would wait for ever."""
        self._writer = None
        error = None if writer.cancelled() else writer.exception()
        if error is None and not writer.cancelled():
            if self._waiting:  # submitted after its last check
                self._start_writer()
            return
        group, self._writing, self._waiting, self._suspects = self._writing + self._waiting, [], [], 0
        for request in group:
            request.fail(WriteInterrupted("the writer was cancelled, so it is unknown whether this was written"))
        log.error("background.ended", task=TASK, how="raised" if error else "cancelled", exc_info=error)

    async def _write_group(self, group: list[_Request[Item, Result]]) -> None:
        try:
            results = await self._write([item for request in group for item in request.items])
        except Exception as error:
            if self._is_outage(error):
                group, self._waiting, self._suspects = group + self._waiting, [], 0
            elif len(group) > 1:
                log.warning("group_commit.failed", requests=len(group), exc_info=error)
                self._waiting[:0], self._suspects = group, len(group)
                return
            for request in group:
                request.fail(error)
            return
        for request in group:
            mine, results = results[: len(request.items)], results[len(request.items) :]
            request.succeed(mine)
