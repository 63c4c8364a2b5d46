"""The statement about the money raised: what was paid for the messages on the board, followed along the log."""

from typing import Final

from sqlalchemy import bindparam, case, func, select
from sqlalchemy.engine import Connection

from paidchat.domain import EntryKind
from paidchat.storage.tables import LogEntry, Message, table

_log, _message = table(LogEntry), table(Message)

_CHANGE: Final = case((_log.c.kind == EntryKind.REMOVED, -_message.c.amount), else_=_message.c.amount)
_CHANGES: Final = (
    select(func.max(_log.c.seq), func.sum(_CHANGE).filter(_message.c.currency == bindparam("currency")))
    .join_from(_log, _message, _message.c.id == _log.c.message_id)
    .where(_log.c.seq > bindparam("after"))
)


def raised_after(connection: Connection, after: int, currency: str) -> tuple[int, int]:
    """Return the `seq` of the last log entry, and by how much those after `after` changed the sum in a currency.

    A message counts while it is on the board: each entry of the log puts it there or takes it off.
    """
    seq, change = connection.execute(_CHANGES, {"after": after, "currency": currency}).one()
    return seq or after, int(change or 0)
