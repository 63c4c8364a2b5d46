"""The supervisor: how it handles tasks that end, and tasks that don't."""

import asyncio
import itertools
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Counter

from paidchat import background
from paidchat.background import SHAKY_AFTER, Supervisor, finish

NAME = "paidchat:test"
PATIENCE_S = 20


@pytest.fixture
def restarts() -> Counter:
    """A counter of restarts."""
    return Counter("restarts", "Restarts.", ["task"], registry=CollectorRegistry())


def count(restarts: Counter) -> float:
    """How often the task was restarted."""
    return float(restarts.labels(NAME)._value.get())


class Patient:
    """Work that counts its starts and, except for the first few times, runs forever."""

    def __init__(self, end: Callable[[], None], times: int) -> None:
        self.begun = 0
        self._end = end
        self._times = times

    async def work(self) -> None:
        """End as told, or wait."""
        self.begun += 1
        if self.begun <= self._times:
            self._end()
            return
        await asyncio.Event().wait()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - what it waits for sets no event
            await asyncio.sleep(0.01)


def find() -> asyncio.Task[object]:
    """Find the task by its registered name."""
    [task] = [task for task in asyncio.all_tasks() if task.get_name() == NAME]
    return task


def fail() -> None:
    """Raise."""
    raise ValueError("a mistake")


def cancel_itself() -> None:
    """Raise what a cancelled task raises."""
    raise asyncio.CancelledError


