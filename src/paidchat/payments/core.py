"""Core: the parts of a board that work without a server, built for the app and for an operator's commands."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from paidchat.background import Supervisor
from paidchat.observability import Metrics
from paidchat.payments.adoption import Adoption
from paidchat.payments.checkout import Checkout
from paidchat.payments.fulfilment import Fulfilment
from paidchat.payments.rate_limit import PaymentLimits, Rate
from paidchat.payments.reconciler import Reconciler
from paidchat.payments.sessions import CheckoutSessions
from paidchat.settings import Settings
from paidchat.storage import queries
from paidchat.storage.database import Database
from paidchat.storage.schema import prepare
from paidchat.stripe.gateway import StripeGateway


@dataclass(frozen=True, slots=True)
class Core:
    """The parts, open."""

    database: Database
    gateway: StripeGateway
    checkout: Checkout
    fulfilment: Fulfilment
    reconciler: Reconciler
    adoption: Adoption
    metrics: Metrics
    background: Supervisor


@asynccontextmanager
async def core(settings: Settings, *, serves: bool = False) -> AsyncIterator[Core]:
    """Open the database, with its schema up to date, and the gateway; stop tasks and close both at the end.

    Only a server `serves`, and so checkpoints a SQLite file.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(settings.database_url, checkpoints=serves))
        await prepare(database)
        gateway = StripeGateway(settings)
        stack.push_async_callback(gateway.close)
        metrics = Metrics()
        limits = PaymentLimits(Rate.parse(settings.rate_limit), settings.max_open_payments)
        tag = await _board_tag(database)
        background = await stack.enter_async_context(Supervisor(metrics.background_restarts))
        sessions = CheckoutSessions(database, gateway, background)
        fulfilment = Fulfilment(database, gateway, metrics, tag, livemode=settings.livemode)
        checkout = Checkout(settings, database, limits, metrics, sessions, tag)
        reconciler = Reconciler(
            database, gateway, fulfilment, sessions, metrics, tag, period_s=settings.reconcile_seconds
        )
        adoption = Adoption(database, gateway, checkout, fulfilment, reconciler, livemode=settings.livemode)
        yield Core(database, gateway, checkout, fulfilment, reconciler, adoption, metrics, background)


async def _board_tag(database: Database) -> str:
    """Return the board's tag; the first to start writes it."""
    return await database.write(_find_or_choose_tag)


def _find_or_choose_tag(connection: Connection) -> str:
    queries.ensure_board(connection, tag=uuid.uuid4().hex, epoch=uuid.uuid4().hex)
    return queries.read_board(connection).tag
