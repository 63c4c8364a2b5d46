"""The way to Stripe: the sole importer of its SDK. Domain types in and out."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, NoReturn, TypeVar

import stripe

from paidchat import clock
from paidchat.domain import IntentFact, SessionFact
from paidchat.settings import Settings
from paidchat.stripe_events import (
    BOARD_TAG,
    INTENT_EVENTS,
    PAYMENT_TAG,
    SESSION_EVENTS,
    IntentNews,
    SessionTerms,
    read_intent,
    read_listed_event,
    read_session,
    read_terms,
)

T = TypeVar("T")

API_VERSION: Final = "2026-10-28.endive"  # the one the SDK's types describe
ATTEMPT_TIMEOUT_S = 4
CALL_TIMEOUT_S = 8  # all attempts of one call; a payer waits for it
BUSY_DELAYS_S = (0.3, 0.8)  # on 429, which the SDK does not try again
PAGE = 100  # the most that Stripe lists at once


# --- errors -----------------------------------------------------------------------------------------
#
# GatewayError
# ├── OutcomeUnknown     no answer, or "try again": ask the same question with the same key
# ├── AttemptFailed      Stripe failed and remembers it under the key: a new attempt needs a new key
# ├── AccessDenied       our key is wrong or may not do this: an operator must mend it
# └── RequestRefused     Stripe says the request itself is wrong: asking again cannot help


class GatewayError(Exception):
    """The base of what can go wrong between us and Stripe."""


class OutcomeUnknown(GatewayError):
    """Whether Stripe did it is not known. The same key and parameters can be sent again."""


class AttemptFailed(GatewayError):
    """Stripe answered 5xx, and replays that answer to the same key for a day."""


class AccessDenied(GatewayError):
    """Stripe does not know our key, or the key may not do this."""


class RequestRefused(GatewayError):
    """Stripe refused the request: a parameter is wrong, or its time has passed. Nothing was made.

    Attributes:
        code: Stripe's own, e.g. `resource_missing` or `charge_already_refunded`.
    """

    def __init__(self, message: str, code: str | None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class CheckoutSession:
    """A Checkout Session that was made for a payment."""

    id: str
    url: str | None


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Where Stripe sends which events."""

    url: str
    status: str
    api_version: str | None
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class ListedEvents:
    """Events that may be ours, oldest first, and when the last of all happened by Stripe's clock."""

    news: list[SessionFact | IntentNews]
    until: datetime


