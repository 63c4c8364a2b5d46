"""The operator's commands: list, moderate, refund, reconcile. They work with or without a running server."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import typer

from paidchat import clock, moderation
from paidchat.cli.doctor import Level, examine
from paidchat.cli.exits import give_up
from paidchat.domain import DomainError, ProviderUnavailable
from paidchat.observability import configure_logging
from paidchat.payments.core import Core, core
from paidchat.payments.reconciler import Findings
from paidchat.records import MessageRecord
from paidchat.settings import Settings
from paidchat.storage import queries, schema
from paidchat.storage.database import DatabaseUnavailable
from paidchat.stripe.gateway import GatewayError

T = TypeVar("T")
LOOK_BACK = timedelta(days=30)  # for payments made after a backup
COLUMNS = 60  # of a message's text, in a list


def _run(settings: Settings, work: Callable[[Core], Awaitable[T]]) -> T:
    """Run a command with the board's parts; exits with 1 and a sentence if it fails."""
    configure_logging(settings.log_format)

    async def run() -> T:
        async with core(settings) as parts:
            return await work(parts)

    try:
        return asyncio.run(run())
    except (DomainError, schema.SchemaOutOfDate) as error:
        give_up(str(error))
    except GatewayError as error:
        give_up(f"Stripe could not be asked: {error}")
    except DatabaseUnavailable as error:
        give_up(f"The database of PAIDCHAT_DATABASE_URL cannot be used: {error}")


def begin_epoch(settings: Settings) -> None:
    """Begin a new epoch, and list the paid sessions without a row: those paid after the backup."""

    async def work(parts: Core) -> list[str]:
        await parts.database.write(queries.begin_epoch, uuid.uuid4().hex)
        try:
            return await parts.reconciler.paid_without_row(clock.now() - LOOK_BACK)
        except GatewayError as error:
            message = f"A new epoch has begun. Stripe could not be asked what was paid since the backup: {error}"
            raise ProviderUnavailable(message) from error

    lost = _run(settings, work)
    typer.echo("A new epoch has begun: every client starts afresh.")
    for session_id in lost:
        typer.echo(
            f"Paid at Stripe, but not in this database: {session_id}. "
            f'Refund it there, or post it: paidchat payments adopt {session_id} --text "…"'
        )


def doctor(settings: Settings) -> None:
    """Print the findings, and exit with 1 if any of them is a failure."""

    async def run() -> bool:
        healthy = True
        async for finding in examine(settings):
            typer.echo(f"{finding.level:>8}  {finding.subject}: {' '.join(finding.found.split())}")
            if finding.remedy:
                typer.echo(f"          → {finding.remedy}")
            healthy = healthy and finding.level is not Level.FAILURE
        return healthy

    if not asyncio.run(run()):
        raise typer.Exit(1)


def list_messages(settings: Settings, limit: int) -> None:
    """Print the newest messages on the board, oldest first."""

    async def work(parts: Core) -> list[MessageRecord]:
        rows, _ = await parts.database.read(queries.messages_before, None, limit)
        return rows

    for row in _run(settings, work):
        text = " ".join(row.text.split())
        text = text if len(text) <= COLUMNS else f"{text[: COLUMNS - 1]}…"
        typer.echo(f"{row.id:>8}  {row.posted_at:%Y-%m-%d %H:%M:%S}  {row.author or 'Anonymous'}: {text}")


def remove_message(settings: Settings, message_id: int, *, refund: bool) -> None:
    """Remove a message."""

    async def work(parts: Core) -> None:
        await moderation.remove_message(parts.database, message_id, refund_by=parts.fulfilment if refund else None)

    _run(settings, work)
    typer.echo(f"Message {message_id} is off the board{', and its money on its way back' if refund else ''}.")


def restore_message(settings: Settings, message_id: int) -> None:
    """Restore a message."""
    _run(settings, lambda parts: moderation.restore_message(parts.database, message_id))
    typer.echo(f"Message {message_id} is on the board.")


def show_payment(settings: Settings, payment_id: str) -> None:
    """Print a payment as JSON, with what an operator needs to find it at Stripe."""
    shown = ("id", "status", "text", "author", "amount", "currency", "message_id", "created_at", "expires_at")
    at_stripe = ("session_id", "payment_intent", "paid", "refunded", "disputed", "asked_at")
    row = _run(settings, lambda parts: parts.checkout.find_payment(payment_id))
    values = {name: getattr(row, name) for name in (*shown, *at_stripe)}
    typer.echo(json.dumps(values, indent=2, ensure_ascii=False, default=str))


def refund_payment(settings: Settings, payment_id: str) -> None:
    """Refund a payment."""
    _run(settings, lambda parts: parts.fulfilment.refund_payment(payment_id))
    typer.echo(f"The money of payment {payment_id} is on its way back.")


def adopt_payment(settings: Settings, session_id: str, text: str, author: str | None) -> None:
    """Post the message of a paid session whose payment is missing here."""
    done = _run(settings, lambda parts: parts.adoption.adopt(session_id, text, author))
    if done.is_new:
        typer.echo(f"Message {done.message_id} is on the board.")
        return
    keeps = "" if done.says_the_same else " It keeps its own text and author; those given here were not used."
    typer.echo(f"This payment was in the database already: its message is {done.message_id}.{keeps}")


def reconcile(settings: Settings) -> None:
    """Run a full sweep and print its findings."""

    async def work(parts: Core) -> Findings | None:
        try:
            return await parts.reconciler.sweep(full=True)
        except GatewayError as error:
            raise ProviderUnavailable(f"Stripe could not be asked: {error}") from error

    findings = _run(settings, work)
    if findings is None:
        typer.echo("A server is sweeping just now; try again in a minute.", err=True)
        raise typer.Exit(1)
    typer.echo(
        f"Asked about {findings.asked} open payments, handled {findings.events} missed events, "
        f"sent {findings.refunds} refunds, pruned {findings.pruned} old payments."
    )
    if findings.failed:
        typer.echo(f"{findings.failed} events or payments could not be handled; the log says why.", err=True)
