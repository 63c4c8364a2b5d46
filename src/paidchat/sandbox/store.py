"""Store: the sandbox's SQLite file, with API objects, deliveries, idempotency keys and settings."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paidchat.sandbox.shapes import Json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of creation; lists are read by it, newest first
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,                     -- the object's own "object" field
    session TEXT,                           -- the checkout session it belongs to
    created INTEGER NOT NULL,
    due REAL,                               -- when time changes it (expiry, settlement), by the sandbox clock
    body TEXT NOT NULL,                     -- the object as the API shows it
    private TEXT NOT NULL                   -- data that the API never shows
);
CREATE INDEX IF NOT EXISTS objects_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_session ON objects (session, kind, seq);
CREATE INDEX IF NOT EXISTS objects_due ON objects (due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_intent
    ON objects (kind, json_extract(body, '$.payment_intent'), seq);
CREATE INDEX IF NOT EXISTS objects_charge
    ON objects (json_extract(body, '$.charge'), kind) WHERE kind IN ('refund', 'dispute');

CREATE TABLE IF NOT EXISTS deliveries (
    event TEXT PRIMARY KEY,
    session TEXT,
    type TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dropped', 'abandoned')),
    attempts INTEGER NOT NULL DEFAULT 0,
    begun REAL NOT NULL,                    -- by the sandbox clock, like due
    due REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due) WHERE state = 'pending';

CREATE TABLE IF NOT EXISTS attempts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    type TEXT NOT NULL,
    session TEXT,
    attempt INTEGER NOT NULL,
    status INTEGER,                         -- NULL if there was no response
    note TEXT,                              -- why there was none
    at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS attempts_event ON attempts (event);

CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    request_id TEXT NOT NULL,
    at INTEGER NOT NULL
);

CREATE INDEX IF NOT EXISTS idempotency_at ON idempotency (at);

CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Store:
    """One connection, used only in the event loop's thread; a transaction takes well under a millisecond.

    Writes survive a killed process: WAL with `synchronous=NORMAL` loses commits only if the machine itself
    goes down.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None
        self.after_commit: Callable[[], None] = lambda: None

    @property
    def _db(self) -> sqlite3.Connection:
        if self._open is None:
            raise RuntimeError("The sandbox is not running: enter its lifespan, or running(sandbox).")
        return self._open

    def open(self) -> None:
        """Open the file; create it and its folders if they don't exist, accessible only to our own user."""
        missing = [folder for folder in self._path.absolute().parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        if not self._path.exists():
            os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))  # the WAL gets the same mode
        self._open = sqlite3.connect(self._path, isolation_level=None)
        self._open.row_factory = sqlite3.Row
        self._open.execute("PRAGMA journal_mode=WAL")
        self._open.execute("PRAGMA synchronous=NORMAL")
        self._open.execute("PRAGMA busy_timeout=5000")
        self._open.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file; it can be reopened."""
        if self._open is not None:
            self._open.close()
            self._open = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in a transaction; a nested one joins the outer one."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        self.after_commit()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open a second, read-only connection, for long reads in another thread."""
        path = self._path.resolve().as_uri()
        connection = sqlite3.connect(f"{path}?mode=ro", uri=True, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            connection.close()

    def rows(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        """Run one statement and return its rows."""
        return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Row | None:
        """Run one statement and return its first row, or None."""
        found: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return found

    # Objects

    def insert(self, body: Json, *, session: str | None, private: Json | None = None, due: float | None = None) -> None:
        """Add a new object; its kind, id and creation time are its `object`, `id` and `created`."""
        self.rows(
            "INSERT INTO objects (id, kind, session, created, due, body, private) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                body["id"],
                body["object"],
                session,
                body["created"],
                due,
                json.dumps(body),
                json.dumps(private or {}),
            ),
        )

    def save(self, body: Json) -> None:
        """Store the current state of an existing object."""
        self.rows("UPDATE objects SET body = ? WHERE id = ?", (json.dumps(body), body["id"]))

    def set_private(self, object_id: str, private: Json) -> None:
        """Store an object's private data, which the API never shows."""
        self.rows("UPDATE objects SET private = ? WHERE id = ?", (json.dumps(private), object_id))

    def set_due(self, object_id: str, due: float | None) -> None:
        """Set when time will next change this object; None means never."""
        self.rows("UPDATE objects SET due = ? WHERE id = ?", (due, object_id))

    def get(self, kind: str, object_id: str) -> Json | None:
        """Return an object by kind and id, or None."""
        row = self.row("SELECT body FROM objects WHERE id = ? AND kind = ?", (object_id, kind))
        return None if row is None else _object(row["body"])

    def private(self, object_id: str) -> Json:
        """Return an object's private data; empty if the object is unknown."""
        row = self.row("SELECT private FROM objects WHERE id = ?", (object_id,))
        return {} if row is None else _object(row["private"])

    def session_of(self, object_id: str) -> str | None:
        """Return the id of the checkout session that an object belongs to, or None."""
        row = self.row("SELECT session FROM objects WHERE id = ?", (object_id,))
        return None if row is None else row["session"]

    def of_session(self, session_id: str, kind: str) -> list[Json]:
        """Return a session's objects of one kind, newest first."""
        rows = self.rows(
            "SELECT body FROM objects WHERE session = ? AND kind = ? ORDER BY seq DESC", (session_id, kind)
        )
        return [_object(row["body"]) for row in rows]

    def overdue(self, now: float, limit: int) -> list[Json]:
        """Return the objects that are due, longest overdue first."""
        rows = self.rows(
            "SELECT body FROM objects WHERE due IS NOT NULL AND due <= ? ORDER BY due LIMIT ?", (now, limit)
        )
        return [_object(row["body"]) for row in rows]

    # Settings

    def setting(self, name: str, default: Any) -> Any:
        """Return a stored setting, or the default."""
        row = self.row("SELECT value FROM settings WHERE name = ?", (name,))
        return default if row is None else json.loads(row["value"])

    def set_setting(self, name: str, value: Any) -> None:
        """Store a setting as JSON."""
        self.rows(
            "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, json.dumps(value)),
        )


def _object(text: str) -> Json:
    loaded: Json = json.loads(text)
    return loaded
