"""The partial indexes. The schema that Alembic and the tests compare has them; statements don't need to know them.

They are apart from the tables because SQLAlchemy imports each dialect that an option is for: PostgreSQL's takes 35 ms
and 2.5 MiB, which a board on SQLite starts without.
"""

from functools import cache

from sqlalchemy import Column, Index, MetaData, text
from sqlmodel import SQLModel

from paidchat.storage.tables import Message, Payment, Refund, table

payment, message, refund = table(Payment).c, table(Message).c, table(Refund).c


@cache
def metadata() -> MetaData:
    """Return all tables with all their indexes."""
    # for the caps on open payments
    _partial("payment_open", payment.client, payment.expires_at, where="status = 'pending'")
    # for pruning
    _partial("payment_unpaid", payment.created_at, where="status IN ('expired', 'failed')")
    # for the sweep; most payments are settled
    _partial("payment_unsettled", payment.created_at, where="status IN ('pending', 'processing')")
    _partial("refund_wanted", refund.due_at, where="status = 'wanted'")
    # for the newest page
    Index("message_shown", message.id, sqlite_where=text("hidden = 0"), postgresql_where=text("NOT hidden"))
    Index(
        "message_pinned",
        message.pinned_until,
        sqlite_where=text("pinned_until IS NOT NULL AND hidden = 0"),
        postgresql_where=text("pinned_until IS NOT NULL AND NOT hidden"),
    )
    return SQLModel.metadata


def _partial(name: str, *columns: Column[object], where: str) -> None:
    """Add an index to its table."""
    Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))
