"""The audience: how many viewers each process has.

Programs of earlier revisions may go on: they write no row, so their viewers are not counted.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "audience",
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("viewers", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("viewers >= 0", name="audience_viewers"),
        sa.PrimaryKeyConstraint("process"),
    )
