"""What the feed reads: the log, the newest messages, and the payments that are watched."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine import Connection

from paidchat.board import Pins, read_pins
from paidchat.feed.entries import CHUNK_ENTRIES
from paidchat.feed.newest import SNAPSHOT_MESSAGES, only_posted
from paidchat.feed.pinned import KEPT_PINS
from paidchat.records import BoardRecord, LogRecord, MessageRecord, PaymentRecord
from paidchat.storage import queries

REPLAY_ENTRIES: Final = 1_000  # a cursor further behind than this gets a snapshot
BATCH_ENTRIES: Final = 500  # per query of the log

Position = tuple[str, int]  # an epoch and a place in its log


@dataclass(frozen=True, slots=True)
class Page:
    """The newest messages, whether there are older ones, and what is pinned."""

    messages: list[MessageRecord]
    has_more: bool
    pins: Pins


def _read_page(connection: Connection) -> Page:
    messages, has_more = queries.messages_before(connection, None, SNAPSHOT_MESSAGES)
    return Page(messages, has_more, read_pins(connection, KEPT_PINS))


def read_position_and_pins(connection: Connection) -> tuple[Position, Pins]:
    """Read what is pinned, and where the log ended then."""
    board = queries.read_board(connection)
    return (board.epoch, board.seq), read_pins(connection, KEPT_PINS)


def read_end(connection: Connection) -> tuple[BoardRecord, list[LogRecord], Page]:
    """Read the end of the log and the newest messages."""
    board = queries.read_board(connection)
    rows: list[LogRecord] = []
    while page := queries.log_after(connection, rows[-1].seq if rows else board.seq - REPLAY_ENTRIES, CHUNK_ENTRIES):
        rows += page
    return board, rows, _read_page(connection)


def read_news(
    connection: Connection, position: Position, newest: int
) -> tuple[BoardRecord, list[LogRecord], Page | None] | None:
    """Read the log after a position; returns None if there is nothing new.

    The newest messages, known as of `newest`, are read too unless they follow from the log.
    """
    board = queries.read_board(connection)
    epoch, seq = position
    if (board.epoch, board.seq) == (epoch, seq):
        return None
    rows = queries.log_after(connection, seq, BATCH_ENTRIES)
    if newest == seq and only_posted(rows):
        return board, rows, None
    return board, rows, _read_page(connection)


def read_payments(connection: Connection, ids: list[str]) -> tuple[list[PaymentRecord], Position]:
    """Read payments, and where the log ended at that moment."""
    chunks = (ids[start : start + BATCH_ENTRIES] for start in range(0, len(ids), BATCH_ENTRIES))
    rows = [row for chunk in chunks for row in queries.find_payments(connection, chunk)]
    board = queries.read_board(connection)
    return rows, (board.epoch, board.seq)
