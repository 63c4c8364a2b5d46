"""Migration: the command that brings the schema up to date. It starts fast, since it needs no server and no Stripe."""

import asyncio

import typer

from paidchat.cli.exits import give_up
from paidchat.settings import Settings
from paidchat.storage import schema
from paidchat.storage.database import Database, DatabaseUnavailable


def migrate(settings: Settings) -> None:
    """Bring the schema up to date."""

    async def run() -> schema.Schema:
        async with Database(settings.database_url) as database:
            await database.check_sessions()
            return await schema.migrate(database)

    try:
        found = asyncio.run(run())
    except schema.SchemaOutOfDate as error:
        give_up(str(error))
    except DatabaseUnavailable as error:
        give_up(f"The database cannot be migrated: {error}")
    newer = found.fit is schema.Fit.NEWER
    typer.echo(f"{found.words} There is nothing to do." if newer else "The schema is up to date.")
