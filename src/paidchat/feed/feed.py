"""The feed: one tailer of the log, and its subscribers."""

import asyncio
import time
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Final, assert_never

import structlog

from paidchat import wire
from paidchat.domain import EntryKind, is_payment_id
from paidchat.feed.entries import CHUNK_ENTRIES, Entry, encode_frame, encoded
from paidchat.feed.newest import Newest
from paidchat.feed.reading import (
    REPLAY_ENTRIES,
    Page,
    Position,
    read_end,
    read_news,
    read_payments,
    read_position_and_pins,
)
from paidchat.feed.subscriber import DROPS, Subscriber, in_batches
from paidchat.records import LogRecord, PaymentRecord
from paidchat.storage.database import Database
from paidchat.storage.tail import Tail

log = structlog.get_logger(__name__)

POLL_S: Final = 0.5  # in case a wake-up is lost
REFRESH_S: Final = 5  # how long a subscriber that joins waits for the tailer
MAX_WATCHES: Final = 16  # payments per subscriber


def _unknown(payment_id: str) -> bytes:
    detail = "There is no such payment."
    return encode_frame(wire.FeedError(code="not_found", detail=detail, payment_id=payment_id))


class Feed:
    """The board at `seq`, kept up to date by one tailer, and its subscribers.

    A subscriber joins without an await between reading the feed's position and being added to its subscribers, so no
    entry can slip past it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent: deque[Entry] = deque(maxlen=REPLAY_ENTRIES)
        self._hidden: set[int] = set()  # ids of messages in recent entries that have left the board
        self._following: set[Subscriber] = set()
        self._joining: set[Subscriber] = set()  # those that are being sent what they missed
        self._outdated: set[Subscriber] = set()  # those of an earlier epoch, about to be dropped
        self._watchers: dict[str, set[Subscriber]] = {}
        self._newest = Newest()
        self._waiting: list[asyncio.Future[None]] = []
        self._version: int | None = None  # the database's when the log was last read to its end
        self._transactions = 0  # of the database's, all of whose entries have been read
        self._delivered = 0  # less than `seq` during a delivery, and after one was interrupted
        self.epoch = ""
        self.seq = 0
        self.read_at = 0.0  # when the tailer last read the log, on the monotonic clock

    # --- following ----------------------------------------------------------------------------------

    @property
    def viewers(self) -> int:
        """The number of subscribers."""
        return len(self._following)

    @property
    def subscribers(self) -> Collection[Subscriber]:
        """Those that have caught up."""
        return self._following

    async def reach(self, after: int | None, epoch: str | None) -> None:
        """Wait a while for what whoever resumes may know of already.

        That is the cursor's place in the log, which may come from a process that is ahead of this one, and whatever
        this process has acknowledged: a message whose removal was answered is withheld from then on.
        """
        if epoch != self.epoch or after is None:
            return
        if after > self.seq or self._transactions != self._database.transactions:
            await self.refresh()

    async def join(self, subscriber: Subscriber, *, after: int | None, epoch: str | None) -> None:
        """Add a subscriber: send its first frame and what it missed, then every entry that follows.

        `after` and `epoch` are the cursor to resume from. If that is not possible, the first frame is a snapshot.
        The first frame is sent before anything is awaited.
        """
        if epoch == self.epoch and after is not None and self._oldest_cursor <= after <= self.seq:
            subscriber.cursor = after
            subscriber.send(
                encode_frame(wire.Resumed(epoch=self.epoch, seq=after, now=self._newest.pinned.clock.now()))
            )
        else:
            subscriber.cursor = self._newest.seq
            subscriber.send(self._newest.snapshot(self.epoch))
        self._joining.add(subscriber)
        try:
            await self._replay(subscriber)
        finally:
            self._joining.discard(subscriber)
        # No await between the last look at the cursor and this.
        if not subscriber.gone:
            self._following.add(subscriber)

    async def _replay(self, subscriber: Subscriber) -> None:
        """Send a subscriber what it missed, as fast as it reads; drop it if the epoch ends meanwhile."""
        joined = self.epoch
        while subscriber.cursor < self.seq and not subscriber.gone:
            self._send_missed(subscriber)
            await subscriber.connection.drained()
            if self.epoch != joined:
                subscriber.drop()

    def leave(self, subscriber: Subscriber) -> None:
        """Remove a subscriber and its watches."""
        subscriber.end()
        self._following.discard(subscriber)
        self._outdated.discard(subscriber)
        for payment_id in list(subscriber.watches):
            self._unwatch(subscriber, payment_id)

    def watch(self, subscriber: Subscriber, payment_id: str) -> None:
        """Send a subscriber the state of a payment now and whenever it changes."""
        if not is_payment_id(payment_id):
            subscriber.send(_unknown(payment_id))
            return
        subscriber.watches.pop(payment_id, None)
        if len(subscriber.watches) >= MAX_WATCHES:
            self._unwatch(subscriber, next(iter(subscriber.watches)))
        subscriber.watches[payment_id] = None
        self._watchers.setdefault(payment_id, set()).add(subscriber)
        self._database.changes.wake()

    def _unwatch(self, subscriber: Subscriber, payment_id: str) -> None:
        subscriber.watches.pop(payment_id, None)
        watchers = self._watchers.get(payment_id, set())
        watchers.discard(subscriber)
        if not watchers:
            self._watchers.pop(payment_id, None)

    @property
    def _oldest_cursor(self) -> int:
        """The oldest resumable cursor. A new epoch skips places, so its first entries may be all there are."""
        return self._recent[0].seq - 1 if self._recent else self.seq

    def _send_missed(self, subscriber: Subscriber) -> None:
        """Send the next entries to a subscriber that is behind; drop it if its cursor has fallen out of the buffer."""
        start = subscriber.cursor - self._oldest_cursor
        if start < 0:
            subscriber.drop()
            subscriber.cursor = self.seq
            return
        missed = [self._recent[index] for index in range(start, min(len(self._recent), start + CHUNK_ENTRIES))]
        subscriber.send(b"".join(self._replayed(entry) for entry in missed))
        subscriber.cursor = missed[-1].seq

    def _replayed(self, entry: Entry) -> bytes:
        if entry.kind is not EntryKind.REMOVED and entry.message_id in self._hidden:
            return encode_frame(wire.MessageWithheld(seq=entry.seq, message_id=entry.message_id))
        return entry.frame

    # --- the tailer ---------------------------------------------------------------------------------

    async def open(self) -> None:
        """Read the position of the log; call this before anyone joins."""
        await self._reload()

    async def run(self) -> None:
        """Tail the log until cancelled, retrying while the database is unavailable.

        It can be restarted at any point: it continues at `seq`, and first serves the subscribers that an interrupted
        delivery left behind.
        """
        self._database.changes.wake()  # an interrupted wait has lost its wake-up
        while True:
            hints = await self._database.changes.wait(POLL_S)
            if not hints and not self._watchers and self._is_up_to_date() and not self._newest.pinned.is_outdated:
                self.read_at = time.monotonic()
                continue
            transactions = self._database.transactions
            waiting, self._waiting = self._waiting, []
            try:
                await self._follow(hints)
                self._transactions = transactions
            except Exception:
                log.exception("feed.read_failed")
                await asyncio.sleep(POLL_S)
            finally:
                for future in waiting:
                    if not future.done():
                        future.set_result(None)

    async def refresh(self) -> None:
        """Wait until the tailer has read the log again, starting after this call; at most REFRESH_S."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._database.changes.wake()
        await asyncio.wait({future}, timeout=REFRESH_S)
        if not future.done():
            self._waiting = [other for other in self._waiting if other is not future]

    async def _reload(self) -> None:
        board, rows, page = await self._database.read(read_end)
        entries = await encoded(rows)
        # No await from here on: nobody may join between two epochs.
        self._recent.clear()
        self._hidden.clear()
        self.epoch, self.seq = board.epoch, board.seq
        self._delivered = self.seq
        self._remember(entries)
        self._newest.replace(self.seq, page.messages, page.pins, has_more=page.has_more)
        self.read_at = time.monotonic()

    def _is_up_to_date(self) -> bool:
        version = self._database.version()
        return version is not None and version == self._version

    async def _follow(self, hints: Sequence[Tail | None]) -> None:
        """Deliver what is new, and tell watchers.

        What this process has appended itself is not read back, which takes a third off the CPU of a lone webhook. Twice
        a second the log is read all the same.
        """
        await self._finish_delivery()
        # Payments before the log: the message of a payment read as fulfilled is then certain to be delivered first.
        payments, position = await self._read_payments()
        handed_over = self._handed_over(hints)
        if handed_over:
            await self._extend(handed_over)
        is_ahead = position not in {None, (self.epoch, self.seq)}
        if handed_over is None or is_ahead or time.monotonic() - self.read_at >= POLL_S:
            await self._read_to_end()
        await self._tell_watchers(payments)
        if self._newest.pinned.is_outdated:
            await self._read_pins()

    async def _read_pins(self) -> None:
        """Read what is pinned again, and the time; if the log has gone on, that comes with the next entries."""
        position, pins = await self._database.read(read_position_and_pins)
        if position == (self.epoch, self._newest.seq):
            self._newest.replace_pins(pins)

    async def _finish_delivery(self) -> None:
        """Do what an interrupted delivery, or the start of an epoch, has left undone."""
        if self._outdated:
            await self._drop_outdated()
        if self._delivered < self.seq:
            await self._deliver([])

    def _handed_over(self, hints: Sequence[Tail | None]) -> list[LogRecord] | None:
        """Return the next entries if the hints have them all, or None if the log must be read."""
        entries: list[LogRecord] = []
        for tail in hints:
            if tail is None or not tail.is_whole or (tail.entries and tail.epoch != self.epoch):
                return None
            entries += (entry for entry in tail.entries if entry.seq > self.seq)
        return entries if hints and self._is_next(entries) else None

    def _is_next(self, rows: Sequence[LogRecord]) -> bool:
        return [row.seq for row in rows] == list(range(self.seq + 1, self.seq + 1 + len(rows)))

    async def _read_to_end(self) -> None:
        version, self._version = self._database.version(), None
        while await self._read_log():
            pass
        self._version = version

    async def _read_log(self) -> bool:
        """Read and deliver the next entries; returns whether there may be more."""
        news = await self._database.read(read_news, (self.epoch, self.seq), self._newest.seq)
        if news is None:
            self.read_at = time.monotonic()
            return False
        board, rows, page = news
        if board.epoch != self.epoch or board.seq < self.seq:
            await self._start_over()
            return False
        if not rows or not self._is_next(rows):
            raise RuntimeError(f"the log has a gap after {self.seq}")
        # While there is more to read, the messages read are ahead of the entries.
        is_end = rows[-1].seq == board.seq
        await self._extend(rows, page if is_end else None)
        return not is_end

    async def _extend(self, rows: list[LogRecord], page: Page | None = None) -> None:
        """Add the next entries of the log and deliver them; `page` is the newest messages after them."""
        entries = await encoded(rows)
        # No await until the newest messages are those at `seq`: whoever joins continues after them.
        self._remember(entries)
        self.seq = entries[-1].seq
        if page is None:
            self._newest.follow(rows)
        else:
            self._newest.replace(self.seq, page.messages, page.pins, has_more=page.has_more)
        await self._deliver(entries)

    async def _start_over(self) -> None:
        """Start a new epoch: all subscribers are dropped, reconnect and get a snapshot."""
        log.warning("feed.new_epoch", was=self.epoch)
        await self._reload()
        self._outdated |= self._following
        self._following.clear()
        await self._drop_outdated()

    async def _drop_outdated(self) -> None:
        async for batch in in_batches(self._outdated, DROPS):
            for subscriber in batch:
                subscriber.drop()
            self._outdated.difference_update(batch)

    def _remember(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._recent.append(entry)
            match entry.kind:
                case EntryKind.REMOVED:
                    self._hidden.add(entry.message_id)
                case EntryKind.POSTED | EntryKind.RESTORED:
                    self._hidden.discard(entry.message_id)
                case never:
                    assert_never(never)

    async def _deliver(self, entries: list[Entry]) -> None:
        """Send the newest entries to every subscriber, and earlier ones to those that missed them.

        Entries that were read together are one write: in a burst of 60, 0.9 µs per entry and subscriber instead of 8.
        """
        frames = b"".join(entry.frame for entry in entries)
        last = self.seq
        before = last - len(entries) if entries else None
        # A subscriber that joins meanwhile gets these entries from the buffer.
        async for batch in in_batches(self._following):
            for subscriber in batch:
                connection = subscriber.connection
                if subscriber.cursor != before or connection.is_congested:
                    self._catch_up(subscriber, last)
                    continue
                # As `Subscriber.send`, without the call and the questions to the transport: 10.5 µs in all, of which
                # the system call takes 8.8.
                try:
                    connection.transport.write(frames)
                except Exception as error:  # noqa: BLE001 - one broken connection must not affect the others
                    subscriber.drop_broken(error)
                subscriber.cursor = last
        self._delivered = last

    def _catch_up(self, subscriber: Subscriber, last: int) -> None:
        while subscriber.cursor < last and not subscriber.gone:
            self._send_missed(subscriber)

    async def _read_payments(self) -> tuple[list[PaymentRecord], Position | None]:
        """Read the payments that are watched, if any, and where the log ended then."""
        if not self._watchers:
            return [], None
        ids = list(self._watchers)
        rows, position = await self._database.read(read_payments, ids)
        found = {row.id for row in rows}
        for payment_id in set(ids) - found:
            self._tell_unknown(payment_id)
        return rows, position

    async def _tell_watchers(self, payments: list[PaymentRecord]) -> None:
        for row in payments:
            frame = encode_frame(wire.PaymentUpdated(payment=wire.Payment.of(row)))
            for subscriber in tuple(self._watchers.get(row.id, ())):
                # A subscriber that is still catching up doesn't have the message yet; it gets the update afterwards.
                if subscriber.watches.get(row.id) != frame and subscriber in self._following:
                    subscriber.watches[row.id] = frame
                    subscriber.send(frame)

    def _tell_unknown(self, payment_id: str) -> None:
        for subscriber in tuple(self._watchers.get(payment_id, ())):
            self._unwatch(subscriber, payment_id)
            subscriber.send(_unknown(payment_id))

    # --- keeping alive ------------------------------------------------------------------------------

    async def keep_alive(self) -> None:
        """Tick once a second until cancelled."""
        while True:
            await self.tick()
            await asyncio.sleep(1)

    async def tick(self) -> None:
        """Let a second pass: ping subscribers, drop dead and stalled ones, send quiet ones a heartbeat.

        Browsers need the heartbeat because they can't see pings. A subscriber that is still catching up gets none: it
        would name an entry that has not been sent. One task does this for all subscribers, in 0.7 µs each.
        """
        seq, heartbeat = self.seq, encode_frame(wire.Heartbeat(seq=self.seq))
        async for batch in in_batches(self._joining | self._following):
            for subscriber in batch:
                subscriber.tick(heartbeat if subscriber.cursor == seq else None)
