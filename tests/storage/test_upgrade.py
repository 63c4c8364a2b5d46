"""Upgrades: programs and schemas of different revisions together, and data that survives a migration."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Inspector, MetaData, insert, inspect, literal, select, text
from sqlalchemy.exc import IntegrityError

from paidchat.domain import Verdict
from paidchat.storage import inbox, queries, schema
from paidchat.storage.database import Database
from paidchat.storage.schema import Fit, SchemaOutOfDate
from tests.support.rows import opened, write_messages
from tests.support.transactions import reading, transaction

NEXT = f"{int(schema.HEAD) + 1:04}"

# What a database says, and what this program concludes: revision, works_with (None: no row), fit, text.
AGES = [
    pytest.param(schema.HEAD, schema.HEAD, Fit.CURRENT, f"at revision {schema.HEAD}.", id="its own"),
    pytest.param(schema.HEAD, "9999", Fit.CURRENT, f"at revision {schema.HEAD}.", id="its own, whatever it says"),
    pytest.param(NEXT, schema.HEAD, Fit.NEWER, f"revision {NEXT}, newer than", id="newer, for programs like this"),
    pytest.param("0010", "0001", Fit.NEWER, "which may still use it", id="much newer, for any program"),
    pytest.param(NEXT, NEXT, Fit.REFUSED, f"needs at least a program of revision {NEXT}. Update", id="too new"),
    pytest.param("0100", "0010", Fit.REFUSED, "needs at least a program of revision 0010", id="much too new"),
    pytest.param(NEXT, None, Fit.REFUSED, "does not say that older programs may", id="newer, and says nothing"),
    pytest.param(NEXT, "", Fit.REFUSED, "does not say that older programs may", id="newer, and says an empty word"),
    pytest.param(NEXT, "1", Fit.REFUSED, "does not say that older programs may", id="newer, and says no revision"),
    pytest.param("garbage", schema.HEAD, Fit.REFUSED, "garbage, which this program", id="no revision at all"),
    pytest.param("0000", schema.HEAD, Fit.REFUSED, "0000, which this program", id="a revision that never was"),
    pytest.param("00011", schema.HEAD, Fit.REFUSED, "00011, which this program", id="a digit too many"),
    pytest.param("٠٠٠٣", schema.HEAD, Fit.REFUSED, "which this program", id="digits of another script"),
]


async def _pretend(database: Database, revision: str, works_with: str | None) -> None:
    """Make a migrated database look like one of this revision."""
    async with transaction(database) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})
        if works_with is None:
            await connection.execute(text("DELETE FROM compatibility"))
        else:
            await connection.execute(text("UPDATE compatibility SET works_with = :new"), {"new": works_with})


@pytest.mark.parametrize(("revision", "works_with", "fit", "words"), AGES)
async def test_a_program_uses_the_schemas_it_may(
    database: Database, revision: str, works_with: str | None, fit: Fit, words: str
) -> None:
    """A program uses its own schema and newer ones that allow it; others are refused with an explanation."""
    await _pretend(database, revision, works_with)
    async with reading(database) as connection:
        found = await connection.run_sync(schema.examine)
    assert (found.revision, found.fit) == (revision, fit)
    if fit is Fit.REFUSED:
        for refuse in (schema.prepare, schema.migrate):
            with pytest.raises(SchemaOutOfDate, match=words):
                await refuse(database)
    else:
        assert words in found.words
        await schema.prepare(database)
        assert (await schema.migrate(database)).fit is fit
    async with reading(database) as connection:
        assert await connection.run_sync(schema.revision) == revision


async def test_a_newer_schema_without_the_table_is_refused(database: Database) -> None:
    """A newer schema without the table `compatibility` does not allow older programs."""
    await _pretend(database, NEXT, None)
    async with transaction(database) as connection:
        await connection.execute(text("DROP TABLE compatibility"))
    with pytest.raises(SchemaOutOfDate, match="does not say that older programs may use it"):
        await schema.prepare(database)


# --- from 0001 to the newest -----------------------------------------------------------------------

VERDICTS_OF_0001 = (
    *("applied", "repeated", "duplicate", "foreign", "unknown", "wrong_mode", "wrong_amount", "not_paid"),
    *("surplus", "surplus_moved"),
)
NOW = datetime(2026, 11, 1, 12, 30, 15, 123456, tzinfo=UTC)


def _upgrade_to(revision: str) -> Callable[[Connection], None]:
    def upgrade(connection: Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        command.upgrade(config, revision)

    return upgrade


def _payment(number: int, status: str) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-4000-8000-{number:012}",
        "status": status,
        "paid": status in {"fulfilled", "refunded", "disputed"},
        "refunded": status == "refunded",
        "disputed": status == "disputed",
        "text": f"Line {number}\n“ünï” 🎉",
        "author": None if number % 2 else "Zoë",
        "amount": 100 + number,
        "currency": "usd",
        "created_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
        "client": "a client",
        "stripe_key": f"key {number}",
        "stripe_params": {"line_items": [{"quantity": 1}]},
        "session_id": f"cs_{number}",
        "payment_intent": f"pi_{number}" if status == "fulfilled" else None,
        "known_at": NOW if status == "fulfilled" else None,
    }


STATUSES = (*["fulfilled"] * 3, "pending", "processing", "failed", "expired", "refunded", "disputed")
POSTED = [f"00000000-0000-4000-8000-{number:012}" for number in range(3)]
ROWS: dict[str, list[dict[str, Any]]] = {
    "board": [{"id": 1, "tag": "tag", "epoch": "epoch", "seq": 4}],
    "payment": [_payment(number, status) for number, status in enumerate(STATUSES)],
    "message": [
        {
            "id": seq,
            "payment_id": payment_id,
            "text": "Line",
            "author": None,
            "amount": 100,
            "currency": "usd",
            "posted_at": NOW,
            "moderated": seq == 3,
            "hidden": seq == 3,
        }
        for seq, payment_id in enumerate(POSTED, 1)
    ],
    "log_entry": [
        *({"seq": seq, "kind": "posted", "message_id": seq, "reason": None, "at": NOW} for seq in (1, 2, 3)),
        {"seq": 4, "kind": "removed", "message_id": 3, "reason": "moderated", "at": NOW},
    ],
    "stripe_event": [
        {
            "id": f"evt_{verdict}",
            "type": "checkout.session.completed",
            "payment_id": None,
            "session_id": "cs_1",
            "verdict": verdict,
            "received_at": NOW,
        }
        for verdict in VERDICTS_OF_0001
    ],
    "refund": [
        {
            "payment_intent": f"pi_{status}",
            "payment_id": POSTED[0],
            "cause": "surplus",
            "status": status,
            "stripe_key": status,
            "attempts": 1,
            "due_at": NOW,
            "created_at": NOW,
        }
        for status in ("wanted", "sent", "refused")
    ],
    "sweep": [{"id": 1, "holder": "somebody", "held_until": NOW, "events_since": NOW}],
}


def _fill(connection: Connection) -> None:
    tables = MetaData()
    tables.reflect(connection)
    for name, rows in ROWS.items():
        connection.execute(tables.tables[name].insert(), rows)


def _read(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table of 0001, with its columns then, in the order of their keys."""
    tables = MetaData()
    tables.reflect(connection)
    found = {}
    for name, rows in ROWS.items():
        table = tables.tables[name]
        columns = [table.c[column] for column in rows[0]]
        ordered = select(*columns).order_by(*table.primary_key.columns)
        found[name] = [dict(row._mapping) for row in connection.execute(ordered)]
    return found


