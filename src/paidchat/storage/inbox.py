"""The inbox: Stripe's events, each stored once with the verdict on it, in the transaction that acted on it."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ARRAY, Select, bindparam, column, func, or_, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection

from paidchat.domain import TO_BE_RETRIED, Verdict
from paidchat.records import ReceivedEvent
from paidchat.storage.bulk import BulkStatement
from paidchat.storage.queries import insert_into, one_of
from paidchat.storage.rows import columns_of
from paidchat.storage.tables import StripeEvent, table

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.sql.dml import ReturningInsert

stripe_event = table(StripeEvent)
_TO_BE_RETRIED: Final = or_(*(stripe_event.c.verdict == verdict for verdict in sorted(TO_BE_RETRIED)))
_COLUMNS: Final = tuple(stripe_event.c)


@cache
def _find(backend: str) -> Select[str, str]:
    these = one_of(backend, "event_ids", stripe_event.c.id)
    return select(stripe_event.c.id, stripe_event.c.verdict).where(these)


def _unless_settled(new: "sqlite.Insert | postgresql.Insert") -> "sqlite.Insert | postgresql.Insert":
    return new.on_conflict_do_update(
        index_elements=["id"],
        set_={"verdict": new.excluded.verdict, "received_at": new.excluded.received_at},
        where=_TO_BE_RETRIED,
    )


_STORE_ONE: Final = BulkStatement(_unless_settled(sqlite.insert(stripe_event)))
_NEW: Final = (
    func.unnest(*(bindparam(each.name, type_=ARRAY(each.type)) for each in _COLUMNS))
    .table_valued(*(column(each.name, each.type) for each in _COLUMNS), name="new")
    .render_derived()
)


@cache
def _store_all() -> "ReturningInsert[str]":
    new = insert_into("postgresql", stripe_event).from_select([each.name for each in _COLUMNS], select(_NEW))
    return _unless_settled(new).returning(stripe_event.c.id)


class StoredMeanwhile(Exception):
    """Another transaction has stored one of these events since they were looked up; look again."""


def find_verdicts(connection: Connection, event_ids: Collection[str]) -> dict[str, Verdict]:
    """Return the verdicts on the events that are in the inbox, by id."""
    if not event_ids:
        return {}
    found = connection.execute(_find(connection.dialect.name), {"event_ids": list(event_ids)})
    return {event_id: Verdict(verdict) for event_id, verdict in found}


def store_events(connection: Connection, events: Sequence[ReceivedEvent]) -> None:
    """Store events with their verdicts, new ones and those that were to be retried.

    They are written in the order of their ids, so that two transactions cannot deadlock.

    Raises:
        StoredMeanwhile: one of them is settled already; this transaction must not commit.
    """
    if not events:
        return
    rows = [columns_of(event) for event in sorted(events, key=lambda event: event.id)]
    store = _store_on_sqlite if connection.dialect.name == "sqlite" else _store_on_postgresql
    if store(connection, rows) != len(rows):
        raise StoredMeanwhile


def _store_on_sqlite(connection: Connection, rows: Sequence[dict[str, Any]]) -> int:
    return _STORE_ONE.execute_many(connection, rows)


def _store_on_postgresql(connection: Connection, rows: Sequence[dict[str, Any]]) -> int:
    """Store them with one statement: asyncpg doesn't say how many rows `executemany` has changed."""
    columns = {each.name: [row[each.name] for row in rows] for each in _COLUMNS}
    return len(connection.execute(_store_all(), columns).all())


def note_event(connection: Connection, event: ReceivedEvent) -> bool:
    """Store an event that needs no action; returns False if it is in the inbox already."""
    new = insert_into(connection.dialect.name, stripe_event).values(columns_of(event))
    return connection.execute(new.on_conflict_do_nothing(index_elements=["id"])).rowcount == 1
