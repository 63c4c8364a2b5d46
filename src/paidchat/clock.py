"""The process's wall clock, read only here.

It may be wrong, and it may jump. So nothing depends on it on PostgreSQL, where `storage.clock` asks the database
instead, and it never decides which of two answers from Stripe is newer.
"""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the wall-clock time, in UTC."""
    return datetime.now(UTC)
