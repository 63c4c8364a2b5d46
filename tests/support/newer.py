"""A newer program: a copy of this one with another revision of the schema."""

import shutil
from pathlib import Path

import paidchat
from paidchat.storage import schema

REVISION = f"{int(schema.HEAD) + 1:04}"

_MIGRATION = '''"""One more revision: what an older program does not know, in every table that it writes to."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{head}"

TABLES = ("board", "payment", "message", "log_entry", "refund", "sweep", "stripe_event")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("remark", sa.Text(), nullable=True))
        op.add_column(table, sa.Column("shade", sa.Integer(), server_default="7", nullable=False))
    op.create_table("novelty", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("UPDATE compatibility SET works_with = '{works_with}'")
'''


def newer_program(folder: Path, *, works_with: str) -> None:
    """Copy this program into a folder; with that as PYTHONPATH, `python -m paidchat` runs the copy.

    Its schema has one more revision, which programs of revision `works_with` and later may use.
    """
    package = folder / "paidchat"
    shutil.copytree(Path(paidchat.__file__).parent, package, ignore=shutil.ignore_patterns("node_modules"))
    module = package / "storage" / "schema.py"
    program = module.read_text()
    ours, theirs = f'HEAD = "{schema.HEAD}"', f'HEAD = "{REVISION}"'
    assert program.count(ours) == 1
    module.write_text(program.replace(ours, theirs))
    migration = _MIGRATION.format(revision=REVISION, head=schema.HEAD, works_with=works_with)
    (package / "storage" / "migrations" / "versions" / f"{REVISION}_one_more.py").write_text(migration)
