"""The feed's own corners: who leaves while it reads, and who does not take what it is sent."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rows import opened, write_messages

from paidchat.feed import MAX_BACKLOG, Feed, Subscriber
from paidchat.storage import queries
from paidchat.storage.database import Database
from paidchat.storage.schema import migrate

UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Wire:
    """A connection that only remembers: what was written, and whether it was cut."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting = 0
        self.cut = False

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait."""
        return self.waiting

    def is_closing(self) -> bool:
        """Tell whether it was cut."""
        return self.cut

    def get_extra_info(self, name: str) -> None:
        """Know nothing: there is no socket."""
        del name

    def abort(self) -> None:
        """Cut it."""
        self.cut = True


def subscriber(wire: Wire) -> Subscriber:
    """A subscriber at the other end of a wire that is always drained."""

    async def drained() -> None:
        await asyncio.sleep(0)

    return Subscriber(wire, drained)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A database with an empty board."""
    async with opened(f"sqlite:///{tmp_path / 'paidchat.db'}") as made:
        await migrate(made)
        async with made.transaction() as connection:
            await queries.ensure_board(connection, tag="tag", epoch="epoch")
        yield made


@pytest.fixture
async def feed(database: Database) -> Feed:
    """A feed that is open, and reads when it is told to."""
    opened_feed = Feed(database)
    await opened_feed.open()
    return opened_feed


async def test_leaving_while_the_feed_reads_harms_nobody(feed: Feed) -> None:
    """Whoever watches an unknown payment and is gone before the answer does not make the reading fail."""
    leaving = subscriber(Wire())
    await feed.join(leaving, after=None, epoch=None)
    feed.watch(leaving, UNKNOWN)
    reading = asyncio.create_task(feed._read())
    await asyncio.sleep(0)
    feed.leave(leaving)
    await reading


async def test_who_does_not_read_is_cut_and_the_rest_served(feed: Feed, database: Database) -> None:
    """A connection with too much waiting is cut without a word more; the others get the entry."""
    slow, quick = Wire(), Wire()
    for wire in (slow, quick):
        await feed.join(subscriber(wire), after=None, epoch=None)
    slow.waiting = MAX_BACKLOG + 1
    await write_messages(database, 1)
    await feed._read()
    assert slow.cut
    assert len(slow.written) == 1
    assert b"message.posted" in quick.written[-1]


async def test_an_entry_is_encoded_once_for_all(feed: Feed, database: Database) -> None:
    """Every follower is sent the same bytes, not bytes that are equal."""
    wires = [Wire() for _ in range(3)]
    for wire in wires:
        await feed.join(subscriber(wire), after=None, epoch=None)
    await write_messages(database, 1)
    await feed._read()
    assert len({id(wire.written[-1]) for wire in wires}) == 1


async def test_a_replay_ends_with_its_epoch(feed: Feed, database: Database) -> None:
    """Somebody who is catching up when a new epoch begins is cut: what was to come is of a lost history."""
    await write_messages(database, 150)
    await feed._read()
    wire = Wire()

    async def drained() -> None:
        async with database.transaction() as connection:
            await queries.begin_epoch(connection, "new")
        await feed._read()

    await feed.join(Subscriber(wire, drained), after=0, epoch="epoch")
    assert wire.cut
    assert feed.viewers == 0
