"""The opening: what a document shows of the board, and what its script goes on from, read in one transaction."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine import Connection

from paidchat import wire
from paidchat.api.ready import PAGE_MESSAGES
from paidchat.board import PINNED_MESSAGES, Pins, find_shown, read_pins
from paidchat.records import BoardRecord, MessageRecord
from paidchat.storage import queries

AROUND: Final = 25  # messages on each side of one that is not among the newest


@dataclass(frozen=True, slots=True)
class Around:
    """History around a message: the page that ends with it, and the one after it."""

    until: wire.MessagePage
    after: wire.MessagePage


@dataclass(frozen=True, slots=True)
class Opening:
    """The board as it was read.

    Attributes:
        snapshot: as the feed sends it first.
        pins: those of the snapshot and one more, with the time by which they end.
        target: the message at which the page opens; None for the newest.
        around: the target's neighbours, unless it is among the newest messages.
    """

    snapshot: wire.Snapshot
    pins: Pins
    target: wire.Message | None
    around: Around | None

    def rows(self) -> list[wire.Message | None]:
        """Return the messages to show, oldest first, with None in place of some that are left out."""
        newest = self.snapshot.messages
        if self.around is None:
            return list(newest)
        read = [*self.around.until.messages, *self.around.after.messages]
        later = [message for message in newest if message.id > read[-1].id]
        has_gap = later and later[0].id > read[-1].id + 1
        return [*read, *([None] if has_gap else []), *later]


def read_opening(connection: Connection, target_id: int | None) -> Opening:
    """Read the newest messages and what is pinned, and those around a target.

    Raises:
        NotFound, Gone: the target was never there, or has been removed.
    """
    target = None if target_id is None else find_shown(connection, target_id)
    board, pins = queries.read_board(connection), read_pins(connection, PINNED_MESSAGES + 1)
    rows, has_more = queries.messages_before(connection, None, PAGE_MESSAGES)
    snapshot = wire.Snapshot(
        epoch=board.epoch,
        seq=board.seq,
        messages=_shapes(rows),
        has_more=has_more,
        pinned=_shapes(pins.messages[:PINNED_MESSAGES]),
        now=pins.clock.read_at,
    )
    is_far = target is not None and target.id not in {row.id for row in rows}
    around = _read_around(connection, board, target.id) if target and is_far else None
    return Opening(snapshot, pins, wire.Message.of(target) if target else None, around)


def _read_around(connection: Connection, board: BoardRecord, target_id: int) -> Around:
    until, has_older = queries.messages_before(connection, target_id + 1, AROUND)
    after, has_newer = queries.messages_after(connection, target_id, AROUND)
    return Around(_page(board, until, has_more=has_older), _page(board, after, has_more=has_newer))


def _page(board: BoardRecord, rows: list[MessageRecord], *, has_more: bool) -> wire.MessagePage:
    return wire.MessagePage(messages=_shapes(rows), seq=board.seq, epoch=board.epoch, has_more=has_more)


def _shapes(rows: list[MessageRecord]) -> list[wire.Message]:
    return [wire.Message.of(row) for row in rows]