class StripeGateway:
    """Asks Stripe. Close it at the end.

    Every call raises one of the errors above, and takes 8 s at most.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = stripe.HTTPXClient(timeout=ATTEMPT_TIMEOUT_S)
        self._client = stripe.StripeClient(
            settings.stripe_secret_key.get_secret_value(),
            stripe_version=API_VERSION,
            base_addresses={"api": settings.stripe_api_base} if settings.stripe_api_base else {},
            http_client=self._http,
            max_network_retries=1,
        )

    async def close(self) -> None:
        """Close the connections to Stripe."""
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK leaves it without types

    def session_params(self, payment_id: str, board: str, expires_at: datetime) -> dict[str, Any]:
        """Return the parameters of a payment's Checkout Session, as they are stored and sent.

        The addresses come from the settings alone: a Host header is anybody's to choose.
        """
        settings = self._settings
        tags = {PAYMENT_TAG: payment_id, BOARD_TAG: board}
        price: dict[str, Any] = {
            "currency": settings.price_currency,
            "unit_amount": settings.price_amount,
            "product_data": {"name": settings.product_name},
        }
        params: dict[str, Any] = {
            "mode": "payment",
            "ui_mode": "hosted_page",
            "client_reference_id": payment_id,
            "metadata": tags,
            "payment_intent_data": {"metadata": tags},
            "line_items": [{"quantity": 1, "price_data": price}],
            "expires_at": int(expires_at.timestamp()),
            "success_url": f"{settings.page_url}/?payment={payment_id}",
            "cancel_url": f"{settings.page_url}/?cancelled={payment_id}",
            # Either would let the amount differ from the price.
            "adaptive_pricing": {"enabled": False},
            "allow_promotion_codes": False,
        }
        if settings.automatic_tax != "off":
            params["automatic_tax"] = {"enabled": True}
            price["tax_behavior"] = settings.automatic_tax
        return params

    async def create_session(self, params: dict[str, Any], key: str) -> CheckoutSession:
        """Make the Checkout Session, or get the one that these parameters made before with this key."""

        async def create() -> CheckoutSession:
            made = await self._client.v1.checkout.sessions.create_async(
                params=params,  # type: ignore[arg-type]  # stored as JSON, so no TypedDict
                options={"idempotency_key": key},
            )
            if not made.id:
                raise ValueError("a session without an id")
            return CheckoutSession(id=str(made.id), url=made.url)

        return await _ask(create)

    async def retrieve_session(self, session_id: str) -> tuple[SessionFact, IntentFact | None]:
        """Ask how a session stands, and how its money does once there is any."""
        asked_at = clock.now()

        async def retrieve() -> tuple[dict[str, Any], SessionFact]:
            expand = {"expand": ["payment_intent.latest_charge"]}
            found = await self._client.v1.checkout.sessions.retrieve_async(session_id, params=expand)  # type: ignore[arg-type]  # a literal it does not infer
            return found.to_dict(), read_session(found.to_dict())

        session, fact = await _ask(retrieve)
        intent = session.get("payment_intent")
        return fact, await self._read_intent(intent, asked_at) if isinstance(intent, dict) else None

    async def session_terms(self, session_id: str) -> SessionTerms:
        """Ask on what terms a session was made."""

        async def retrieve() -> SessionTerms:
            found = await self._client.v1.checkout.sessions.retrieve_async(session_id)
            return read_terms(found.to_dict())

        return await _ask(retrieve)

    async def retrieve_intent(self, payment_intent: str) -> IntentFact:
        """Ask how a payment intent's money stands: refunded, disputed, neither."""
        asked_at = clock.now()

        async def retrieve() -> dict[str, Any]:
            found = await self._client.v1.payment_intents.retrieve_async(
                payment_intent, params={"expand": ["latest_charge"]}
            )
            return found.to_dict()

        return await self._read_intent(await _ask(retrieve), asked_at)

    async def _read_intent(self, intent: dict[str, Any], asked_at: datetime) -> IntentFact:
        charge = intent.get("latest_charge")
        # A charge only says that it was disputed; whether the dispute still holds, the dispute says.
        disputed = isinstance(charge, dict) and charge.get("disputed")
        return read_intent(intent, await self._disputes(intent["id"]) if disputed else [], asked_at)

    async def _disputes(self, payment_intent: str) -> list[str]:
        async def list_them() -> list[str]:
            found = await self._client.v1.disputes.list_async(params={"payment_intent": payment_intent, "limit": PAGE})
            return [dispute.status for dispute in found.data]

        return await _ask(list_them)

    async def create_refund(self, payment_intent: str, key: str) -> None:
        """Send all of an intent's money back; sending it twice with one key is one refund."""

        async def create() -> None:
            await self._client.v1.refunds.create_async(
                params={"payment_intent": payment_intent}, options={"idempotency_key": key}
            )

        await _ask(create)

    async def check_access(self) -> None:
        """Find out whether the key works, by the cheapest question it must be allowed to ask."""
        await _ask(lambda: self._client.v1.checkout.sessions.list_async(params={"limit": 1}))

    async def webhook_endpoints(self) -> list[WebhookEndpoint]:
        """List where Stripe sends events."""
        found = await _ask(lambda: self._client.v1.webhook_endpoints.list_async(params={"limit": PAGE}))
        return [
            WebhookEndpoint(end.url, end.status, end.api_version, frozenset(end.enabled_events)) for end in found.data
        ]

    async def tax_status(self) -> str:
        """Return `active`, or `pending` while Stripe Tax lacks something."""
        return str((await _ask(self._client.v1.tax.settings.retrieve_async)).status)

    async def list_paid_sessions(self, since: datetime) -> AsyncIterator[SessionFact]:
        """List the sessions that were completed, of those made since a time, newest first."""
        params: dict[str, Any] = {"status": "complete", "created": {"gte": int(since.timestamp())}, "limit": PAGE}
        while True:
            page = await self._session_page(params)
            for session in page.data:
                yield read_session(session.to_dict())
            if not page.has_more or not page.data:
                return
            params = {**params, "starting_after": page.data[-1].id}

    async def _session_page(self, params: dict[str, Any]) -> Any:
        async def list_page() -> Any:
            return await self._client.v1.checkout.sessions.list_async(params=params)  # type: ignore[arg-type]  # as above

        return await _ask(list_page)

    async def list_events(self, since: datetime) -> ListedEvents:
        """List what happened since a time, by Stripe's clock, that may be ours; Stripe keeps it for 30 days.

        Raises:
            GatewayError: Stripe could not be asked.
        """
        params: dict[str, Any] = {
            "types": [*sorted(SESSION_EVENTS), *sorted(INTENT_EVENTS)],
            "created": {"gte": int(since.timestamp())},
            "limit": PAGE,
        }
        news, until = [], None
        while True:
            page = await self._event_page(params)
            news += [found for event in page.data if (found := read_listed_event(event.to_dict())) is not None]
            if page.data and until is None:
                until = datetime.fromtimestamp(page.data[0].created, UTC)  # the newest comes first
            if not page.has_more or not page.data:
                return ListedEvents(news[::-1], until or since)
            params = {**params, "starting_after": page.data[-1].id}

    async def _event_page(self, params: dict[str, Any]) -> Any:
        async def list_page() -> Any:
            return await self._client.v1.events.list_async(params=params)  # type: ignore[arg-type]  # so no TypedDict

        return await _ask(list_page)


async def _ask(call: Callable[[], Awaitable[T]]) -> T:
    """Make one call within its time, and say in our words what went wrong."""
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            return await _ask_patiently(call)
    except TimeoutError:
        raise OutcomeUnknown(f"Stripe did not answer within {CALL_TIMEOUT_S} s") from None
    except stripe.StripeError as error:
        _translate(error)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Something answered in Stripe's place: a captive portal, a proxy, a wrong PAIDCHAT_STRIPE_API_BASE.
        raise OutcomeUnknown(f"the answer is not Stripe's: {error}") from error


async def _ask_patiently(call: Callable[[], Awaitable[T]]) -> T:
    for delay in BUSY_DELAYS_S:
        try:
            return await call()
        except stripe.RateLimitError:
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
    return await call()


def _translate(error: stripe.StripeError) -> NoReturn:
    message = f"{type(error).__name__}: {error.user_message or error}"
    status = error.http_status or 0
    # 409: an earlier request with this key is still under way there.
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError) or status == HTTPStatus.CONFLICT:
        raise OutcomeUnknown(message) from error
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        raise AccessDenied(message) from error
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not status:
        raise AttemptFailed(message) from error
    raise RequestRefused(message, error.code) from error
