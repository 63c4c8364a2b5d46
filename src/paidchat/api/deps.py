"""Dependencies: what routes need from the running app, as annotated parameters."""

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from msgspec import Struct
from starlette.requests import HTTPConnection

from paidchat.api.ready import KeptPage, Ready
from paidchat.background import Supervisor
from paidchat.feed.admission import ConnectionLimit
from paidchat.feed.audience import Audience
from paidchat.feed.feed import Feed
from paidchat.observability import Metrics
from paidchat.payments.checkout import Checkout
from paidchat.payments.fulfilment import Fulfilment
from paidchat.payments.reconciler import Reconciler
from paidchat.settings import Settings
from paidchat.storage.database import Database
from paidchat.stripe.gateway import StripeGateway

if TYPE_CHECKING:
    from paidchat.storage.listener import Listener


class Services(Struct, frozen=True):
    """The parts of a running app, built by its lifespan."""

    settings: Settings
    database: Database
    gateway: StripeGateway
    checkout: Checkout
    fulfilment: Fulfilment
    reconciler: Reconciler
    feed: Feed
    audience: Audience
    listener: "Listener | None"  # None on SQLite, where there are no other processes
    connection_limit: ConnectionLimit
    newest_page: KeptPage
    pinned_page: KeptPage
    board_info: Ready
    metrics: Metrics
    background: Supervisor


def services_of(connection: HTTPConnection) -> Services:
    """Return the parts of the app that serves this connection."""
    services = connection.scope["state"]["services"]
    assert isinstance(services, Services)  # noqa: S101 - the lifespan put it there
    return services


async def _services(connection: HTTPConnection) -> Services:
    # A plain function would be run in a thread, at every request.
    return services_of(connection)


TheServices = Annotated[Services, Depends(_services)]


def _part(name: str) -> object:
    async def part(services: TheServices) -> object:
        return getattr(services, name)

    return Depends(part)


TheSettings = Annotated[Settings, _part("settings")]
TheDatabase = Annotated[Database, _part("database")]
TheCheckout = Annotated[Checkout, _part("checkout")]
TheFulfilment = Annotated[Fulfilment, _part("fulfilment")]
TheReconciler = Annotated[Reconciler, _part("reconciler")]
