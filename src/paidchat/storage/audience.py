"""The statements about the audience: how many viewers each process has, in a row that only that process writes."""

from datetime import timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, bindparam, delete, func, select
from sqlalchemy.engine import Connection

from paidchat.storage import clock
from paidchat.storage.queries import insert_into
from paidchat.storage.tables import Audience, table

audience = table(Audience)

SILENT: Final = timedelta(seconds=30)  # a process that has written nothing for so long has ended, or can't write
KEPT: Final = timedelta(days=1)  # for the rows of those that were killed


@cache
def _report(backend: str) -> Any:
    new = insert_into(backend, audience).values(
        process=bindparam("process"), viewers=bindparam("viewers"), seen_at=clock.moment(backend)
    )
    again = {"viewers": new.excluded.viewers, "seen_at": new.excluded.seen_at}
    return new.on_conflict_do_update(index_elements=["process"], set_=again)


@cache
def _others(backend: str) -> Select[int]:
    alive = clock.within(backend, audience.c.seen_at, SILENT)
    others = select(func.coalesce(func.sum(audience.c.viewers), 0))
    return others.where(audience.c.process != bindparam("process"), alive)


def report(connection: Connection, process: str, viewers: int) -> int:
    """Store how many viewers a process has; returns how many all others have that were not silent."""
    backend = connection.dialect.name
    connection.execute(_report(backend), {"process": process, "viewers": viewers})
    return int(connection.execute(_others(backend), {"process": process}).scalar_one())


def withdraw(connection: Connection, process: str) -> None:
    """Delete the row of a process that has no viewers any more."""
    connection.execute(delete(audience).where(audience.c.process == process))


def prune(connection: Connection) -> None:
    """Delete the rows of processes that ended without doing so themselves."""
    connection.execute(delete(audience).where(audience.c.seen_at < clock.moment(connection.dialect.name, -KEPT)))
