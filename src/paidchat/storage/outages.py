"""Outages: tells errors that any request would meet, such as a lost connection, from those of one statement."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from paidchat.storage.sqlite_library import sqlite3

# Classes of PostgreSQL errors that the statement did not cause: connection, state, resources, a lock timeout,
# a deadlock, an operator's intervention, the system
# (postgresql.org/docs/current/errcodes-appendix.html).
_OUTAGES = frozenset({"08", "25", "40", "53", "55", "57", "58"})
LOCKED = frozenset({"55P03", "40P01"})  # lock timeout, deadlock
# These are met by one transaction, whose neighbours may still be written: also a serialization failure, and a statement
# that took too long.
_OF_ONE_TRANSACTION: Final = LOCKED | {"40001", "57014"}
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PRIMARY = 0xFF  # the lowest byte of SQLite's extended codes is the primary code (sqlite.org/rescode.html)


class DatabaseUnavailable(Exception):
    """The database is unreachable, locked, full or shutting down, so the request failed, whatever it was.

    The text is the driver's. Other database errors are bugs of ours and are raised as SQLAlchemy's.
    """

    @property
    def is_locked(self) -> bool:
        """Whether the cause was a lock: a timeout, or a deadlock, in which our transaction was rolled back."""
        state, code = _codes(self.__cause__)
        return state in LOCKED or (code is not None and code & _PRIMARY in _BUSY)


class Crowded(Exception):
    """Others have been writing for too long, or too many are waiting; nothing was written."""


@contextmanager
def telling_outages() -> Iterator[None]:
    """Translate outages into DatabaseUnavailable. Await nothing but the database inside."""
    try:
        yield
    except Exception as error:
        if not is_outage(error):
            raise
        raise DatabaseUnavailable(words(error)) from error


def is_outage(error: Exception) -> bool:
    """Tell whether the error is none of the statement's, so that it may succeed at another time."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeout | OSError | TimeoutError | Crowded)
    state, code = _codes(error)
    if state is not None:
        return state[:2] in _OUTAGES
    if code is not None and code & _PRIMARY == sqlite3.SQLITE_ERROR:
        return False  # a missing table or column
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def is_of_one_transaction(error: Exception) -> bool:
    """Tell whether other transactions may succeed meanwhile: one was locked out, deadlocked or took too long.

    Only on PostgreSQL: a lock on SQLite's file stops every writer.
    """
    return _codes(error)[0] in _OF_ONE_TRANSACTION


def words(error: Exception) -> str:
    """Return what the driver says."""
    cause = _cause(error)
    return str(cause) or type(cause).__name__


def _codes(error: BaseException | None) -> tuple[str | None, int | None]:
    """Return PostgreSQL's and SQLite's code for an error, each None if it has none."""
    cause = _cause(error)
    return getattr(cause, "sqlstate", None), getattr(cause, "sqlite_errorcode", None)


def _cause(error: BaseException | None) -> BaseException | None:
    """Return the driver's error, unwrapped from SQLAlchemy's."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
