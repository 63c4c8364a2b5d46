"""The writer's queue: functions that come while a group is being written share the next transaction."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import structlog

from paidchat.storage.group import Outcome, Request
from paidchat.storage.outages import Crowded, is_of_one_transaction, is_outage

log = structlog.get_logger(__name__)

MOST_AT_ONCE: Final = 128  # functions in one transaction; why not fewer: decision 42
MOST_WAITING: Final = 4_000  # webhooks that are written within the timeout below, on a fast machine
TURNED_AWAY: Final = 32  # who lost patience, before the event loop gets a turn: about 10 ms with their responses
# To write, where every commit waits for the disk. The queue is fair and keeps moving, and a payer would rather wait
# than get an error, but no longer than Stripe waits for the response to a webhook.
TURN_TIMEOUT_S: Final = 5
# Of the event loop, for which a group waits so that requests that are being read join it. On an idle loop they take
# microseconds; with 32 clients that send webhooks, larger groups take 0.83 of the CPU, and 0.64 on PostgreSQL. A group
# of ENOUGH does not wait: when thousands of connections make turns long, 1.6 times as many are written in a second.
TURNS: Final = 3
ENOUGH: Final = 32
TASK: Final = "paidchat:group_commit"  # the name of the task that writes a group

Commit = Callable[[Sequence[Request]], Awaitable[list[Outcome]]]


class WriteInterrupted(Exception):
    """The write was cancelled midway, so it may or may not have been written. Do it again."""


class Writer:
    """Writes functions in groups, one group at a time, and resolves each after the commit.

    `commit` writes a group in one transaction or raises, and then nothing was written. After an outage the whole group
    fails. After any other error each of its functions is written by `commit_alone`, and meanwhile the next group is
    written. 32 payments are started in 0.4 of the time that a commit each takes.
    """

    def __init__(self, commit: Commit, commit_alone: Commit) -> None:
        self._commit = commit
        self._commit_alone = commit_alone
        self._waiting: deque[Request] = deque()  # the first of them loses patience first
        self._impatience: asyncio.TimerHandle | None = None  # one timer for all of them
        self._groups: set[asyncio.Task[None]] = set()  # also those whose functions are being written alone
        self._writing: asyncio.Task[None] | None = None  # the group that the next one waits for
        self._is_closed = False

    async def close(self) -> None:
        """Write what was asked for before this call, and nothing afterwards."""
        self._is_closed = True
        while self._groups:
            await asyncio.wait(self._groups)
        if self._impatience is not None:
            self._impatience.cancel()

    def check_room(self) -> None:
        """Raise Crowded if a request would be turned away at once."""
        if self._is_closed or len(self._waiting) >= MOST_WAITING:
            raise Crowded("the database is being closed" if self._is_closed else "too many are waiting to write")

    async def write(self, request: Request) -> Any:
        """Run a request; what it wrote is on disk when this returns its result.

        If the caller is cancelled before the request's turn, the request is dropped. Once it runs, the caller waits
        for it to end.

        Raises:
            Crowded: it did not run.
            WriteInterrupted: the task that wrote it was cancelled.
            Exception: what the function raises, or the database; nothing of it was written.
        """
        self.check_room()
        request.due = asyncio.get_running_loop().time() + TURN_TIMEOUT_S
        self._waiting.append(request)
        if self._impatience is None:
            self._watch_the_time()
        self._write_next()
        try:
            return await request.done
        except asyncio.CancelledError:
            await self._withdraw(request)
            raise

    def _watch_the_time(self) -> None:
        self._impatience = asyncio.get_running_loop().call_at(self._waiting[0].due, self._turn_away)

    def _turn_away(self) -> None:
        """Fail those who have waited for too long."""
        self._impatience = None
        for _ in range(TURNED_AWAY):
            if not self._waiting or self._waiting[0].due > asyncio.get_running_loop().time():
                break
            self._waiting.popleft().end(Outcome(error=Crowded("others have been writing for too long")))
        if self._waiting:
            self._watch_the_time()

    async def _withdraw(self, request: Request) -> None:
        """Take a request back, or wait for its end if its turn has come."""
        if request in self._waiting:
            self._waiting.remove(request)
        else:
            await request.ended()

    def _write_next(self) -> None:
        """Begin to write the next group, if anybody waits and none is being written."""
        if self._writing is not None or not self._waiting:
            return
        group: list[Request] = []  # is filled when the task begins, with those that come until then too
        # Not in a task group: it ends after the last request that waits for it, and `close` awaits it.
        context = self._waiting[0].context.copy()
        self._writing = asyncio.create_task(self._write(group), name=TASK, context=context)
        self._groups.add(self._writing)
        self._writing.add_done_callback(partial(self._ended, group))

    def _go_on(self, after: "asyncio.Task[None] | None") -> None:
        """Let the next group be written, if this one has kept it waiting until now."""
        if after is self._writing:
            self._writing = None
            self._write_next()

    async def _write(self, group: list[Request]) -> None:
        this = asyncio.current_task()
        for _ in range(TURNS):
            if len(self._waiting) >= ENOUGH:
                break
            await asyncio.sleep(0)
        group += [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
        try:
            outcomes = await self._commit(group) if group else []
        except Exception as error:
            if is_of_one_transaction(error) or not (is_outage(error) or len(group) == 1):
                log.warning("group_commit.failed", requests=len(group), exc_info=error)
                self._go_on(this)
                await asyncio.gather(*map(self._write_alone, group))
                return
            outcomes = [Outcome(error=error) for _ in group]
        self._go_on(this)
        for request, outcome in zip(group, outcomes, strict=True):
            request.end(outcome)

    async def _write_alone(self, request: Request) -> None:
        try:
            [outcome] = await self._commit_alone([request])
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it
            outcome = Outcome(error=error)
        request.end(outcome)

    def _ended(self, group: Sequence[Request], ended: "asyncio.Task[None]") -> None:
        """If the task ended early, fail the requests that wait for it: they would wait for ever."""
        self._groups.discard(ended)
        self._go_on(ended)
        error = None if ended.cancelled() else ended.exception()
        if not ended.cancelled() and error is None:
            return
        log.error("background.ended", task=TASK, how="raised" if error else "cancelled", exc_info=error)
        for request in group:
            if not request.is_over:
                unknown = "the writer was cancelled, so it is unknown whether this was written"
                request.end(Outcome(error=WriteInterrupted(unknown)))
