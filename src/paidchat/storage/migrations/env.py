"""Alembic's entry: runs the revisions on the connection it is handed."""

from alembic import context

from paidchat.storage import indexes

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=indexes.metadata(),
    render_as_batch=True,
)
context.run_migrations()
