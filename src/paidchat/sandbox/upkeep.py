"""Upkeep: the sandbox's background tasks. Long-running ones are restarted if they end early."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Self

_LOG = logging.getLogger(__name__)

_PAUSE_S = 0.5

Work = Callable[[], Awaitable[None]]


class Upkeep:
    """Runs tasks inside `async with`: in a task group, so that none outlives the block."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._again: dict[str, asyncio.TimerHandle] = {}
        self._closing = False

    async def __aenter__(self) -> Self:
        self._closing = False
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel all tasks and wait for them."""
        self._closing = True
        for timer in self._again.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)  # given the block's own error, it would wrap it

    def keep(self, name: str, work: Work) -> None:
        """Run `work()` in a task of this name, and restart it whenever it ends."""
        self.start(name, work).add_done_callback(lambda _: self._restart(name, work))

    def start(self, name: str, work: Work) -> asyncio.Task[None]:
        """Run `work()` once in a task of this name; an error is logged."""
        task = self._group.create_task(_logging_errors(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _restart(self, name: str, work: Work) -> None:
        if self._closing:
            return
        self._again[name] = asyncio.get_running_loop().call_later(_PAUSE_S, self.keep, name, work)
        _LOG.error("The %s ended and will be restarted", name)


async def _logging_errors(name: str, work: Work) -> None:
    try:
        await work()
    except Exception:  # noqa: BLE001 - raised in the task group, it would end all the other tasks
        _LOG.exception("The %s failed", name)
