"""Exits: how a command ends early, with a sentence on standard error."""

from typing import NoReturn

import typer


def fail(message: str) -> NoReturn:
    """Exit with 2: the command can't start like this, because of its settings or arguments."""
    typer.echo(message, err=True)
    raise typer.Exit(2)


def give_up(reason: str) -> NoReturn:
    """Exit with 1: the command has tried, and something it needs or asked for isn't there."""
    typer.echo(reason, err=True)
    raise typer.Exit(1)
