"""Number Stripe's answers, record when Stripe closed a payment, and say which programs may use the schema."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# A program of revision 0001 does not look for this, and stops at a schema newer than itself.
WORKS_WITH = "0002"

VERDICTS = (
    "verdict IN ('applied', 'repeated', 'overtaken', 'duplicate', 'unreadable', 'foreign', 'unknown', 'wrong_mode', "
    "'wrong_amount', 'not_paid', 'surplus', 'surplus_moved')"
)


def upgrade() -> None:
    compatibility = op.create_table(
        "compatibility",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("works_with", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name="compatibility_is_one_row"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.bulk_insert(compatibility, [{"id": 1, "works_with": WORKS_WITH}])

    op.add_column("board", sa.Column("answers", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("payment", sa.Column("known_number", sa.BigInteger(), nullable=True))
    op.add_column("payment", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE answer_number AS bigint CACHE 1")

    op.create_index(
        "payment_open",
        "payment",
        ["client", "expires_at"],
        unique=False,
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "payment_unpaid",
        "payment",
        ["created_at"],
        unique=False,
        sqlite_where=sa.text("status IN ('expired', 'failed')"),
        postgresql_where=sa.text("status IN ('expired', 'failed')"),
    )

    with op.batch_alter_table("stripe_event") as events:
        events.drop_constraint("stripe_event_verdict", type_="check")
        events.create_check_constraint("stripe_event_verdict", sa.text(VERDICTS))
