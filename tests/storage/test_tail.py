"""The tail: a process's feed is told what the process itself appends to the log, all of it and nothing else."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, insert
from sqlalchemy.engine import Connection, Engine

from paidchat.board import record
from paidchat.domain import Reason
from paidchat.feed.feed import POLL_S, Feed
from paidchat.records import LogRecord, Posted, Removed, Restored
from paidchat.storage import queries
from paidchat.storage.database import Database
from tests.support.rows import opened, payment_row


def post(connection: Connection, author: str | None = None, text: str = "Hello") -> str:
    """Insert a payment and post its message, as a fulfilment does; returns the payment's id."""
    payment_id = str(uuid.uuid4())
    connection.execute(insert(queries.payment).values(payment_row(id=payment_id, text=text, author=author)))
    payment = queries.get_payment(connection, payment_id)
    record(connection, [Posted(payment)], datetime.now(UTC).replace(microsecond=120))
    return payment_id


def post_and_fail(connection: Connection) -> None:
    """Post a message, and take it back."""
    post(connection)
    raise LookupError("on purpose")


def remove(connection: Connection, message_id: int) -> None:
    """Remove a message."""
    record(connection, [Removed(message_id, Reason.MODERATED)], datetime.now(UTC))


def restore(connection: Connection, message_id: int) -> None:
    """Restore a message."""
    record(connection, [Restored(message_id)], datetime.now(UTC))


async def written_by(database: Database, *works: Callable[[Connection], object]) -> list[object]:
    """Write functions at once, so that they share a transaction; returns their results or errors."""
    return await asyncio.gather(*(database.write(work) for work in works), return_exceptions=True)


async def handed_over(database: Database) -> list[LogRecord]:
    """Return the entries of the tails since the last call, all of which must be whole."""
    tails = await database.changes.wait(0)
    assert all(tail is not None and tail.is_whole for tail in tails)
    return [entry for tail in tails if tail for entry in tail.entries]


class Reads:
    """Counts how often the log is read."""

    def __init__(self) -> None:
        self.count = 0

    def seen(self, *arguments: object) -> None:
        """Note a statement."""
        self.count += "log_entry.seq >" in str(arguments[2])


@pytest.fixture
def reads() -> Callable[[], int]:
    """Return how often the log was read since the last call."""
    reads = Reads()
    event.listen(Engine, "before_cursor_execute", reads.seen)

    def take() -> int:
        count, reads.count = reads.count, 0
        return count

    return take


async def test_it_is_what_would_be_read(database: Database) -> None:
    """Entries that are handed over equal those that are read from the log, whatever their text."""
    texts = ["Hello", "é\u0301 👩‍👩‍👧", "two\nlines", " ' \" \\ <b>"]
    for text in texts:
        await database.write(post, None if text == "Hello" else "Ada", text)
    assert await handed_over(database) == await database.read(queries.log_after, 0, 100)


async def test_a_group_is_handed_over_in_order(database: Database) -> None:
    """Functions that share a transaction hand over their entries in the order of the log."""
    await written_by(database, *[post] * 20)
    entries = await handed_over(database)
    assert [entry.seq for entry in entries] == list(range(1, 21))
    assert entries == await database.read(queries.log_after, 0, 100)


@pytest.mark.parametrize("place", range(4))
async def test_what_was_rolled_back_is_not_handed_over(database: Database, place: int) -> None:
    """A function that fails in a group leaves nothing to hand over, wherever in the group it is."""
    works: list[Callable[[Connection], object]] = [post] * 3
    works.insert(place, post_and_fail)
    results = await written_by(database, *works)
    assert sum(isinstance(result, LookupError) for result in results) == 1
    assert await handed_over(database) == await database.read(queries.log_after, 0, 100)


async def test_what_failed_alone_is_not_handed_over(database: Database) -> None:
    """A transaction that is rolled back as a whole hands over nothing."""
    assert isinstance((await written_by(database, post_and_fail))[0], LookupError)
    assert await handed_over(database) == []


@pytest.mark.parametrize("change", [remove, restore])
async def test_what_must_be_read_is_not_whole(database: Database, change: Callable[[Connection, int], None]) -> None:
    """A removal or a restoration needs its message as it is now, so the tail says that the log must be read."""
    await database.write(post)
    await handed_over(database)
    await database.write(change, 1)
    [tail] = await database.changes.wait(0)
    assert tail is not None
    assert not tail.is_whole


async def following(database: Database) -> tuple[Feed, "asyncio.Task[None]"]:
    """Start a feed."""
    feed = Feed(database)
    await feed.open()
    task = asyncio.create_task(feed.run())
    await feed.refresh()
    return feed, task


async def reached(feed: Feed, seq: int) -> None:
    """Wait until a feed has got so far."""
    for _ in range(5_000):
        if feed.seq >= seq:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"the feed is at {feed.seq}")


async def test_the_feed_does_not_read_back_what_it_was_told(database: Database, reads: Callable[[], int]) -> None:
    """Messages that this process posts reach its feed without a query of the log."""
    feed, task = await following(database)
    reads()
    began = asyncio.get_running_loop().time()
    for seq in range(1, 11):
        await database.write(post)
        await reached(feed, seq)
    most = (asyncio.get_running_loop().time() - began) // POLL_S + 1
    task.cancel()
    assert reads() <= most < 10


async def test_the_feed_reads_what_another_process_posted(database: Database, url: str) -> None:
    """Messages of two processes in turn reach the feed of one in order, none missing."""
    feed, task = await following(database)
    async with opened(url) as other:
        for seq in range(1, 21, 2):
            await other.write(post)
            await database.write(post)
            await reached(feed, seq + 1)
    task.cancel()
    assert [entry.seq for entry in feed._recent] == list(range(1, 21))


async def test_the_feed_polls_however_busy_it_is(database: Database, url: str) -> None:
    """What another process has posted is found within the time of a poll, also while commits keep waking the feed."""
    feed, task = await following(database)
    busy = asyncio.Event()

    async def start_payments() -> None:
        while not busy.is_set():
            await database.write(queries.take_question)

    starting = asyncio.create_task(start_payments())
    async with opened(url) as other:
        await other.write(post)
    async with asyncio.timeout(2 * POLL_S + 2):
        await reached(feed, 1)
    busy.set()
    await starting
    task.cancel()


@pytest.mark.parametrize("gap", [queries.EPOCH_GAP, 0])
async def test_a_new_epoch_is_read(database: Database, url: str, monkeypatch: pytest.MonkeyPatch, gap: int) -> None:
    """After a backup was restored, what this process posts is read, not taken for the old log's next entry.

    Not even if the new epoch begins at the very place where the old one ended.
    """
    monkeypatch.setattr(queries, "EPOCH_GAP", gap)
    feed, task = await following(database)
    await database.write(post)
    await reached(feed, 1)
    async with opened(url) as other:
        await other.write(queries.begin_epoch, "new")
    await database.write(post)
    await reached(feed, gap + 2)
    task.cancel()
    assert feed.epoch == "new"
    assert feed.seq == gap + 2


async def test_a_feed_that_lags_still_gets_all(database: Database) -> None:
    """More hints than are kept while the feed is busy make it read, and nothing is missing."""
    feed = Feed(database)
    await feed.open()
    for _ in range(150):
        await database.write(post)
    task = asyncio.create_task(feed.run())
    await reached(feed, 150)
    task.cancel()
    assert [entry.seq for entry in feed._recent] == list(range(1, 151))
