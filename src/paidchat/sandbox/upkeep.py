"""Upkeep: background work that runs until the sandbox closes, and is restarted if it ends before."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

_LOG = logging.getLogger(__name__)

_PAUSE_S = 0.5


class Upkeep:
    """Keeps one piece of work running in a task with this name, and restarts it whenever it ends."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._stopping = False

    def start(self) -> None:
        """Start, on the running event loop."""
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name=self._name)
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Stop the task, and wait for it."""
        self._stopping = True
        if self._again is not None:
            self._again.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        await self._work()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._stopping:
            return
        self._again = asyncio.get_running_loop().call_later(_PAUSE_S, self.start)
        _LOG.error("The %s ended and will be restarted", self._name, exc_info=error)