@pytest.fixture
async def upgraded(url: str) -> AsyncIterator["Upgraded"]:
    """A database of revision 0001 with rows in every table, and its contents, migrated to the newest revision."""
    async with opened(url) as database:
        async with transaction(database) as connection:
            await connection.run_sync(_upgrade_to("0001"))
            await connection.run_sync(_fill)
        async with reading(database) as connection:
            before = await connection.run_sync(_read)
        assert (await schema.migrate(database)).fit is Fit.CURRENT
        yield database, before


Upgraded = tuple[Database, dict[str, list[dict[str, Any]]]]


async def test_every_row_outlives_the_upgrade(upgraded: Upgraded) -> None:
    """Everything in a database of revision 0001 is still there after migrating, and the new columns are empty."""
    database, before = upgraded
    assert {name: len(rows) for name, rows in before.items()} == {name: len(rows) for name, rows in ROWS.items()}
    async with reading(database) as connection:
        assert await connection.run_sync(_read) == before
        new = (await connection.execute(text("SELECT known_number, closed_at FROM payment"))).all()
        assert set(new) == {(None, None)}
        promised = (await connection.execute(text("SELECT requested_amount, pinned_seconds FROM payment"))).all()
        assert set(promised) == {(None, 0)}
        assert set((await connection.execute(text("SELECT pinned_until FROM message"))).scalars()) == {None}
        assert (await connection.execute(text("SELECT answers FROM board"))).scalar_one() == 0


