"""Poolers between a board and PostgreSQL: session mode works, and one that shares sessions is reported."""

import asyncio

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from paidchat.cli.doctor import Level, examine
from paidchat.settings import Settings
from paidchat.storage import schema
from paidchat.storage.database import DatabaseUnavailable
from paidchat.storage.listener import Listener
from paidchat.storage.sessions import REMEDY
from tests.support.network.pooler import Mode, pooled
from tests.support.postgres import Postgres
from tests.support.rows import opened
from tests.support.served import SECRET, free_port
from tests.support.transactions import reading
from tests.support.waiting import until


async def test_a_session_pooler_works(postgres: Postgres) -> None:
    """Through a pooler in session mode, a database can be migrated, read concurrently, and listened to."""
    async with pooled(postgres.create_database(), "session") as url, opened(url) as database:
        await database.check_sessions()
        assert (await schema.migrate(database)).usable

        async def read() -> int:
            async with reading(database) as connection:
                return int((await connection.execute(text("SELECT count(*) FROM alembic_version"))).scalar_one())

        assert await asyncio.gather(*(read() for _ in range(12))) == [1] * 12
        listener = Listener(database.changes, database.connect)
        running = asyncio.create_task(listener.run())
        await until(lambda: listener.heard_at is not None, "the listener connects")
        running.cancel()


@pytest.mark.parametrize("mode", ["oldest first", "latest first"])
async def test_a_transaction_pooler_is_named(postgres: Postgres, mode: Mode) -> None:
    """A pooler that shares sessions makes the database unusable, with an error that names it and the remedy."""
    async with pooled(postgres.create_database(), mode) as url, opened(url) as database:
        with pytest.raises(DatabaseUnavailable, match=r"shares its sessions.*session mode"):
            await database.check_sessions()


async def test_the_doctor_names_it(postgres: Postgres) -> None:
    """The doctor reports a pooler that shares sessions as a failure, with the remedy."""
    async with pooled(postgres.create_database(), "latest first") as url:
        settings = Settings(
            database_url=url,
            public_url="http://localhost:8000",
            stripe_secret_key=SecretStr("sk_test_of_the_tests"),
            stripe_webhook_secrets=SECRET,
            stripe_api_base=f"http://127.0.0.1:{free_port()}",
            _env_file=None,
        )
        [found] = [finding async for finding in examine(settings) if finding.subject == "database"]
    assert found.level == Level.FAILURE
    assert "prepared statements are lost" in found.found
    assert found.remedy == REMEDY


async def test_a_listener_knows_that_it_is_deaf(postgres: Postgres) -> None:
    """A listener behind such a pooler fails, and /readyz says why."""
    async with pooled(postgres.create_database(), "latest first") as url, opened(url) as database:
        listener = Listener(database.changes, database.connect)
        running = asyncio.create_task(listener.run())
        await until(lambda: listener.fault is not None, "the listener gives up")
        running.cancel()
    assert listener.fault is not None
    assert "shares its sessions" in listener.fault
    assert listener.heard_at is None


async def test_only_a_lock_is_waited_for(postgres: Postgres) -> None:
    """A migration that fails for another reason says so at once, even if the error mentions locks."""
    url = postgres.create_database()
    async with opened(url.replace("/paidchat_", "/blocks_of_")) as database, asyncio.timeout(10):
        with pytest.raises(DatabaseUnavailable, match="blocks_of_"):
            await schema.migrate(database)
