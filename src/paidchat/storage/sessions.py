"""Sessions: detects a pooler that gives each transaction another PostgreSQL session.

Behind a transaction pooler, prepared statements and notifications are lost (pgbouncer.org/features.html), so most
requests would fail although a simple query works.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, TypeAlias

import asyncpg

ANSWER_TIMEOUT_S: Final = 5
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_STATEMENT_LOST: Final = (
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.DuplicatePreparedStatementError,
    asyncpg.ProtocolViolationError,
)
REMEDY: Final = "Use a pool in session mode, or the database's own address."


class SessionNotKept(ConnectionError):
    """The connection goes through a pooler that shares sessions. The message says what was lost."""

    def __init__(self, lost: str) -> None:
        self.fault = f"a pooler shares its sessions between transactions, so {lost}"
        super().__init__(f"{self.fault}. {REMEDY}")


async def check_sessions(connect: Callable[[], Awaitable[Connection]]) -> None:
    """Prepare a statement and listen for a notification, while another connection takes the session used before.

    Args:
        connect: opens a connection. It should change no settings, which would stay on a shared session.

    Raises:
        SessionNotKept: one of the two was lost.
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError: connecting failed.
    """
    with ExitStack() as stack:
        ours = await connect()
        stack.callback(ours.terminate)  # close() would wait for a session that another connection has
        other = await connect()
        stack.callback(other.terminate)
        with _telling_what_is_lost():
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await _use_statement(ours, other)
                await _hear_notification(ours, other)


@contextmanager
def _telling_what_is_lost() -> Iterator[None]:
    try:
        yield
    except _STATEMENT_LOST:
        raise SessionNotKept("prepared statements are lost") from None
    except TimeoutError:
        raise SessionNotKept("notifications are lost") from None


async def _use_statement(ours: Connection, other: Connection) -> None:
    name = f"paidchat_{uuid.uuid4().hex}"
    await ours.execute(f"PREPARE {name} AS SELECT 1")
    async with other.transaction():
        await other.execute("SELECT 1")
        await ours.execute(f"EXECUTE {name}")


async def _hear_notification(ours: Connection, other: Connection) -> None:
    channel = f"paidchat_{uuid.uuid4().hex}"
    heard = asyncio.Event()
    await ours.add_listener(channel, lambda *_: heard.set())
    async with other.transaction():
        await other.execute(f"NOTIFY {channel}")
    await heard.wait()
