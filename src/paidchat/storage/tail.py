"""The tail: what a transaction appends to the log, kept so that this process's feed need not read it back."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.engine import Connection

from paidchat.records import LogRecord

_KEY: Final = "paidchat_tail"


@dataclass(slots=True)
class Tail:
    """The entries of one transaction, in the order of the log.

    Attributes:
        taken: how many places in the log the transaction took; there may be fewer entries than that.
        epoch: of the places that were taken last.
    """

    taken: int = 0
    epoch: str = ""
    entries: list[LogRecord] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether these are all entries; otherwise the log must be read."""
        return self.taken == len(self.entries)


def begin_tail(connection: Connection) -> Tail:
    """Return the empty tail of a transaction that begins; it is filled while the transaction goes on."""
    tail = connection.info[_KEY] = Tail()
    return tail


def tail_of(connection: Connection) -> Tail:
    """Return the tail of the transaction."""
    tail: Tail = connection.info.get(_KEY) or begin_tail(connection)
    return tail


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Roll back what the block writes if it raises, and take it from the tail."""
    tail = tail_of(connection)
    taken, entries = tail.taken, len(tail.entries)
    try:
        with connection.begin_nested():
            yield
    except BaseException:
        tail.taken = taken
        del tail.entries[entries:]
        raise
