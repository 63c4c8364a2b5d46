"""Background tasks. Those that run for as long as the process are restarted when they end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self, TypeVar

import structlog
from prometheus_client import Counter

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[None]]
T = TypeVar("T")

FIRST_BACKOFF_S: Final = 0.1
LONGEST_BACKOFF_S: Final = 5.0
STEADY_S: Final = 5.0  # a task that has run for this long is healthy again
SHAKY_AFTER: Final = 3  # consecutive ends after which a task counts as down until it is steady
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
    ends: int = 0  # consecutive, none after a steady run
    error: Exception | None = None  # raised by the last run

    async def run(self) -> None:
        try:
            await self.work()
        except Exception as error:  # noqa: BLE001 - raised in the task group, it would end all the others
            self.error = error


class Supervisor:
    """Owns named tasks: starts each again when it ends for any reason, and stops them all when its context ends.

    A task returns, raises or is cancelled only by mistake; it is logged, counted, and restarted after a backoff that
    doubles with each such end. Done callbacks and timers do this, so there is no supervising task that could itself
    be killed.

    The tasks live in a task group, so none outlives the context, except one that swallows every cancellation: it is
    logged and left behind, because a process that stops can't wait for it.
    """

    def __init__(self, restarts: Counter) -> None:
        self._restarts = restarts  # with the label `task`
        self._group = asyncio.TaskGroup()
        self._tasks: dict[str, _Supervised] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if await self._stop():
            await self._group.__aexit__(None, None, None)  # given the block's own error, it would wrap it

    def start(self, name: str, work: Work) -> None:
        """Run `work()` as an asyncio task of this name until the supervisor stops.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._tasks:
            raise ValueError(f"there is a task {name} already")
        self._tasks[name] = _Supervised(name, work)
        self._restarts.labels(name)  # 0 until the first restart, so that an alert notices it
        self._run(self._tasks[name])

    def run_once(self, name: str, work: Work) -> None:
        """Run `work()` in a task of this name until it ends; an error is logged. Does nothing while stopping."""
        if self._stopping:
            return
        errand = self._group.create_task(_logging_errors(name, work), name=name)
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

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
        task.restart, task.error, task.began = None, None, asyncio.get_running_loop().time()
        task.running = self._group.create_task(task.run(), name=task.name)
        task.running.add_done_callback(lambda _: self._ended(task))

    def _ended(self, task: _Supervised) -> None:
        assert task.running is not None  # noqa: S101 - this is its callback
        cancelled, task.running = task.running.cancelled(), None
        if self._stopping:
            if task.error is not None:
                log.error("background.failed_to_stop_cleanly", task=task.name, exc_info=task.error)
            return
        task.ends = 1 if self._is_steady(task) else task.ends + 1
        pause_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(task.ends - 1, 10))
        # Before anything that could raise.
        task.restart = asyncio.get_running_loop().call_later(pause_s, self._run, task)
        how = "cancelled" if cancelled else "returned" if task.error is None else "raised"
        log.error(
            "background.ended", task=task.name, how=how, ends=task.ends, restart_in_s=pause_s, exc_info=task.error
        )
        self._restarts.labels(task.name).inc()

    async def _stop(self) -> bool:
        """Cancel the tasks in reverse order and wait for each, with a timeout; returns whether all have ended."""
        self._stopping = True
        deadline = asyncio.get_running_loop().time() + STOP_S
        ended = [await _end(errand, deadline) for errand in tuple(self._errands)]
        for task in reversed(self._tasks.values()):
            if task.restart is not None:
                task.restart.cancel()
            if task.running is not None:
                ended.append(await _end(task.running, deadline))
        return all(ended)


async def _logging_errors(name: str, work: Work) -> None:
    """Run work and log its errors, which would otherwise end all other tasks of the group."""
    try:
        await work()
    except Exception:
        log.exception("background.failed", task=name)


async def _end(running: asyncio.Task[None], deadline: float) -> bool:
    """Cancel a task until it has ended or the deadline, on the loop's clock, has passed; tell whether it has ended."""
    while not running.done():
        left = deadline - asyncio.get_running_loop().time()
        running.cancel()
        await asyncio.wait({running}, timeout=max(0.1, min(left, CANCEL_AGAIN_S)))
        if left <= 0 and not running.done():
            log.error("background.stuck", task=running.get_name())
            return False
    return True


async def finish(cleaning_up: Awaitable[T]) -> T:
    """Wait for something to end even if the caller is cancelled meanwhile, which is raised afterwards.

    What cleans up in a `finally` needs this: the cancellation may come just as it begins, and would stop it.
    """
    running = asyncio.ensure_future(cleaning_up)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from running.exception()
    return running.result()
