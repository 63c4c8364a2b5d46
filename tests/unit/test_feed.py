"""Special cases of the feed: subscribers that leave while it reads, and that don't read what they are sent."""

import asyncio
import json
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from paidchat.feed import feed as feed_module
from paidchat.feed.entries import CHUNK_ENTRIES, encoded
from paidchat.feed.feed import Feed
from paidchat.feed.subscriber import BATCH, HEARTBEAT_S, MAX_BACKLOG, STALL_S, Subscriber, in_batches
from paidchat.serving.open_connection import OpenConnection
from paidchat.storage import queries
from paidchat.storage.database import Database
from paidchat.storage.schema import migrate
from tests.support.rows import opened, write_messages
from tests.support.transactions import transaction

EMPTY_PONG = b"\x8a\x80" + bytes(4)
UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Wire:
    """A fake connection that records what was written, and whether it was cut."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting = 0
        self.cut = False
        self.on_write: Callable[[], object] = lambda: None
        self.on_cut: Callable[[], object] = lambda: None

    def write(self, data: bytes) -> None:
        """Record the bytes."""
        self.on_write()
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait."""
        return self.waiting

    def is_closing(self) -> bool:
        """Tell whether it was cut."""
        return self.cut

    def get_extra_info(self, name: str) -> None:
        """Return None: there is no socket."""
        del name

    def pause_reading(self) -> None:
        """Do nothing: it never reads."""

    def resume_reading(self) -> None:
        """Do nothing: it never reads."""

    def close(self) -> None:
        """Cut it."""
        self.cut = True

    def abort(self) -> None:
        """Cut it."""
        self.cut = True
        self.on_cut()


def subscriber(wire: Wire) -> Subscriber:
    """A subscriber on a fake connection."""
    return Subscriber(OpenConnection(wire, set()))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A database with an empty board."""
    async with opened(f"sqlite:///{tmp_path / 'paidchat.db'}") as made:
        await migrate(made)
        async with transaction(made) as connection:
            await connection.run_sync(queries.ensure_board, tag="tag", epoch="epoch")
        yield made


@pytest.fixture
async def feed(database: Database) -> Feed:
    """An open feed that reads when it is told to."""
    opened_feed = Feed(database)
    await opened_feed.open()
    return opened_feed


async def test_leaving_while_the_feed_reads_harms_nobody(feed: Feed) -> None:
    """If a subscriber watches an unknown payment and leaves before the answer, reading does not fail."""
    leaving = subscriber(Wire())
    await feed.join(leaving, after=None, epoch=None)
    feed.watch(leaving, UNKNOWN)
    reading = asyncio.create_task(feed._follow([]))
    await asyncio.sleep(0)
    feed.leave(leaving)
    await reading


async def test_who_does_not_read_is_cut_and_the_rest_served(feed: Feed, database: Database) -> None:
    """A connection with too much waiting is cut without a close frame; the others get the entry."""
    slow, quick = Wire(), Wire()
    behind = subscriber(slow)
    for each in (behind, subscriber(quick)):
        await feed.join(each, after=None, epoch=None)
    slow.waiting = MAX_BACKLOG + 1
    behind.connection.pause_writing()
    await write_messages(database, 1)
    await feed._follow([])
    assert slow.cut
    assert len(slow.written) == 1
    assert b"message.posted" in quick.written[-1]


async def test_who_leaves_during_a_delivery_is_sent_nothing_more(feed: Feed, database: Database) -> None:
    """Once a subscriber has left, as one does when its close frame is sent, a delivery under way passes it by."""
    wires = [Wire() for _ in range(3)]
    everyone = [subscriber(wire) for wire in wires]
    for each in everyone:
        await feed.join(each, after=None, epoch=None)

    def leave() -> None:
        for each in everyone:
            feed.leave(each)

    for wire in wires:
        wire.on_write = leave
    await write_messages(database, 1)
    await feed._follow([])
    assert sum(b"message.posted" in b"".join(wire.written) for wire in wires) == 1


async def test_an_entry_is_encoded_once_for_all(feed: Feed, database: Database) -> None:
    """Every subscriber is sent the very same bytes object, not an equal copy."""
    wires = [Wire() for _ in range(3)]
    for wire in wires:
        await feed.join(subscriber(wire), after=None, epoch=None)
    await write_messages(database, 1)
    await feed._follow([])
    assert len({id(wire.written[-1]) for wire in wires}) == 1


CROWD = 600  # the tailer yields twice while it serves this many


def seqs(wire: Wire) -> list[int]:
    """Return the seq of every frame that was written, in order."""
    decoder, found = json.JSONDecoder(), []
    for data in wire.written:
        while data:  # a frame begins with two bytes, or four, before its JSON
            data = data[data.index(b"{") :]  # noqa: PLW2901 - eaten bit by bit
            text = data.decode(errors="replace")
            frame, end = decoder.raw_decode(text)
            found.append(frame["seq"])
            data = text[end:].encode(errors="replace")  # noqa: PLW2901
    return found


async def crowd(feed: Feed) -> list[Wire]:
    """Subscribe many at once."""
    wires = [Wire() for _ in range(CROWD)]
    for wire in wires:
        await feed.join(subscriber(wire), after=None, epoch=None)
    return wires


@pytest.mark.parametrize("more", [0, 1, 3])
async def test_a_tailer_killed_in_the_middle_of_a_delivery_leaves_nobody_behind(
    feed: Feed, database: Database, more: int
) -> None:
    """The next tailer sends every subscriber what it has not had, once and in order, and then new entries."""
    wires = await crowd(feed)
    await write_messages(database, 2)
    tailing = asyncio.create_task(feed._follow([]))
    for wire in wires:  # in whatever order they are served
        wire.on_write = tailing.cancel
    with pytest.raises(asyncio.CancelledError):
        await tailing
    for wire in wires:
        wire.on_write = lambda: None
    served = [wire for wire in wires if len(wire.written) > 1]
    assert 0 < len(served) < CROWD
    if more:
        await write_messages(database, more)
    await feed._follow([])
    for wire in wires:
        assert seqs(wire) == list(range(3 + more))
        assert not wire.cut


async def test_a_broken_connection_keeps_nothing_from_the_others(feed: Feed, database: Database) -> None:
    """A connection that can't be written to is cut, and all others get the entry."""
    wires = await crowd(feed)

    def fail() -> None:
        raise RuntimeError("broken")

    wires[0].on_write = fail
    await write_messages(database, 1)
    await feed._follow([])
    assert wires[0].cut
    assert all(seqs(wire) == [0, 1] for wire in wires[1:])


