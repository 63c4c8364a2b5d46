"""The feed's `viewers`: how many watch, across processes, told to each at once and then at most at every beat."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from paidchat.feed import audience as audience_module
from paidchat.feed.audience import rounded
from paidchat.storage import queries
from paidchat.storage.audience import audience
from tests.support.board_client import http_client, post
from tests.support.following import Follower, following
from tests.support.rows import first_sweep_over, opened, write_messages
from tests.support.served import Served, served_board
from tests.support.transactions import reading, transaction

BEAT_S = 0.4  # instead of 10
SOON_S = 8  # the machine is busy


@pytest.fixture
async def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A board whose audience beats often."""
    monkeypatch.setattr(audience_module, "BEAT_S", BEAT_S)
    with served_board(tmp_path, max_viewers_per_client=500) as board:
        yield board


async def rows_in(served: Served) -> list[int]:
    """Return the number of viewers in each process's row."""
    async with opened(served.settings.database_url) as database, reading(database) as connection:
        return list((await connection.execute(select(audience.c.viewers))).scalars())


async def until_rows(served: Served, expected: list[int]) -> None:
    """Wait until these are the rows."""
    deadline = time.monotonic() + SOON_S
    while (found := sorted(await rows_in(served))) != expected:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)


async def until_told(follower: Follower, count: int) -> None:
    """Read until a follower is told this number; it is never told the same number twice in a row."""
    async with asyncio.timeout(SOON_S):
        while await follower.receive_viewers(SOON_S) != count:
            pass
    assert all(earlier != later for earlier, later in pairwise(follower.viewers))


async def test_everyone_is_told_when_they_come_and_when_it_changes(quick: Served) -> None:
    """The number comes right after the first frame, counts oneself, and comes again only when it has changed."""
    async with following(quick) as first:
        assert await first.receive_viewers() == 1
        async with following(quick) as second:
            assert await second.receive_viewers() == 2
            await until_told(first, 2)
            await first.nothing(3 * BEAT_S)
            assert (first.viewers, second.viewers) == ([1, 2], [2])
        await until_told(first, 1)
        cursor, epoch = first.cursor
    async with following(quick, after=cursor, epoch=epoch) as again:
        assert again.first["type"] == "resumed"
        await until_told(again, 1)


async def test_between_two_frames_there_is_a_beat(quick: Served) -> None:
    """However often people come and go, a connection is told at most once per beat, and the first time counts."""
    times: list[float] = []
    async with following(quick) as earlier, AsyncExitStack() as stack:
        await earlier.receive_viewers()  # a beat has just begun
        await asyncio.sleep(BEAT_S / 2)
        steady = await stack.enter_async_context(following(quick))

        async def listen() -> None:
            while True:
                await steady.receive_viewers(60)
                times.append(time.monotonic())

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        for _ in range(12):
            await stack.enter_async_context(following(quick))
            await asyncio.sleep(BEAT_S / 4)
        listening.cancel()
    assert len(times) >= 3
    assert min(later - earlier for earlier, later in pairwise(times)) > BEAT_S * 0.8


async def test_processes_are_counted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Viewers of all processes on one database count, until a process stops, which takes its row with it."""
    monkeypatch.setattr(audience_module, "BEAT_S", BEAT_S)
    with served_board(tmp_path) as one:
        async with following(one) as here:
            assert await here.receive_viewers() == 1
            with served_board(tmp_path) as two:
                async with following(two) as there, following(two):
                    await until_told(there, 3)
                    await until_told(here, 3)
                    await until_rows(one, [1, 2])
                await until_told(here, 1)
                await until_rows(one, [1])  # without viewers there is no row
                async with following(two):
                    await until_rows(one, [1, 1])
                    await until_told(here, 2)
            assert await rows_in(one) == [1]
            await until_told(here, 1)
    assert await rows_in(one) == []


async def test_a_killed_process_stops_counting(quick: Served) -> None:
    """The row of a process that was killed counts until it has been silent for 30 s by the database's clock."""
    async with opened(quick.settings.database_url) as database, following(quick) as follower:
        assert await follower.receive_viewers() == 1
        async with transaction(database) as connection:
            mine = (await connection.execute(select(audience.c.seen_at))).scalar_one()
            killed = {"process": "killed", "viewers": 70, "seen_at": mine}
            await connection.execute(audience.insert().values(**killed))
        await until_told(follower, 71)
        async with transaction(database) as connection:
            long_ago = text("datetime(seen_at, '-40 seconds')")
            if database.backend == "postgresql":
                long_ago = text("seen_at - interval '40 seconds'")
            silent = update(audience).where(audience.c.process == "killed")
            await connection.execute(silent.values(seen_at=long_ago))
        await until_told(follower, 1)


async def test_a_process_that_cannot_write_its_row_serves_on(quick: Served) -> None:
    """Without the table everybody is told how many this process has, and messages arrive as ever."""
    async with opened(quick.settings.database_url) as database, transaction(database) as connection:
        await connection.execute(text("DROP TABLE audience"))
    async with following(quick) as first, http_client(quick) as client:
        await until_told(first, 1)
        async with following(quick) as second:
            await until_told(first, 2)
            await until_told(second, 2)
            posted = await post(client, "All the same")
            for follower in (first, second):
                assert (await follower.receive())["message"]["id"] == posted["id"]
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.any_database
async def test_an_idle_board_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the last viewer has gone the row goes too, and then nothing is written until somebody comes."""
    monkeypatch.setattr(audience_module, "BEAT_S", BEAT_S)
    with served_board(tmp_path, reconcile_seconds=3600) as served:
        await first_sweep_over(served.settings.database_url)
        async with following(served) as follower:
            await follower.receive_viewers()
        await until_rows(served, [])
        async with opened(served.settings.database_url) as database:
            await database.read(queries.read_board)
            before = database.version()
            await asyncio.sleep(4 * BEAT_S)
            assert before is not None
            assert database.version() == before


@pytest.mark.any_database
async def test_a_crowd_is_told_in_two_digits(quick: Served) -> None:
    """Many are counted in two digits, entries come in order in between, and everybody ends with the same number."""
    async with AsyncExitStack() as stack, opened(quick.settings.database_url) as database:
        crowd = [await stack.enter_async_context(following(quick)) for _ in range(131)]
        await write_messages(database, 3)
        for follower in crowd:
            assert [frame["seq"] for frame in await follower.receive_all(3)] == [1, 2, 3]
        async with asyncio.timeout(SOON_S):
            while {follower.viewers[-1:] == [130] for follower in crowd} != {True}:
                await asyncio.gather(*(follower.nothing(0.1) for follower in crowd))
        told = {count for follower in crowd for count in follower.viewers}
        assert {count for count in told if count > 100} <= {110, 120, 130}


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("viewers", "told"),
    [
        *((number, number) for number in (0, 1, 10, 99, 100)),
        *((101, 100), (104, 100), (105, 110), (149, 150), (994, 990), (995, 1000), (1049, 1000), (1050, 1100)),
        *((9949, 9900), (9950, 10_000), (12_345, 12_000), (987_654, 990_000)),
    ],
)
def test_large_numbers_are_rounded(viewers: int, told: int) -> None:
    """Up to 100 the number is exact, and above it has two digits."""
    assert rounded(viewers) == told
