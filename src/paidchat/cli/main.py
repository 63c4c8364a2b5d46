"""The command line: serve, demo, sandbox, migrate, doctor, reconcile, openapi, asyncapi, messages, payments."""

import asyncio
import io
import json
import logging
import os
import secrets
import socket
import sys
import webbrowser
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from paidchat.cli.exits import fail

if TYPE_CHECKING:
    from paidchat.sandbox import SandboxSettings
    from paidchat.settings import Settings

log = structlog.get_logger(__name__)
cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
messages = typer.Typer(no_args_is_help=True, help="List and moderate messages.")
payments = typer.Typer(no_args_is_help=True, help="Show and refund payments, post lost ones.")
cli.add_typer(messages, name="messages")
cli.add_typer(payments, name="payments")

Port = Annotated[int, typer.Option(help="The port to listen on.", min=1, max=65535)]
Host = Annotated[str, typer.Option(help="The address to listen on.")]

DEMO_HOST = "127.0.0.1"
DEMO = {"rate_limit": "off", "tiers": "1:0,5:300,20:1800"}  # unless the environment says otherwise


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A locale may lack characters that people write; escape them. Under pythonw there is no stream.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli()


@cli.callback()
def paidchat() -> None:
    """Pay a dollar, post a message on a live public board."""


