"""Background: the tasks that run for as long as the process does. One that ends is started again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self

import structlog
from prometheus_client import Counter

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[None]]

FIRST_BACKOFF_S: Final = 0.1
LONGEST_BACKOFF_S: Final = 5.0
STEADY_S: Final = 5.0  # a task that has run for this long is well again
SHAKY_AFTER: Final = 3  # ends in a row after which a task counts as down until it has been steady
STOP_S: Final = 4.0  # for all tasks together, at shutdown
CANCEL_AGAIN_S: Final = 2.0  # a task may need some time to clean up, or may have swallowed the cancellation


@dataclass(slots=True, eq=False)
class _Supervised:
    """One registered task, through all its restarts."""

    name: str
    work: Work
    running: asyncio.Task[None] | None = None
    restart: asyncio.TimerHandle | None = None
    began: float = 0.0  # on the loop's clock
    ends: int = 0  # in a row, none of them after a steady run

    async def run(self) -> None:
        await self.work()


class Supervisor:
    """Owns named tasks: starts each again when it ends for any reason, and stops them all when its context ends.

    A task returns, raises or is cancelled only by mistake; it is logged, counted, and restarted after a backoff that
    doubles with each such end. Done callbacks and timers do this, so there is no supervising task that could itself
    be killed.
    """

    def __init__(self, restarts: Counter) -> None:
        self._restarts = restarts  # with the label `task`
        self._tasks: dict[str, _Supervised] = {}
        self._stopping = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    def start(self, name: str, work: Work) -> None:
        """Run `work()` as an asyncio task of this name until the supervisor stops.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._tasks:
            raise ValueError(f"there is a task {name} already")
        self._tasks[name] = _Supervised(name, work)
        self._restarts.labels(name)  # 0 until it is restarted, so that an alert sees the first time
        self._run(self._tasks[name])

    def down(self) -> list[str]:
        """Return the names of the tasks that are not running, or that have ended repeatedly and only just restarted."""
        return [task.name for task in self._tasks.values() if self._is_down(task)]

    def _is_down(self, task: _Supervised) -> bool:
        if task.running is None or task.running.done():
            return True
        return task.ends >= SHAKY_AFTER and not self._is_steady(task)

    def _is_steady(self, task: _Supervised) -> bool:
        return asyncio.get_running_loop().time() - task.began >= STEADY_S

    def _run(self, task: _Supervised) -> None:
        loop = asyncio.get_running_loop()
        task.restart, task.began = None, loop.time()
        task.running = loop.create_task(task.run(), name=task.name)
        task.running.add_done_callback(lambda _: self._ended(task))

    def _ended(self, task: _Supervised) -> None:
        assert task.running is not None  # noqa: S101 - this is its callback
        ended, task.running = task.running, None
        error = None if ended.cancelled() else ended.exception()
        if self._stopping:
            if error is not None:
                log.error("background.failed_to_stop_cleanly", task=task.name, exc_info=error)
            return
        task.ends = 1 if self._is_steady(task) else task.ends + 1
        pause_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(task.ends - 1, 10))
        # Before anything else that could raise.
        task.restart = asyncio.get_running_loop().call_later(pause_s, self._run, task)
        how = "cancelled" if ended.cancelled() else "returned" if error is None else "raised"
        log.error("background.ended", task=task.name, how=how, ends=task.ends, restart_in_s=pause_s, exc_info=error)
        self._restarts.labels(task.name).inc()

    async def _stop(self) -> None:
        """Cancel the tasks in reverse order and wait for each, but not for ever."""
        self._stopping = True
        deadline = asyncio.get_running_loop().time() + STOP_S
        for task in reversed(self._tasks.values()):
            if task.restart is not None:
                task.restart.cancel()
            if task.running is not None:
                await _end(task.running, deadline)


async def _end(running: asyncio.Task[None], deadline: float) -> None:
    """Cancel a task until it has ended or the deadline, on the loop's clock, has passed."""
    while not running.done():
        left = deadline - asyncio.get_running_loop().time()
        running.cancel()
        await asyncio.wait({running}, timeout=max(0.1, min(left, CANCEL_AGAIN_S)))
        if left <= 0 and not running.done():
            log.error("background.stuck", task=running.get_name())
            return