async def test_the_board_goes_on_after_the_upgrade(upgraded: Upgraded) -> None:
    """The next message gets the next seq, and events that were handled still count as handled."""
    database, _ = upgraded
    assert await write_messages(database, 2) == [5, 6]
    async with reading(database) as connection:
        assert [row.seq for row in await connection.run_sync(queries.log_after, 0, 100)] == [1, 2, 3, 4, 5, 6]
        verdicts = await connection.run_sync(inbox.find_verdicts, [f"evt_{verdict}" for verdict in VERDICTS_OF_0001])
        assert verdicts == {f"evt_{verdict}": verdict for verdict in VERDICTS_OF_0001}


async def test_the_checks_hold_after_the_upgrade(upgraded: Upgraded) -> None:
    """An upgraded database accepts exactly today's verdicts, and has all constraints of a new one."""
    database, _ = upgraded
    insert = text(
        "INSERT INTO stripe_event (id, type, verdict, received_at) VALUES (:id, 'refund.created', :verdict, :at)"
    )
    at = NOW.replace(tzinfo=None) if database.backend == "sqlite" else NOW
    async with transaction(database) as connection:
        for verdict in Verdict:
            await connection.execute(insert.bindparams(id=f"new {verdict}", verdict=str(verdict), at=at))
    for wrong in (
        insert.bindparams(id="another", verdict="splendid", at=at),
        insert.bindparams(id="evt_applied", verdict="applied", at=at),
        text("UPDATE payment SET status = 'splendid'"),
        text("UPDATE payment SET session_id = 'cs_1'"),
        text("UPDATE message SET payment_id = 'nobody'"),
        text("INSERT INTO compatibility (id, works_with) VALUES (2, '0001')"),
    ):
        with pytest.raises(IntegrityError):
            async with transaction(database) as connection:
                await connection.execute(wrong)


@pytest.mark.parametrize(("seconds", "pinned_for"), [(300, timedelta(minutes=5)), (604_800, timedelta(7)), (0, None)])
async def test_a_program_of_0002_posts_with_the_pin(
    upgraded: Upgraded, seconds: int, pinned_for: timedelta | None
) -> None:
    """A message posted by a program that knows no pins is pinned for as long as its payment's row says."""
    database, _ = upgraded
    new = _payment(99, "fulfilled")
    message = {**ROWS["message"][0], "id": 99, "payment_id": new["id"]}
    async with transaction(database) as connection:
        await connection.execute(insert(queries.payment), {**new, "pinned_seconds": seconds})
        columns = [queries.message.c[name] for name in message]
        old = insert(queries.message).from_select(
            list(message), select(*(literal(message[each.name], each.type) for each in columns))
        )
        await connection.execute(old)
        posted = await connection.run_sync(queries.find_message, 99)
    assert posted is not None
    assert posted.message.pinned_until == (None if pinned_for is None else NOW + pinned_for)


async def test_an_upgraded_database_is_as_a_new_one(upgraded: Upgraded, new_url: Callable[[], str]) -> None:
    """Columns, keys, indexes and CHECKs of an upgraded database are the same as those of a new one."""
    database, _ = upgraded
    async with opened(new_url()) as made:
        await schema.migrate(made)
        async with reading(made) as connection:
            expected = await connection.run_sync(_shape)
    async with reading(database) as connection:
        assert await connection.run_sync(_shape) == expected


def _shape(connection: Connection) -> dict[str, Any]:
    inspector = inspect(connection)
    return {name: _shape_of(inspector, name) for name in sorted(inspector.get_table_names())}


def _shape_of(inspector: Inspector, name: str) -> dict[str, Any]:
    return {
        "columns": [
            (column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(name)
        ],
        "key": inspector.get_pk_constraint(name)["constrained_columns"],
        "foreign": [key["constrained_columns"] for key in inspector.get_foreign_keys(name)],
        "indexes": sorted(str(index["name"]) for index in inspector.get_indexes(name)),
        "unique": sorted(constraint["column_names"] for constraint in inspector.get_unique_constraints(name)),
        "triggers": _triggers(inspector, name),
        "checks": sorted(check["sqltext"] for check in inspector.get_check_constraints(name)),
    }


def _triggers(inspector: Inspector, name: str) -> list[str]:
    found = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal",
    }[inspector.dialect.name]
    with inspector._operation_context() as connection:
        return sorted(connection.execute(text(found), {"name": name}).scalars())
