"""Alembic's entry: runs the revisions on the connection it is handed."""

from alembic import context
from sqlmodel import SQLModel

from paidchat.storage import tables

assert tables, "importing the tables fills the metadata"  # noqa: S101 - keeps the import honest

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
)
context.run_migrations()
