"""Group commit: which requests share a transaction, and what happens to each if one fails."""

import asyncio
import math
from collections.abc import Sequence

import pytest

from paidchat.storage.group_commit import MOST_AT_ONCE, TASK, GroupCommit, WriteInterrupted

CROWD = 3 * MOST_AT_ONCE


class Outage(Exception):
    """The store is unavailable."""


class Store:
    """Stores what is written, except bad items, and nothing at all while it is unavailable."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.tries = 0
        self.disliked: set[int] = set()
        self.away = False
        self.away_after = math.inf  # tries

    async def write(self, items: Sequence[int]) -> list[int]:
        """Write all or nothing, and return each item's double."""
        self.tries += 1
        await asyncio.sleep(0)
        if self.away or self.tries > self.away_after:
            raise Outage
        if self.disliked & set(items):
            raise ValueError("disliked")
        self.written += items
        return [2 * item for item in items]


@pytest.fixture
def store() -> Store:
    """An empty store."""
    return Store()


@pytest.fixture
def commits(store: Store) -> GroupCommit[int, int]:
    """Group commit into the store."""
    return GroupCommit(store.write, lambda error: isinstance(error, Outage))


async def crowd(commits: GroupCommit[int, int], count: int = CROWD) -> list[list[int] | BaseException]:
    """Submit this many requests at once, each a pair of items."""
    requests = (commits.submit([2 * number, 2 * number + 1]) for number in range(count))
    return await asyncio.gather(*requests, return_exceptions=True)


async def test_everybody_gets_its_own_results(store: Store, commits: GroupCommit[int, int]) -> None:
    """Many requests share few transactions, and each gets the results of its own items, in order."""
    assert await crowd(commits) == [[4 * number, 4 * number + 2] for number in range(CROWD)]
    assert store.written == list(range(2 * CROWD))
    assert store.tries <= CROWD // MOST_AT_ONCE + 1


async def test_a_bad_request_fails_alone(store: Store, commits: GroupCommit[int, int]) -> None:
    """One request that can't be written gets an error; those that shared its transaction are still written."""
    store.disliked = {11}
    answers = await crowd(commits)
    assert [number for number, answer in enumerate(answers) if isinstance(answer, ValueError)] == [5]
    assert sorted(store.written) == [item for item in range(2 * CROWD) if item not in {10, 11}]


async def test_an_outage_is_met_once_for_all(store: Store, commits: GroupCommit[int, int]) -> None:
    """While the store is unavailable, every waiting request fails after one attempt, and nothing is written."""
    store.away = True
    answers = await crowd(commits)
    assert {type(answer) for answer in answers} == {Outage}
    assert (store.tries, store.written) == (1, [])


async def test_an_outage_ends_the_search_for_a_bad_request(store: Store, commits: GroupCommit[int, int]) -> None:
    """If the store becomes unavailable while a failed group is retried one by one, the rest of it fails at once."""
    store.disliked, store.away_after = {11}, 3
    answers = await crowd(commits)
    assert [answers[0], answers[1]] == [[0, 2], [4, 6]]
    assert {type(answer) for answer in answers[2:]} == {Outage}
    assert store.tries == 4


async def test_it_goes_on_after_an_outage(store: Store, commits: GroupCommit[int, int]) -> None:
    """Once the store is back, requests are written as before."""
    store.away = True
    await crowd(commits)
    store.away = False
    assert await commits.submit([7]) == [14]


async def test_who_leaves_is_written_all_the_same(store: Store, commits: GroupCommit[int, int]) -> None:
    """If a request's caller is cancelled, it is written all the same, and the others in its group succeed."""
    leaving = asyncio.create_task(commits.submit([1]))
    staying = asyncio.create_task(commits.submit([2]))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == [4]
    assert store.written == [1, 2]


def writer() -> asyncio.Task[object]:
    """Find the writer by its name."""
    [task] = [task for task in asyncio.all_tasks() if task.get_name() == TASK]
    return task


@pytest.mark.parametrize("steps", range(4))
async def test_a_killed_writer_leaves_nobody_waiting(store: Store, commits: GroupCommit[int, int], steps: int) -> None:
    """Whenever the writer is killed, every request gets its result, or an error that the outcome is unknown."""
    asking = asyncio.create_task(crowd(commits))
    await asyncio.sleep(0)  # they start
    await asyncio.sleep(0)  # they submit
    for _ in range(steps):
        await asyncio.sleep(0)
    writer().cancel()
    async with asyncio.timeout(10):
        answers = await asking
    for number, answer in enumerate(answers):
        told = [4 * number, 4 * number + 2]
        assert answer == told or isinstance(answer, WriteInterrupted)
        assert answer != told or {2 * number, 2 * number + 1} <= set(store.written)
    assert any(isinstance(answer, WriteInterrupted) for answer in answers)
    assert await commits.submit([7]) == [14]


async def test_a_writer_that_fails_leaves_nobody_waiting(store: Store) -> None:
    """A bug in the writer fails every waiting request, and the next one gets a new writer."""
    mistaken = True

    def is_outage(error: Exception) -> bool:
        if mistaken:
            raise TypeError("a mistake") from error
        return False

    commits = GroupCommit(store.write, is_outage)
    store.disliked = {11}
    async with asyncio.timeout(10):
        answers = await crowd(commits)
    assert {type(answer) for answer in answers} == {WriteInterrupted}
    mistaken = False
    assert await commits.submit([7]) == [14]
