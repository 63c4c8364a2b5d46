"""PostgreSQL URLs as hosted services give them: the same for the engine and the listener, including TLS."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from paidchat.storage.database import DatabaseUnavailable
from paidchat.storage.listener import Listener
from tests.support.network.tls_relay import tls_relay
from tests.support.postgres import Postgres
from tests.support.rows import opened
from tests.support.transactions import reading


async def application_name(url: str) -> str:
    """Connect as the engine and as the listener do, and return the engine's application name."""
    async with opened(url) as database:
        async with reading(database) as connection:
            name = (await connection.execute(text("SHOW application_name"))).scalar_one()
        listener = Listener(database.changes, database.connect)
        running = asyncio.create_task(listener.run())
        async with asyncio.timeout(10):
            while listener.heard_at is None:
                assert not running.done()
                await asyncio.sleep(0.05)
        running.cancel()
    return str(name)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("", "paidchat"),
        ("sslmode=disable", "paidchat"),
        ("sslmode=prefer", "paidchat"),
        ("ssl=false", "paidchat"),
        ("application_name=board", "board"),
        ("sslmode=allow&channel_binding=prefer&connect_timeout=10&gssencmode=disable", "paidchat"),
        ("options=-c%20statement_timeout%3D4s&target_session_attrs=read-write", "paidchat"),
    ],
)
async def test_parameters_mean_the_same_to_every_connection(postgres: Postgres, parameters: str, name: str) -> None:
    """With libpq's parameters in the URL, the engine and the listener both connect."""
    url = postgres.create_database()
    joined = f"{url}{'&' if '?' in url else '?'}{parameters}"
    assert await application_name(joined) == name


@pytest.mark.parametrize(
    ("host", "parameters", "works"),
    [
        ("localhost", "sslmode=require", True),
        ("localhost", "ssl=true", True),
        ("localhost", "sslmode=require&channel_binding=require", True),
        ("127.0.0.1", "sslmode=require", True),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert={root}", True),
        ("localhost", "sslmode=verify-full&sslrootcert={root}", True),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert={root}", False),
        ("localhost", "sslmode=disable", False),
    ],
)
async def test_tls_is_used_as_it_is_asked_for(
    postgres: Postgres, tmp_path: Path, host: str, parameters: str, works: bool
) -> None:
    """TLS is used and the server's certificate checked as the URL says; its host name only with verify-full."""
    target = make_url(postgres.create_database())
    async with tls_relay(tmp_path, target) as port:
        address = f"postgresql://{target.username}:{target.password or ''}@{host}:{port}/{target.database}"
        url = f"{address}?{parameters.format(root=tmp_path / 'server.pem')}"
        if works:
            assert await application_name(url) == "paidchat"
        else:
            with pytest.raises(DatabaseUnavailable):
                await application_name(url)
