"""The doctor: checks a set-up from the outside and says what to fix."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from paidchat import proxies
from paidchat.settings import WEBHOOK_PATH, Settings, is_loopback, unknown_variables
from paidchat.storage import schema, sqlite_library
from paidchat.storage.database import Database, DatabaseUnavailable
from paidchat.storage.sessions import REMEDY, SessionNotKept
from paidchat.stripe.clock import TOLERABLE
from paidchat.stripe.events import INTENT_EVENTS, SESSION_EVENTS
from paidchat.stripe.gateway import (
    API_VERSION,
    AccessDenied,
    AttemptFailed,
    GatewayError,
    StripeGateway,
    UnreadableAnswer,
    WebhookEndpoint,
)
from paidchat.stripe.signatures import SIGNATURE_TOLERANCE_S

# These two only accompany others that say the same.
NICE_TO_HAVE = frozenset({"charge.dispute.updated", "charge.dispute.funds_reinstated"})
NEEDED_EVENTS = (frozenset(SESSION_EVENTS) | INTENT_EVENTS) - NICE_TO_HAVE


class Level(StrEnum):
    """The severity of a finding. Only a failure makes the exit code non-zero."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check, its result, and what to do about it."""

    level: Level
    subject: str
    found: str
    remedy: str = ""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Check everything, one by one. Changes nothing, here or at Stripe."""
    yield _settings()
    yield _tiers(settings)
    yield await _database(settings)
    if settings.database_url.startswith("sqlite"):
        yield _sqlite()
    yield _key(settings)
    yield _public_url(settings)
    gateway = StripeGateway(settings)
    try:
        reach = await _reach(settings, gateway)
        yield reach
        yield _clock(gateway.clock.offset)
        yield await _endpoint(settings, gateway, reach)
        yield await _tax(settings, gateway, reach)
    finally:
        await gateway.close()


def _settings() -> Finding:
    unknown = unknown_variables()
    if unknown:
        return Finding(Level.WARNING, "settings", " ".join(unknown), "Correct or remove it: the README lists them all.")
    return Finding(Level.OK, "settings", "valid, and every PAIDCHAT_* variable is known")


def _tiers(settings: Settings) -> Finding:
    """List what a payer can choose, in the currency's minor units as in the settings."""
    words = [
        f"{tier.amount} {settings.price_currency}"
        + (f" pins for {tier.pinned_seconds} s" if tier.pinned_seconds else " pins nothing")
        for tier in settings.price_tiers
    ]
    return Finding(Level.OK, "tiers", ", ".join(words))


async def _database(settings: Settings) -> Finding:
    try:
        async with Database(settings.database_url) as database:
            await database.check_sessions()
            found = await database.read(schema.examine)
    except DatabaseUnavailable as error:
        if isinstance(error.__cause__, SessionNotKept):
            return Finding(Level.FAILURE, "database", error.__cause__.fault, REMEDY)
        remedy = "Check that it runs and can be reached from here, and PAIDCHAT_DATABASE_URL."
        return Finding(Level.FAILURE, "database", f"it cannot be used: {error}", remedy)
    return _judge_schema(found, database.backend)


def _judge_schema(found: schema.Schema, backend: str) -> Finding:
    if found.fit is schema.Fit.CURRENT:
        return Finding(Level.OK, "database", f"{backend}, schema {found.revision}")
    if found.fit is schema.Fit.NEWER:
        return Finding(Level.WARNING, "database", found.words, "Finish the upgrade: update this program too.")
    if found.revision is None and backend == "sqlite":
        return Finding(Level.OK, "database", "a new SQLite file; the first start makes its tables")
    return Finding(Level.FAILURE, "database", found.words, found.remedy)


def _sqlite() -> Finding:
    if sqlite_library.has_wal_reset_bug():
        return Finding(Level.WARNING, "SQLite", sqlite_library.words(), sqlite_library.REMEDY)
    return Finding(Level.OK, "SQLite", sqlite_library.words())


def _key(settings: Settings) -> Finding:
    kind = settings.stripe_secret_key.get_secret_value()[:7]
    if kind == "sk_live":
        return Finding(
            Level.WARNING,
            "key",
            "a live secret key, which may do everything",
            "Make a restricted key: Checkout Sessions and Refunds write; Events, Payment Intents, Charges, Disputes, "
            "Webhook Endpoints and Tax read.",
        )
    mode = "live, money is real" if settings.livemode else "test mode, no money moves"
    return Finding(Level.OK, "key", f"{'restricted' if kind.startswith('rk') else 'secret'} key, {mode}")


def _public_url(settings: Settings) -> Finding:
    is_private = is_loopback(settings.public_url) and not settings.livemode
    if settings.public_url.startswith("https:") or is_private:
        return Finding(Level.OK, "public URL", settings.public_url)
    level = Level.FAILURE if settings.livemode else Level.WARNING
    return Finding(level, "public URL", f"{settings.public_url} is not https", "Put a proxy with TLS in front.")


