"""The statements for feed readers: which messages were removed or restored, and when."""

from datetime import datetime
from typing import Final

from sqlalchemy import Integer, bindparam, func, select
from sqlalchemy.engine import Connection

from paidchat.domain import EntryKind
from paidchat.records import Removal
from paidchat.storage.queries import log_entry, message

_LAST_AT: Final = func.max(log_entry.c.at)
_REMOVALS: Final = (
    select(message.c.id, message.c.posted_at, _LAST_AT.label("removed_at"))
    .join(log_entry, log_entry.c.message_id == message.c.id)
    .where(message.c.id >= bindparam("oldest"), message.c.hidden, log_entry.c.kind == EntryKind.REMOVED)
    .group_by(message.c.id, message.c.posted_at)
    .order_by(message.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)
_RESTORATIONS: Final = (
    select(log_entry.c.message_id, _LAST_AT.label("restored_at"))
    .where(log_entry.c.message_id >= bindparam("oldest"), log_entry.c.kind == EntryKind.RESTORED)
    .group_by(log_entry.c.message_id)
)


def removals(connection: Connection, oldest: int, most: int) -> list[Removal]:
    """Return the messages from this id on that are off the board, newest first."""
    rows = connection.execute(_REMOVALS, {"oldest": oldest, "most": most})
    return [Removal(id=row.id, posted_at=row.posted_at, removed_at=row.removed_at) for row in rows]


def restorations(connection: Connection, oldest: int) -> dict[int, datetime]:
    """Return when each message from this id on was last restored, by id; those that never were are left out."""
    return {row.message_id: row.restored_at for row in connection.execute(_RESTORATIONS, {"oldest": oldest})}
