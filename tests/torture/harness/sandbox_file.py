"""The sandbox's file, read directly, because its ledger over HTTP always returns everything."""

import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SandboxFile:
    """A running sandbox's SQLite file."""

    path: Path

    def acknowledged_after(self, attempt: int) -> tuple[int, dict[str, str]]:
        """Return the last attempt's number, and the types by id of the events that got a 2xx after an attempt."""
        rows = self._rows(
            "SELECT seq, event, type FROM attempts WHERE seq > ? AND status BETWEEN 200 AND 299 ORDER BY seq", attempt
        )
        return (rows[-1][0] if rows else attempt), {event: kind for _, event, kind in rows}

    def events_of(self, session_ids: Sequence[str]) -> list[str]:
        """Return the ids of all events of these sessions that are sent to the board, in the order they happened."""
        marks = ", ".join("?" * len(session_ids))
        rows = self._rows(
            f"SELECT event FROM deliveries JOIN objects ON objects.id = event "  # noqa: S608 - marks alone
            f"WHERE deliveries.session IN ({marks}) ORDER BY objects.seq",
            *session_ids,
        )
        return [event for (event,) in rows]

    def add_unreadable_event(self) -> None:
        """Make the sandbox list an event that contradicts Stripe's documentation: a session without a status."""
        session = {"id": "cs_unreadable", "object": "checkout.session", "livemode": False, "metadata": {}}
        now = int(time.time())
        event = {
            "id": "evt_unreadable",
            "object": "event",
            "type": "checkout.session.completed",
            "created": now,
            "livemode": False,
            "data": {"object": session},
        }
        with closing(sqlite3.connect(self.path, timeout=10, isolation_level=None)) as connection:
            connection.execute(
                "INSERT INTO objects (id, kind, created, body, private) VALUES (?, 'event', ?, ?, '{}')",
                (event["id"], now, json.dumps(event)),
            )

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, isolation_level=None)) as connection:
            return connection.execute(sql, values).fetchall()
