"""Tiers: what was promised stands on the payment's row, and how long a message is pinned on its own.

Programs of revision 0002 may go on: the payments that they start have no pin, and when one of them posts the message of
a payment that has one, a trigger writes `pinned_until`. A migration that raises `works_with` may drop the trigger; one
that rebuilds `message` on SQLite drops it unasked.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ON_SQLITE = (
    """
    CREATE TRIGGER message_pin AFTER INSERT ON message
    WHEN NEW.pinned_until IS NULL
        AND EXISTS (SELECT 1 FROM payment WHERE id = NEW.payment_id AND pinned_seconds > 0)
    BEGIN
        UPDATE message SET pinned_until = (
            SELECT strftime('%Y-%m-%d %H:%M:%S', substr(NEW.posted_at, 1, 19), '+' || pinned_seconds || ' seconds')
                || substr(NEW.posted_at, 20)
            FROM payment WHERE id = NEW.payment_id
        ) WHERE id = NEW.id;
    END
    """,
)
ON_POSTGRESQL = (
    """
    CREATE FUNCTION message_pin() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        SELECT NEW.posted_at + make_interval(secs => pinned_seconds) INTO NEW.pinned_until
        FROM payment WHERE id = NEW.payment_id AND pinned_seconds > 0;
        RETURN NEW;
    END
    $$
    """,
    """
    CREATE TRIGGER message_pin BEFORE INSERT ON message
    FOR EACH ROW WHEN (NEW.pinned_until IS NULL) EXECUTE FUNCTION message_pin()
    """,
)


def upgrade() -> None:
    op.add_column("payment", sa.Column("requested_amount", sa.Integer(), nullable=True))
    op.add_column("payment", sa.Column("pinned_seconds", sa.Integer(), server_default="0", nullable=False))
    op.add_column("message", sa.Column("pinned_until", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "message_pinned",
        "message",
        ["pinned_until"],
        unique=False,
        sqlite_where=sa.text("pinned_until IS NOT NULL AND hidden = 0"),
        postgresql_where=sa.text("pinned_until IS NOT NULL AND NOT hidden"),
    )
    for statement in ON_POSTGRESQL if op.get_bind().dialect.name == "postgresql" else ON_SQLITE:
        op.execute(statement)
