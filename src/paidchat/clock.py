"""The process's wall clock: the one place that reads it, so that there is one place to doubt it.

It may be wrong, and it may jump. So it gates nothing on PostgreSQL, where `storage.clock` asks the database instead,
and never decides which of two answers of Stripe's is the newer one.
"""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the wall-clock time, in UTC."""
    return datetime.now(UTC)