@pytest.mark.parametrize("end", [fail, lambda: None, cancel_itself], ids=["raises", "returns", "cancelled"])
async def test_a_task_that_ends_is_restarted(
    restarts: Counter, end: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Whether its work raises, returns or is cancelled, it is logged, counted and restarted."""
    work = Patient(end, times=1)
    async with Supervisor(restarts) as supervisor:
        supervisor.start(NAME, work.work)
        await until(lambda: work.begun == 2)
        assert supervisor.down() == []
    assert count(restarts) == 1
    [ended] = [record for record in caplog.records if "background.ended" in record.getMessage()]
    assert ended.levelname == "ERROR"
    assert NAME in ended.getMessage()
    assert ("a mistake" in ended.getMessage()) is (end is fail)


async def test_a_task_killed_by_its_name_is_restarted_under_it(restarts: Counter) -> None:
    """A task that is cancelled from outside is down for a moment, and then runs again under the same name."""
    work = Patient(fail, times=0)
    async with Supervisor(restarts) as supervisor:
        supervisor.start(NAME, work.work)
        await until(lambda: work.begun == 1)
        find().cancel()
        await until(lambda: supervisor.down() == [NAME])
        await until(lambda: work.begun == 2)
        assert not find().done()
        assert supervisor.down() == []


async def test_a_task_killed_before_its_first_step_is_restarted(restarts: Counter) -> None:
    """A task that is cancelled before it ran at all is restarted too."""
    work = Patient(fail, times=0)
    async with Supervisor(restarts) as supervisor:
        supervisor.start(NAME, work.work)
        find().cancel()
        await until(lambda: work.begun == 1)


async def test_a_task_that_keeps_failing_is_down_until_it_is_steady(
    restarts: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After several ends in a row, running again is not enough: it must have run for a while."""
    monkeypatch.setattr(background, "STEADY_S", 1.0)
    work = Patient(fail, times=SHAKY_AFTER)
    async with Supervisor(restarts) as supervisor:
        supervisor.start(NAME, work.work)
        await until(lambda: work.begun == SHAKY_AFTER + 1)
        assert not find().done()
        assert supervisor.down() == [NAME]
        await until(lambda: supervisor.down() == [])
    assert count(restarts) == SHAKY_AFTER


async def test_the_pause_grows_up_to_its_longest(restarts: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that ends immediately, again and again, doesn't keep the process busy."""
    monkeypatch.setattr(background, "FIRST_BACKOFF_S", 0.02)
    monkeypatch.setattr(background, "LONGEST_BACKOFF_S", 0.1)
    begun: list[float] = []

    async def work() -> None:
        begun.append(asyncio.get_running_loop().time())
        fail()

    async with Supervisor(restarts) as supervisor:
        supervisor.start(NAME, work)
        await until(lambda: len(begun) == 6)
    pauses = [after - before for before, after in itertools.pairwise(begun)]
    for pause, least in zip(pauses, [0.02, 0.04, 0.08, 0.1, 0.1], strict=True):
        assert pause >= least * 0.9


async def test_stopping_ends_tasks_in_reverse_order(restarts: Counter) -> None:
    """At shutdown every task is cancelled and awaited, the last one first, and none is restarted."""
    ended: list[str] = []

    def work(name: str) -> Callable[[], asyncio.Future[None]]:
        async def run() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.05)
                ended.append(name)

        return lambda: asyncio.ensure_future(run())

    async with Supervisor(restarts) as supervisor:
        for name in ("first", "second", "third"):
            supervisor.start(name, work(name))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert ended == ["third", "second", "first"]
    assert not {"first", "second", "third"} & {task.get_name() for task in asyncio.all_tasks()}


async def test_stopping_waits_for_no_restart(restarts: Counter) -> None:
    """A task that is between two runs at shutdown stays ended."""
    work = Patient(fail, times=1)
    async with Supervisor(restarts) as supervisor:
        supervisor.start(NAME, work.work)
        await until(lambda: supervisor.down() == [NAME])
    await asyncio.sleep(0.3)
    assert work.begun == 1


@pytest.mark.parametrize("swallowed", [1, 1000])
async def test_stopping_is_bounded(restarts: Counter, monkeypatch: pytest.MonkeyPatch, swallowed: int) -> None:
    """A task that swallows a cancellation is cancelled again; one that swallows all of them is abandoned."""
    monkeypatch.setattr(background, "STOP_S", 1.0)
    monkeypatch.setattr(background, "CANCEL_AGAIN_S", 0.1)
    give_up = False

    async def work() -> None:
        left = swallowed
        while not give_up:
            try:
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                left -= 1
                if not left < 0:
                    continue
                raise

    async with asyncio.timeout(PATIENCE_S):
        async with Supervisor(restarts) as supervisor:
            supervisor.start(NAME, work)
            await asyncio.sleep(0)
        left_behind = [task for task in asyncio.all_tasks() if task.get_name() == NAME]
        assert bool(left_behind) is (swallowed > 1)
        give_up = True
        for task in left_behind:
            await task


async def test_a_name_is_taken_once(restarts: Counter) -> None:
    """Two tasks can't have the same name."""
    async with Supervisor(restarts) as supervisor:
        supervisor.start(NAME, Patient(fail, times=0).work)
        with pytest.raises(ValueError, match=NAME):
            supervisor.start(NAME, Patient(fail, times=0).work)


async def test_an_errand_that_fails_is_logged_and_ends_nothing_else(
    restarts: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    """What runs once is not restarted when it raises, and the tasks beside it go on."""
    beside, ended = Patient(fail, times=0), asyncio.Event()

    async def errand() -> None:
        ended.set()
        fail()

    async with Supervisor(restarts) as supervisor:
        supervisor.start(NAME, beside.work)
        supervisor.run_once("errand", errand)
        await ended.wait()
        await until(lambda: "errand" not in {task.get_name() for task in asyncio.all_tasks()})
        assert supervisor.down() == []
    assert (beside.begun, count(restarts)) == (1, 0)
    [failed] = [record for record in caplog.records if "background.failed" in record.getMessage()]
    assert "a mistake" in failed.getMessage()


async def test_stopping_ends_errands(restarts: Counter) -> None:
    """What still runs when the process stops is cancelled and awaited, and nothing new is begun."""
    begun = asyncio.Event()

    async def errand() -> None:
        begun.set()
        await asyncio.Event().wait()

    async with Supervisor(restarts) as supervisor:
        supervisor.run_once("errand", errand)
        await begun.wait()
    supervisor.run_once("errand", errand)
    assert "errand" not in {task.get_name() for task in asyncio.all_tasks()}


@pytest.mark.parametrize("cancellations", [1, 3])
async def test_cleaning_up_is_finished_despite_cancellations(cancellations: int) -> None:
    """What is waited for with `finish` ends even if its caller is cancelled, and then the caller is cancelled."""
    steps: list[str] = []

    async def clean_up() -> None:
        await asyncio.sleep(0.05)
        steps.append("cleaned up")

    async def work() -> None:
        try:
            steps.append("worked")
        finally:
            await finish(clean_up())
        steps.append("went on")

    task = asyncio.create_task(work())
    for _ in range(cancellations):
        await asyncio.sleep(0.01)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["worked", "cleaned up"]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_what_cleaning_up_raises_is_not_lost(*, cancelled: bool) -> None:
    """An error in cleaning up is raised, or is the cause of the cancellation that came meanwhile."""

    async def clean_up() -> None:
        await asyncio.sleep(0.02)
        raise ValueError("dirty")

    task = asyncio.create_task(finish(clean_up()))
    await asyncio.sleep(0.01)
    if not cancelled:
        with pytest.raises(ValueError, match="dirty"):
            await task
        return
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await task
    assert isinstance(raised.value.__cause__, ValueError)