async def test_a_killed_tailer_leaves_nobody_waiting(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the log to be read ends when the tailer dies, and also if there is none."""
    monkeypatch.setattr(feed_module, "REFRESH_S", 0.2)
    tailing = asyncio.create_task(feed.run())
    waiting = [asyncio.create_task(feed.refresh()) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tailing.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting)
        await feed.refresh()
    assert feed._waiting == []


async def test_a_replay_ends_with_its_epoch(feed: Feed, database: Database) -> None:
    """A subscriber that is catching up when a new epoch begins is dropped, because the rest of the old one is lost."""
    wire = Wire()
    late = subscriber(wire)
    joining = await replaying(feed, database, late)
    async with transaction(database) as connection:
        await connection.run_sync(queries.begin_epoch, "new")
    await feed._follow([])
    late.connection.resume_writing()
    await joining
    assert len(wire.written) == 2  # its first frame, and one part of what it missed
    assert wire.cut
    assert feed.viewers == 0


async def test_a_tailer_killed_while_it_drops_an_epoch_leaves_nobody_behind(feed: Feed, database: Database) -> None:
    """The next tailer drops the rest of the old epoch's subscribers."""
    wires = await crowd(feed)
    async with transaction(database) as connection:
        await connection.run_sync(queries.begin_epoch, "new")
    tailing = asyncio.create_task(feed._follow([]))
    for wire in wires:
        wire.on_cut = tailing.cancel
    with pytest.raises(asyncio.CancelledError):
        await tailing
    assert 0 < sum(wire.cut for wire in wires) < CROWD
    await feed._follow([])
    assert all(wire.cut for wire in wires)
    assert feed.viewers == 0


async def replaying(feed: Feed, database: Database, late: Subscriber) -> asyncio.Task[None]:
    """Let a subscriber that does not read join from the beginning of a log of 150 entries."""
    await write_messages(database, 150)
    await feed._follow([])
    late.connection.pause_writing()
    joining = asyncio.create_task(feed.join(late, after=0, epoch="epoch"))
    await asyncio.sleep(0)
    return joining


async def test_who_stops_reading_while_catching_up_is_cut(feed: Feed, database: Database) -> None:
    """A subscriber that reads nothing of what it missed is cut after 15 s, like any other."""
    wire = Wire()
    late = subscriber(wire)
    joining = await replaying(feed, database, late)
    wire.waiting = 1000
    for _ in range(STALL_S):
        await feed.tick()
    assert not wire.cut
    await feed.tick()
    assert wire.cut
    late.connection.connection_lost(None)
    await joining
    assert feed.viewers == 0


async def test_who_leaves_while_catching_up_is_no_viewer(feed: Feed, database: Database) -> None:
    """A subscriber that leaves during its replay is sent nothing more, and is not counted."""
    wire = Wire()
    late = subscriber(wire)
    joining = await replaying(feed, database, late)
    feed.leave(late)
    late.connection.resume_writing()
    await joining
    assert len(wire.written) == 2
    assert feed.viewers == 0


def pings(wire: Wire) -> int:
    """Return how many pings were written."""
    return wire.written.count(b"\x89\x00")


async def tick(feed: Feed, answering: list[Subscriber], wires: list[Wire]) -> None:
    """Let a second pass, in which these subscribers answer pings."""
    before = [pings(wire) for wire in wires]
    await feed.tick()
    for each, wire, count in zip(answering, wires, before, strict=True):
        if pings(wire) > count:
            each.connection.data_received(EMPTY_PONG)


async def test_pings_are_spread_and_the_silent_are_cut(feed: Feed) -> None:
    """Each subscriber is pinged every 20 s, though not all in the same second; one without a pong is cut in 30 s."""
    wires = [Wire() for _ in range(40)]
    answering, silent = wires[:20], wires[20:]
    subscribers = [subscriber(wire) for wire in wires]
    for each in subscribers:
        await feed.join(each, after=None, epoch=None)
    at_once, lost_at = 0, set()
    for second in range(1, 101):
        before = sum(map(pings, wires))
        cut = sum(wire.cut for wire in wires)
        await tick(feed, subscribers[:20], answering)
        at_once = max(at_once, sum(map(pings, wires)) - before)
        if sum(wire.cut for wire in wires) > cut:
            lost_at.add(second)
    assert [pings(wire) for wire in answering] == [5] * 20
    assert not any(wire.cut for wire in answering)
    assert all(wire.cut for wire in silent)
    assert min(lost_at) > HEARTBEAT_S
    assert max(lost_at) <= 28
    assert at_once < 20


async def test_bytes_of_a_message_are_no_pong(feed: Feed) -> None:
    """A client from which a pong is due can't pass half a message off as one."""
    wire = Wire()
    each = subscriber(wire)
    await feed.join(each, after=None, epoch=None)
    while not pings(wire):
        await feed.tick()
    each.connection.data_received(b"\x89\x86" + bytes(4))  # a ping of six bytes, which come alone
    each.connection.data_received(EMPTY_PONG)
    assert wire.written[-1] == b"\x8a\x06" + EMPTY_PONG
    for _ in range(8):
        await feed.tick()
    assert wire.cut


async def test_the_quiet_get_a_heartbeat(feed: Feed, database: Database) -> None:
    """A heartbeat comes after 20 s without another frame, and any frame puts it off."""
    wire = Wire()
    quiet = subscriber(wire)
    await feed.join(quiet, after=None, epoch=None)

    async def frames_in(seconds: int) -> list[int]:
        for _ in range(seconds):
            await tick(feed, [quiet], [wire])
        return [seq_in(written) for written in wire.written if b"heartbeat" in written]

    assert await frames_in(HEARTBEAT_S) == []
    await write_messages(database, 1)
    await feed._follow([])
    assert await frames_in(HEARTBEAT_S) == []
    assert await frames_in(1) == [1]


def seq_in(written: bytes) -> int:
    """Return the seq of a single frame."""
    return int(json.loads(written[2:])["seq"])


async def test_a_server_closes_connections_in_turns() -> None:
    """At shutdown each connection gets 1012 and is closed, but only some before the event loop has its turn."""
    wires, connections = [Wire() for _ in range(120)], set[OpenConnection]()
    for wire in wires:
        OpenConnection(wire, connections)
    for each in connections:
        each.shutdown()
    assert 0 < sum(wire.cut for wire in wires) <= 50
    for _ in range(5):
        await asyncio.sleep(0)
    assert {tuple(wire.written) for wire in wires} == {(b"\x88\x02\x03\xf4",)}
    assert all(wire.cut for wire in wires)
    for each in list(connections):
        each.connection_lost(None)
    assert not connections


async def test_the_dropped_are_freed_in_turns() -> None:
    """Whoever goes through many subscribers keeps only those that are still to come."""
    wires = [Wire() for _ in range(5 * BATCH)]
    left = weakref.WeakSet(wires)
    everyone = [subscriber(wire) for wire in wires]
    wires.clear()
    counts = []
    async for batch in in_batches(everyone):
        everyone.clear()
        counts.append(len(left))
        for each in batch:
            each.connection.connection_lost(None)
        del each
    assert counts == [number * BATCH for number in (5, 4, 3, 2, 1)]


async def test_a_long_log_is_encoded_in_turns(database: Database) -> None:
    """Starting over with a thousand entries lets the event loop do other things."""
    await write_messages(database, 500)
    rows = await database.read(queries.log_after, 0, 500)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    entries = await encoded(rows)
    counting.cancel()
    assert [entry.seq for entry in entries] == list(range(1, 501))
    assert turns >= 500 / CHUNK_ENTRIES - 1
