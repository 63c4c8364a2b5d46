"""Rows written directly into a board's database, as another process would write them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from paidchat.board import record
from paidchat.records import PaymentRecord, Posted
from paidchat.storage import queries
from paidchat.storage.database import Database
from paidchat.storage.schema import migrate
from tests.support.transactions import reading, transaction


def opened(url: str) -> Database:
    """Return an existing database; open it with `async with`."""
    return Database(url)


@asynccontextmanager
async def migrated(url: str) -> AsyncIterator[Database]:
    """Open a new database, with its tables and an empty board."""
    async with opened(url) as database:
        await migrate(database)
        await database.write(queries.ensure_board, tag=uuid.uuid4().hex, epoch=uuid.uuid4().hex)
        yield database


async def first_sweep_over(url: str) -> None:
    """Wait until the reconciler's first pass is over; the next one starts a whole period later."""
    await _until_the_sweep(url, is_held=False)


async def sweep_under_way(url: str) -> None:
    """Wait until a process is in the middle of a reconciler's pass."""
    await _until_the_sweep(url, is_held=True)


async def _until_the_sweep(url: str, *, is_held: bool) -> None:
    async with opened(url) as database:
        for _ in range(200):
            async with reading(database) as connection:
                row = (await connection.execute(select(queries.sweep))).one_or_none()
            if row is not None and (row.held_until > datetime.now(UTC)) is is_held:
                return
            await asyncio.sleep(0.1)
    raise AssertionError("no sweep began or ended")


async def payments_in(url: str) -> list[str]:
    """Return the ids of all payments in a database."""
    async with opened(url) as database, reading(database) as connection:
        return list((await connection.execute(select(queries.payment.c.id))).scalars())


async def next_payment_in(url: str, before: list[str]) -> None:
    """Wait until there is a payment that was not there before: its request has claimed it."""
    for _ in range(200):
        if set(await payments_in(url)) - set(before):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("no payment was started")


def payment_row(**changes: Any) -> dict[str, Any]:
    """Return the columns of a payment that was just started and that Stripe has not been asked about."""
    now = datetime.now(UTC)
    return {
        "id": str(uuid.uuid4()),
        "status": "pending",
        "paid": False,
        "refunded": False,
        "disputed": False,
        "text": "Hello",
        "author": None,
        "amount": 100,
        "currency": "usd",
        "created_at": now,
        "expires_at": now + timedelta(minutes=60),
        "stripe_key": str(uuid.uuid4()),
        "stripe_params": {},
        "client": "127.0.0.1",
        **changes,
    }


async def write_payment(connection: AsyncConnection, **changes: Any) -> str:
    """Insert a payment and return its id."""
    row = payment_row(**changes)
    await connection.execute(insert(queries.payment).values(row))
    return str(row["id"])


async def write_messages(database: Database, count: int, text: str = "Hello") -> list[int]:
    """Post messages, each for its own payment, in one transaction, and return their ids."""
    return await write([payment_row(status="fulfilled", paid=True, text=text) for _ in range(count)], database)


async def write_pinned(database: Database, amounts: Sequence[int], seconds: int) -> list[int]:
    """Post messages of these amounts, pinned for some seconds, in one transaction, and return their ids."""
    tier = {"status": "fulfilled", "paid": True, "pinned_seconds": seconds}
    return await write([payment_row(**tier, amount=amount) for amount in amounts], database)


async def write(rows: list[dict[str, Any]], database: Database) -> list[int]:
    """Post the messages of these payments in one transaction, and return their ids."""
    now = datetime.now(UTC)
    async with transaction(database) as connection:
        await connection.execute(insert(queries.payment), rows)
        written = [row["id"] for row in rows]
        payments: dict[str, PaymentRecord] = {}
        for start in range(0, len(rows), 500):
            payments |= await connection.run_sync(queries.lock_payments, written[start : start + 500])
        return await connection.run_sync(record, [Posted(payments[id_]) for id_ in written], now)
