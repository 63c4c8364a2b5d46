"""Databases for the subjects: all with paidchat's own tables, so that each stores the same, and one check fits all."""

import contextlib
import functools
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from benchmarks._processes import ROOT, source

SECRET = "whsec_of_the_benchmark"  # noqa: S105 - of boards that live for a minute
KEY = "sk_test_of_the_benchmark"
TAG, EPOCH = "benchmark", "epoch-of-the-benchmark"
HISTORY = 1_000  # messages on a board before anything is measured
TEXT = "x" * 180  # makes a frame of about 300 bytes

_PAYMENTS = """INSERT INTO payment (id, status, paid, refunded, disputed, text, amount, currency, created_at,
    expires_at, client, stripe_key, stripe_params, session_id) """


class Store(Protocol):
    """A database of one subject."""

    url: str  # as paidchat wants it
    address: str  # as the peers want it

    def sql(self, statement: str) -> list[list[str]]:
        """Run a statement and commit; returns its rows as text."""


class SqliteStore:
    """A database in a file."""

    def __init__(self, file: Path) -> None:
        self.url = f"sqlite:///{file}"
        self.address = str(file)

    def sql(self, statement: str) -> list[list[str]]:
        """Run a statement and commit; returns its rows as text."""
        with contextlib.closing(sqlite3.connect(self.address, timeout=10)) as connection, connection:
            return [[str(value) for value in row] for row in connection.execute(statement)]


@contextlib.contextmanager
def sqlite_store(checkout: Path = ROOT, messages: int = HISTORY) -> Iterator[Store]:
    """Make a database with a history, on the schema of a checkout."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "board.db")
        shutil.copyfile(_filled_file(checkout, messages), file)
        with file.open("rb") as copy:  # or what is measured waits for it: 3.2 ms a webhook with 10⁶ messages, not 1.2
            os.fsync(copy.fileno())
        yield SqliteStore(file)


@functools.cache
def _filled_file(checkout: Path, messages: int) -> Path:
    file = Path(_templates().name, f"{uuid.uuid4().hex}.db")
    store = SqliteStore(file)
    migrate(store, checkout)
    fill(store, messages)
    return file


@functools.cache
def _templates() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory()


def settings(store: Store, url: str, stripe: str) -> dict[str, str]:
    """Return the environment of a paidchat on a database."""
    return {
        "PAIDCHAT_DATABASE_URL": store.url,
        "PAIDCHAT_PUBLIC_URL": url,
        "PAIDCHAT_STRIPE_API_BASE": stripe,
        "PAIDCHAT_RATE_LIMIT": "off",
        "PAIDCHAT_LOG_REQUESTS": "slow-or-failed",  # the peers log nothing
        "PAIDCHAT_MAX_OPEN_PAYMENTS": "1000000",
        "PAIDCHAT_MAX_VIEWERS_PER_CLIENT": "100000",
        "PAIDCHAT_RECONCILE_SECONDS": "3600",  # sweeps would ask about every payment that the benchmark made up
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_WEBHOOK_SECRET": SECRET,
    }


def migrate(store: Store, checkout: Path) -> None:
    """Make the tables as a checkout wants them, and the board's row."""
    nowhere = "http://127.0.0.1:9"
    environment = os.environ | source(checkout) | settings(store, nowhere, nowhere)
    command = [sys.executable, "-m", "paidchat", "migrate"]
    subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    store.sql(f"INSERT INTO board (id, tag, epoch, seq) VALUES (1, '{TAG}', '{EPOCH}', 0)")


def fill(store: Store, count: int) -> None:
    """Put a history on a board that has none."""
    if count == 0:
        return
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    at = "'2026-01-01 00:00:00.000000'"
    for into, values in (
        (
            _PAYMENTS,
            f"'p' || i, 'fulfilled', true, false, false, '{TEXT}', 100, 'usd', {at}, {at}, '', 'k'||i, '{{}}', 's'||i",
        ),
        (
            "INSERT INTO message (id, payment_id, text, amount, currency, posted_at, moderated, hidden)",
            f"i, 'p' || i, '{TEXT}', 100, 'usd', {at}, false, false",
        ),
        ("INSERT INTO log_entry (seq, kind, message_id, at)", f"i, 'posted', i, {at}"),
    ):
        store.sql(f"{into} {numbers} SELECT {values} FROM n")
    store.sql(f"UPDATE board SET seq = {count}")


def insert_payments(store: Store, count: int) -> list[str]:
    """Insert unpaid payments, each with a session of its own; returns their ids."""
    ids = [str(uuid.uuid4()) for _ in range(count)]
    now = datetime.now(UTC).replace(tzinfo=None)
    times = f"'{now.isoformat(' ')}', '{(now + timedelta(hours=1)).isoformat(' ')}'"
    rows = (
        f"('{each}', 'pending', false, false, false, '{TEXT}', 100, 'usd', {times}, '', '{each}', '{{}}', 'cs_{each}')"
        for each in ids
    )
    store.sql(f"{_PAYMENTS} VALUES {', '.join(rows)}")
    return ids


def check_posted(store: Store) -> None:
    """Check that each payment that the benchmark paid has posted one message with one entry, and nothing else has."""
    [[unposted]] = store.sql(
        "SELECT count(*) FROM payment LEFT JOIN message ON message.payment_id = payment.id"
        " LEFT JOIN log_entry ON log_entry.message_id = message.id"
        " LEFT JOIN stripe_event ON stripe_event.payment_id = payment.id"
        " WHERE payment.session_id LIKE 'cs_%'"
        " AND (status <> 'fulfilled' OR log_entry.seq IS NULL OR stripe_event.id IS NULL)"
    )
    assert unposted == "0", f"{unposted} messages are missing"
    [[head, entries, messages]] = store.sql(
        "SELECT seq, (SELECT count(*) FROM log_entry), (SELECT count(*) FROM message) FROM board"
    )
    assert head == entries == messages, f"seq {head}, {entries} entries, {messages} messages"