@cli.command()
def demo(
    port: Port = 8000,
    data: Annotated[Path, typer.Option(help="Where the demo keeps its data.")] = Path(".paidchat"),
    *,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Run the board and a sandbox of Stripe on this machine. No account, no real money."""
    from paidchat.serving import heap

    heap.load()
    from paidchat.sandbox import SandboxSettings

    url, loopback = f"http://localhost:{port}", f"http://{DEMO_HOST}:{port}"
    webhook_secret = f"whsec_{secrets.token_urlsafe(24)}"
    given: dict[str, Any] = {
        "database_url": _sqlite_url(data / "paidchat.db"),
        "public_url": url,
        "stripe_secret_key": "sk_test_sandbox",  # the sandbox takes any
        "stripe_webhook_secrets": webhook_secret,
        "stripe_api_base": f"{loopback}/sandbox",
    }
    named = _load(**given).model_fields_set
    settings = _load(**given, **{name: value for name, value in DEMO.items() if name not in named})
    sandbox = SandboxSettings(
        data=data,
        public_url=f"{url}/sandbox",
        webhook_url=f"{loopback}/stripe/webhook",
        webhook_secret=webhook_secret,
    )

    def ready() -> None:
        _announce(url)
        if open_browser and _has_display():
            webbrowser.open(url)

    _serve(settings, DEMO_HOST, port, sandbox=sandbox, on_ready=ready, log_level=logging.WARNING)


@cli.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(help="Processes; more than one needs PostgreSQL.", min=1)] = 1,
) -> None:
    """Run the board in production. It needs STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET and PAIDCHAT_PUBLIC_URL."""
    from paidchat.serving import heap

    heap.load()
    settings = _load()
    if workers > 1 and settings.database_url.startswith("sqlite"):
        fail("SQLite serves one process. Use --workers 1, or PostgreSQL in PAIDCHAT_DATABASE_URL.")
    ready = partial(_announce, settings.public_url)
    if workers == 1:
        _serve(settings, host, port, on_ready=ready)
    else:
        _serve_in_processes(settings, host, port, workers, ready)


@cli.command()
def migrate(
    *,
    new_epoch: Annotated[
        bool, typer.Option("--new-epoch", help="After restoring a backup: tell every client that history changed.")
    ] = False,
) -> None:
    """Bring the database's schema up to date."""
    from paidchat.cli import migration

    settings = _load()
    migration.migrate(settings)
    if new_epoch:
        from paidchat.cli import operate

        operate.begin_epoch(settings)


@cli.command()
def doctor() -> None:
    """Check the set-up, here and at Stripe, and say what to fix."""
    from paidchat.cli import operate

    operate.doctor(_load())


@cli.command()
def reconcile() -> None:
    """Ask Stripe about all open payments and for all events of the last 30 days."""
    from paidchat.cli import operate

    operate.reconcile(_load())


@cli.command()
def sandbox(
    webhook_url: Annotated[str, typer.Option(help="Where to send events, e.g. http://127.0.0.1:8000/stripe/webhook.")],
    webhook_secret: Annotated[str, typer.Option(help="The secret to sign them with: whsec_…")],
    port: Port = 9000,
    data: Annotated[Path, typer.Option(help="Where the sandbox keeps its data.")] = Path(".paidchat"),
) -> None:
    """Run the sandbox of Stripe by itself, for a board with PAIDCHAT_STRIPE_API_BASE set to it."""
    import uvicorn

    from paidchat.observability import configure_logging
    from paidchat.sandbox import SandboxSettings, create_sandbox
    from paidchat.serving.server import Server

    configure_logging()
    url = f"http://localhost:{port}"
    app = create_sandbox(
        SandboxSettings(data=data, public_url=url, webhook_url=webhook_url, webhook_secret=webhook_secret)
    )
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    Server(config, lambda: typer.echo(f"the sandbox is ready: {url}")).run(sockets=[_listen(DEMO_HOST, port)])


@cli.command()
def openapi() -> None:
    """Print the HTTP contract as an OpenAPI document."""
    from paidchat.api.contract.openapi import openapi as document
    from paidchat.app import ROUTERS

    _print_json(document([route for router in ROUTERS for route in router.routes], None))


@cli.command()
def asyncapi() -> None:
    """Print the WebSocket contract as an AsyncAPI document."""
    from paidchat.api.contract.asyncapi import asyncapi as document

    _print_json(document(None))


def _print_json(document: object) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


MessageId = Annotated[int, typer.Argument(help="The message's id.")]
PaymentId = Annotated[str, typer.Argument(help="The payment's id.")]


@messages.command("list")
def list_messages(
    limit: Annotated[int, typer.Option(help="How many, the newest.", min=1, max=100)] = 20,
) -> None:
    """List the newest messages on the board, oldest first."""
    from paidchat.cli import operate

    operate.list_messages(_load(), limit)


@messages.command("remove")
def remove_message(
    message_id: MessageId,
    *,
    refund: Annotated[bool, typer.Option("--refund", help="Send the payer's money back, too.")] = False,
) -> None:
    """Remove a message from the board."""
    from paidchat.cli import operate

    operate.remove_message(_load(), message_id, refund=refund)


@messages.command("restore")
def restore_message(message_id: MessageId) -> None:
    """Restore a message that was removed by hand."""
    from paidchat.cli import operate

    operate.restore_message(_load(), message_id)


@payments.command("show")
def show_payment(payment_id: PaymentId) -> None:
    """Show a payment."""
    from paidchat.cli import operate

    operate.show_payment(_load(), payment_id)


@payments.command("refund")
def refund_payment(payment_id: PaymentId) -> None:
    """Refund a payment; its message is removed."""
    from paidchat.cli import operate

    operate.refund_payment(_load(), payment_id)


@payments.command("adopt")
def adopt_payment(
    session: Annotated[str, typer.Argument(help="The Checkout Session's id at Stripe: cs_…")],
    text: Annotated[str, typer.Option(help="What to post.")],
    author: Annotated[str | None, typer.Option(help="The author's name; anonymous if omitted.")] = None,
) -> None:
    """Post a message that was paid for at Stripe but is not in this database, as after restoring a backup."""
    from paidchat.cli import operate

    operate.adopt_payment(_load(), session, text, author)


def _serve(
    settings: "Settings",
    host: str,
    port: int,
    *,
    on_ready: Callable[[], None],
    sandbox: "SandboxSettings | None" = None,
    log_level: int = logging.INFO,
) -> None:
    from paidchat.app import create_app
    from paidchat.observability import configure_logging
    from paidchat.serving import descriptors, heap
    from paidchat.serving.server import Server, server_config

    def ready() -> None:
        heap.settle()
        on_ready()

    configure_logging(settings.log_format, log_level)
    _check_database(settings)
    descriptors.raise_limit(settings.max_viewers if sandbox is None else 0)  # a demo has few viewers
    _warn(settings)
    listening = _listen(host, port)
    config = server_config(
        create_app(settings, sandbox), host=host, port=port, trusted_proxies=settings.trusted_proxies
    )
    server = Server(config, ready)
    server.run(sockets=[listening])
    if not server.started:
        raise typer.Exit(3)


def _serve_in_processes(settings: "Settings", host: str, port: int, workers: int, on_ready: Callable[[], None]) -> None:
    from paidchat.observability import configure_logging
    from paidchat.serving import descriptors, heap
    from paidchat.serving.server import Workers, server_config

    def ready() -> None:
        heap.settle()
        on_ready()

    configure_logging(settings.log_format)
    _check_database(settings)
    descriptors.raise_limit(settings.max_viewers)
    _warn(settings)
    config = server_config(
        "paidchat.app:from_environment", factory=True, workers=workers, trusted_proxies=settings.trusted_proxies
    )
    Workers(config, [_listen(host, port)], ready).run()


def _check_database(settings: "Settings") -> None:
    """Exit with a sentence if the server could not start with this database."""
    from paidchat.storage.database import Database, DatabaseUnavailable
    from paidchat.storage.schema import SchemaOutOfDate, prepare

    async def check() -> None:
        async with Database(settings.database_url) as database:
            await database.check_sessions()
            await prepare(database)

    try:
        asyncio.run(check())
    except SchemaOutOfDate as error:
        fail(str(error))
    except DatabaseUnavailable as error:
        fail(f"The database of PAIDCHAT_DATABASE_URL cannot be used: {error}")


def _warn(settings: "Settings") -> None:
    from paidchat.settings import unknown_variables
    from paidchat.storage import sqlite_library

    for warning in (*settings.warnings, *unknown_variables()):
        log.warning("settings.doubtful", warning=warning)
    if settings.database_url.startswith("sqlite") and sqlite_library.has_wal_reset_bug():
        log.warning("sqlite.outdated", warning=f"SQLite {sqlite_library.words()}", remedy=sqlite_library.REMEDY)


def _sqlite_url(file: Path) -> str:
    """Return the URL of a file, taking its name literally."""
    from sqlalchemy.engine import URL

    try:
        return URL.create("sqlite", database=str(file.absolute())).render_as_string(hide_password=False)
    except UnicodeEncodeError:
        fail("--data: the folder's name must be valid text in this locale's encoding. Choose another.")


def _listen(host: str, port: int) -> socket.socket:
    from paidchat.serving.server import listen

    try:
        return listen(host, port)
    except OSError as error:
        fail(f"Cannot listen on {host} port {port}: {error.strerror}. Choose another with --port.")


def _load(**overrides: Any) -> "Settings":
    from paidchat.settings import SettingsError, load_settings

    try:
        return load_settings(**overrides)
    except SettingsError as error:
        lines = "".join(f"\n  {line}" for line in str(error).splitlines())
        fail(f"The settings cannot be used:{lines}")


def _announce(url: str) -> None:
    typer.echo(f"paidchat is ready: {url}")
    sys.stdout.flush()


def _has_display() -> bool:
    return sys.platform in {"darwin", "win32"} or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