async def _reach(settings: Settings, gateway: StripeGateway) -> Finding:
    try:
        await gateway.check_access()
    except AccessDenied as error:
        return Finding(Level.FAILURE, "Stripe", f"the key is refused: {error}", "Fix STRIPE_SECRET_KEY.")
    except UnreadableAnswer as error:
        remedy = f"Something else answers in Stripe's place: check what is between here and {_way(settings)}."
        return Finding(Level.FAILURE, "Stripe", str(error), remedy)
    except AttemptFailed as error:
        return Finding(Level.FAILURE, "Stripe", f"it failed: {error}", "Wait, and see status.stripe.com.")
    except GatewayError as error:
        return Finding(Level.FAILURE, "Stripe", f"no answer: {error}", f"Let this machine reach {_way(settings)}.")
    return Finding(Level.OK, "Stripe", f"answers; API version {API_VERSION}")


def _way(settings: Settings) -> str:
    """Return Stripe's address and the proxies on the way, as the operator knows them."""
    address = settings.stripe_api_base or "https://api.stripe.com"
    through = [] if settings.stripe_is_local else proxies.names()
    return f"{address} (a proxy is set in {' and '.join(through)})" if through else address


def _clock(offset: timedelta | None) -> Finding:
    """Check this machine's clock against Stripe's."""
    if offset is None:
        found = "not compared: no answer of Stripe's told the time"
        return Finding(Level.WARNING, "clock", found, "See to the finding about Stripe first.")
    if abs(offset) <= TOLERABLE:
        return Finding(Level.OK, "clock", "agrees with Stripe's")
    difference = f"{abs(offset).total_seconds():.0f} s {'behind' if offset > timedelta(0) else 'ahead of'} Stripe's"
    remedy = "Synchronise this machine's clock (NTP)."
    if abs(offset).total_seconds() > SIGNATURE_TOLERANCE_S:
        return Finding(Level.FAILURE, "clock", f"{difference}, so every webhook is refused", remedy)
    return Finding(Level.WARNING, "clock", difference, remedy)


def _unread(subject: str, error: GatewayError, reach: Finding, permission: str) -> Finding:
    """Return the finding that something could not be read from Stripe, with the remedy for the cause."""
    if reach.level is not Level.OK:
        remedy = "See to the finding about Stripe first."
    elif isinstance(error, AccessDenied):
        remedy = f"Allow the key to read {permission}."
    else:
        remedy = "Try again: Stripe answered another question just before."
    return Finding(Level.WARNING, subject, f"could not be read: {error}", remedy)


async def _endpoint(settings: Settings, gateway: StripeGateway, reach: Finding) -> Finding:
    address = settings.public_url + WEBHOOK_PATH
    try:
        endpoints = await gateway.webhook_endpoints()
    except GatewayError as error:
        return _unread("webhook endpoint", error, reach, "Webhook Endpoints")
    ours = [endpoint for endpoint in endpoints if urlsplit(endpoint.url).path == WEBHOOK_PATH]
    # Inside, it may have another name than in browsers.
    ours = [endpoint for endpoint in ours if endpoint.url == address] or ours
    if not ours:
        return Finding(
            Level.FAILURE,
            "webhook endpoint",
            "there is none",
            f"Add {address} at Stripe, for: {_names(NEEDED_EVENTS)}.",
        )
    return _judge_endpoint(ours[0], address)


def _judge_endpoint(endpoint: WebhookEndpoint, address: str) -> Finding:
    subject = "webhook endpoint"
    if endpoint.status != "enabled":
        return Finding(
            Level.FAILURE, subject, f"{endpoint.url} is {endpoint.status}", "Enable it, then: paidchat reconcile"
        )
    missing = frozenset() if "*" in endpoint.enabled_events else NEEDED_EVENTS - endpoint.enabled_events
    if missing:
        return Finding(Level.FAILURE, subject, f"it does not send {_names(missing)}", "Add these events to it.")
    if endpoint.url != address:
        return Finding(
            Level.WARNING, subject, f"it is at {endpoint.url}, not {address}", "Make sure that it leads here."
        )
    if endpoint.api_version not in {None, API_VERSION}:
        found = f"it sends API version {endpoint.api_version}, {API_VERSION} is what was tested"
        return Finding(Level.WARNING, subject, found, "Make the endpoint anew with that version.")
    return Finding(Level.OK, subject, endpoint.url)


async def _tax(settings: Settings, gateway: StripeGateway, reach: Finding) -> Finding:
    if settings.automatic_tax == "off":
        return Finding(Level.OK, "tax", "automatic tax is off")
    try:
        status = await gateway.tax_status()
    except GatewayError as error:
        return _unread("tax", error, reach, "Tax")
    if status == "active":
        return Finding(Level.OK, "tax", f"automatic tax, {settings.automatic_tax}")
    return Finding(
        Level.FAILURE,
        "tax",
        f"Stripe Tax is {status}, so every checkout would be refused",
        "Set a head-office address in Stripe's tax settings, or PAIDCHAT_AUTOMATIC_TAX=off.",
    )


def _names(events: frozenset[str]) -> str:
    return ", ".join(sorted(events))
