"""Group commit: what arrives while one transaction is being written goes together into the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_AT_ONCE = 32  # requests in one transaction
TASK: Final = "paidchat:group_commit"  # the writer's name; it runs while there is something to write


class WriteInterrupted(Exception):
    """The writer was ended in the middle: these items may have been written, or not. Submit them again."""


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
    """Hands requests to one writer, which answers each after the transaction that holds it is committed.

    `write` takes the items of any number of requests and returns a result for each, or raises and has done
    nothing. A group that fails is written again one by one, so that a bad request never holds up the others;
    unless `is_outage` says that none would fare better: then all who wait are told at once, and nobody waits for
    as many failures as there are others before.
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
        self._suspects = 0  # so many of the first that wait are of a group that failed, and are written singly
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """Return the results once they are on disk. Cancelling the caller does not cancel the write.

        Raises:
            WriteInterrupted: the writer was ended before it could tell. Another starts with the next request.
            Exception: whatever `write` raises for these items alone.
        """
        request: _Request[Item, Result] = _Request(items, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._writer is None:
            self._start_writer()
        return await asyncio.shield(request.done)

    def _start_writer(self) -> None:
        # Not in a task group: it ends with the last request that waits for it, and the requests live in the server.
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
        """Tell everybody if the writer was ended early: those that wait for it would otherwise wait for ever."""
        self._writer = None
        error = None if writer.cancelled() else writer.exception()
        if error is None and not writer.cancelled():
            if self._waiting:  # submitted after its last look
                self._start_writer()
            return
        group, self._writing, self._waiting, self._suspects = self._writing + self._waiting, [], [], 0
        for request in group:
            request.fail(WriteInterrupted("the writer was ended before it could tell what became of this"))
        log.error("background.ended", task=TASK, how="raised" if error else "cancelled", exc_info=error)

    async def _write_group(self, group: list[_Request[Item, Result]]) -> None:
        try:
            results = await self._write([item for request in group for item in request.items])
        except Exception as error:  # noqa: BLE001 - it is passed on to the caller
            if self._is_outage(error):
                group, self._waiting, self._suspects = group + self._waiting, [], 0
            elif len(group) > 1:
                self._waiting[:0], self._suspects = group, len(group)
                return
            for request in group:
                request.fail(error)
            return
        for request in group:
            mine, results = results[: len(request.items)], results[len(request.items) :]
            request.succeed(mine)
