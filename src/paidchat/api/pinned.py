"""The pinned page: what is on top of the board now, kept as bytes until the board changes or a pin ends."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.engine import Connection

from paidchat import wire
from paidchat.api.negotiation import is_not_modified
from paidchat.api.ready import Answer, Fields, Reading, page_etag
from paidchat.board import PINNED_MESSAGES, Pins, next_end, read_pins
from paidchat.storage import queries
from paidchat.storage.clock import RunningClock

PINNED_PATH = "/api/pinned"
MAX_AGE_S: Final = 60  # a clock that was set, or a machine that slept, makes no difference for longer


class PinnedAnswer(Answer):
    """The page as bytes, but for the time, which it tells anew whenever it is sent. Hence its ETag is weak."""

    __slots__ = ("_clock", "_etag", "_start", "_unchanged")

    def __init__(self, page: wire.PinnedPage, etag: str, clock: RunningClock) -> None:
        self._start = wire.without_now(page)
        self._clock = clock
        self._etag = etag
        self._unchanged: Fields = [(b"etag", etag.encode()), (b"cache-control", b"no-cache")]

    def choose(self, tags: Sequence[str], codings: Sequence[str]) -> tuple[int, Fields, bytes]:
        """Return the answer with the time by the database's clock, in no coding: it is never sent twice."""
        del codings
        if is_not_modified(tags, self._etag):
            return 304, self._unchanged, b""
        body = wire.with_now(self._start, self._clock.now())
        length = (b"content-length", str(len(body)).encode())
        return 200, [*self._unchanged, length, (b"content-type", b"application/json")], body


def read_pinned(connection: Connection) -> Reading:
    """Read what is pinned now; it holds until the next pin ends."""
    board, pins = queries.read_board(connection), read_pins(connection, PINNED_MESSAGES + 1)
    page = wire.PinnedPage(
        messages=[wire.Message.of(message) for message in pins.messages[:PINNED_MESSAGES]],
        seq=board.seq,
        epoch=board.epoch,
        has_more=len(pins.messages) > PINNED_MESSAGES,
        now=pins.clock.read_at,
    )
    answer = PinnedAnswer(page, pins_etag(board.epoch, board.seq, pins), pins.clock)
    return Reading(answer, board.epoch, board.seq, pins_hold_until(pins))


def pins_hold_until(pins: Pins) -> float:
    """Return until when an answer that shows pins holds, by `time.monotonic`: not beyond the end of the next one."""
    ends_at = next_end(pins.messages)  # one further down makes no difference
    until = pins.clock.began + MAX_AGE_S
    return until if ends_at is None else min(until, pins.clock.monotonic(ends_at))


def pins_etag(epoch: str, seq: int, pins: Pins) -> str:
    """Return an ETag that every process agrees on. Between two changes of the log, pins only end, each at its time."""
    ends_at = next_end(pins.messages)
    return f'W/{page_etag(epoch, seq)[:-1]}-{f"{ends_at:%Y%m%d%H%M%S%f}" if ends_at else "none"}"'
