"""The pinned page: what is on top of the board now, kept as bytes until the board changes or a pin ends."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic_core import to_json
from sqlalchemy.engine import Connection

from paidchat import wire
from paidchat.api.negotiation import is_not_modified
from paidchat.api.ready import Answer, Fields, Reading, page_etag
from paidchat.board import read_pins
from paidchat.records import Pins
from paidchat.storage import queries

PINNED_PATH = "/api/pinned"
MAX_AGE_S: Final = 60  # a clock that was set, or a machine that slept, makes no difference for longer
_NOW: Final = b'"now":'


class PinnedAnswer(Answer):
    """The page as bytes, but for the time, which it tells anew whenever it is sent. Hence its ETag is weak."""

    __slots__ = ("_began", "_read_at", "_start", "_unchanged", "etag")

    def __init__(self, page: wire.PinnedPage, etag: str, began: float) -> None:
        body = page.encode()
        self._start = body[: body.rindex(_NOW) + len(_NOW)]  # the last field; in a text, the quotes are escaped
        self._read_at = page.now
        self._began = began
        self._unchanged: Fields = [(b"etag", etag.encode()), (b"cache-control", b"no-cache")]
        self.etag = etag

    def choose(self, tags: Sequence[str], codings: Sequence[str]) -> tuple[int, Fields, bytes]:
        """Return the answer with the time by the database's clock, in no coding: it is never sent twice."""
        del codings
        if is_not_modified(tags, self.etag):
            return 304, self._unchanged, b""
        now = self._read_at + timedelta(seconds=time.monotonic() - self._began)
        body = self._start + to_json(now) + b"}"
        length = (b"content-length", str(len(body)).encode())
        return 200, [*self._unchanged, length, (b"content-type", b"application/json")], body


def read_pinned(connection: Connection) -> Reading:
    """Read what is pinned now; it holds until the next pin ends."""
    began = time.monotonic()
    board, pins = queries.read_board(connection), read_pins(connection)
    page = wire.PinnedPage(
        messages=[wire.Message.of(message) for message in pins.messages],
        seq=board.seq,
        epoch=board.epoch,
        has_more=pins.has_more,
        now=pins.read_at,
    )
    answer = PinnedAnswer(page, _etag(board.epoch, board.seq, pins.ends_at), began)
    return Reading(answer, board.epoch, board.seq, began + _lasts(pins))


def _etag(epoch: str, seq: int, ends_at: datetime | None) -> str:
    """Return an ETag that every process agrees on. Between two changes of the log, pins only end, each at its time."""
    return f'W/{page_etag(epoch, seq)[:-1]}-{f"{ends_at:%Y%m%d%H%M%S%f}" if ends_at else "none"}"'


def _lasts(pins: Pins) -> float:
    """Return for how many seconds the page holds."""
    if pins.ends_at is None:
        return MAX_AGE_S
    return min((pins.ends_at - pins.read_at).total_seconds(), MAX_AGE_S)
