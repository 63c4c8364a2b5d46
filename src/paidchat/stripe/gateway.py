"""The gateway to Stripe's API: the only module that imports the SDK. Takes and returns domain types."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import quote

import msgspec
import structlog

from paidchat.companions import left_out
from paidchat.domain import IntentFact, Question, SessionFact
from paidchat.settings import Settings
from paidchat.stripe.answers import Made, Page, WithStatus, created_at, digestible, id_in
from paidchat.stripe.clock import StripeClock
from paidchat.stripe.connections import client_kind
from paidchat.stripe.events import (
    INTENT_EVENTS,
    SESSION_EVENTS,
    Id,
    News,
    SessionTerms,
    UnreadableEvent,
    UnreadableObject,
    disputed_intent,
    read_intent,
    read_listed_event,
    read_session,
    read_terms,
)

# Its client for calls that block, which we never make: 90 ms and 5 MiB at every start.
with left_out("requests"):
    import stripe

T = TypeVar("T")
log = structlog.get_logger(__name__)

API_VERSION: Final = "2026-10-28.endive"  # the version that the SDK's types describe
ATTEMPT_TIMEOUT_S = 4
CALL_TIMEOUT_S = 7.5  # for all attempts of one call; a payer is waiting, and gets a response within nine
BUSY_DELAYS_S = (0.3, 0.8)  # after a 429, which the SDK does not retry
PAGE = 100  # Stripe's maximum
CLOCKS_DIFFER = timedelta(minutes=5)  # how far an event may be ahead of Stripe's time as we know it


# --- errors -----------------------------------------------------------------------------------------
#
# GatewayError
# ├── OutcomeUnknown     no response, or "try again": retry with the same key
# │   └── UnreadableAnswer   a response, but not as Stripe documents it
# ├── AttemptFailed      Stripe failed and replays that for the key: retry with a new one
# ├── AccessDenied       our key is wrong or lacks a permission: an operator must fix it
# └── RequestRefused     Stripe says that the request is wrong: a retry cannot help


class GatewayError(Exception):
    """Base class of the gateway's errors."""


class OutcomeUnknown(GatewayError):
    """It is unknown whether Stripe did it. Retry with the same key and parameters."""


class UnreadableAnswer(OutcomeUnknown):
    """The response is not as Stripe documents it.

    Either something else responded, such as a captive portal, a proxy or the server at a wrong
    PAIDCHAT_STRIPE_API_BASE, or this one object cannot be decoded.
    """


class AttemptFailed(GatewayError):
    """Stripe responded with a 5xx, which it replays for this key for a day."""


class AccessDenied(GatewayError):
    """Stripe rejected our API key, or the key lacks a permission."""


class RequestRefused(GatewayError):
    """Stripe rejected the request: a parameter is wrong or out of date. Nothing was created.

    Attributes:
        code: Stripe's error code, such as `resource_missing` or `charge_already_refunded`.
    """

    def __init__(self, message: str, code: str | None) -> None:
        super().__init__(message)
        self.code = code


class CheckoutSession(msgspec.Struct, frozen=True):
    """A Checkout Session that was created for a payment."""

    id: Id
    url: str | None = None


class WebhookEndpoint(msgspec.Struct, frozen=True):
    """A webhook endpoint, as configured at Stripe."""

    url: str
    status: str
    enabled_events: frozenset[str]
    api_version: str | None = None


class ListedEvents(msgspec.Struct, frozen=True):
    """Events that may be ours, oldest first, the unreadable ones, and the time of the latest of all.

    `until` is by Stripe's clock.
    """

    news: list[News]
    unreadable: list[UnreadableEvent]
    until: datetime


class _HttpClient(stripe.HTTPXClient):
    """The SDK's HTTP client, which also reads Stripe's clock from each response."""

    def __init__(self, stripe_clock: StripeClock, *, is_local: bool) -> None:
        # The SDK has no other way to be given a client.
        httpx_like = SimpleNamespace(AsyncClient=client_kind(is_local=is_local))
        super().__init__(timeout=ATTEMPT_TIMEOUT_S, _lib=httpx_like)
        self._clock = stripe_clock

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Make one attempt."""
        asked = time.monotonic()
        body, status, answered = await super().request_async(method, url, headers, post_data)
        self._clock.learn(answered.get("Date"), asked)
        return digestible(body, status), status, answered


class StripeGateway:
    """Calls Stripe's API. Close it at the end.

    Every call may raise the errors above. Each of its requests takes at most 7.5 s, with all attempts.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.clock = StripeClock()
        self._http = _HttpClient(self.clock, is_local=settings.stripe_is_local)
        self._client = stripe.StripeClient(
            settings.stripe_secret_key.get_secret_value(),
            stripe_version=API_VERSION,
            base_addresses={"api": settings.stripe_api_base} if settings.stripe_api_base else {},
            http_client=self._http,
            max_network_retries=1,
        )

    async def close(self) -> None:
        """Close the connections to Stripe."""
        await self._http.close_async()  # type: ignore[no-untyped-call]  # untyped in the SDK

    async def create_session(self, params: Mapping[str, object], key: str) -> CheckoutSession:
        """Create a Checkout Session, or return the one created before with this key and these parameters."""
        return _read(await self._ask("post", "/v1/checkout/sessions", params, key=key), CheckoutSession)

    async def retrieve_session(self, session_id: str, question: Question) -> tuple[SessionFact, IntentFact | None]:
        """Return the state of a session, and that of its money once there is any."""
        path = f"/v1/checkout/sessions/{quote(session_id, safe='')}"
        session = await self._ask("get", path, {"expand": ["payment_intent.latest_charge"]})
        with _reading():
            fact = read_session(session)
        intent = session.get("payment_intent")
        if isinstance(intent, str):
            return fact, await self.retrieve_intent(intent, question)
        return fact, None if intent is None else await self._read_intent(intent, question)

    async def session_terms(self, session_id: str) -> SessionTerms:
        """Return the terms of a session."""
        session = await self._ask("get", f"/v1/checkout/sessions/{quote(session_id, safe='')}")
        with _reading():
            return read_terms(session)

    async def retrieve_intent(self, payment_intent: str, question: Question) -> IntentFact:
        """Return the state of a payment intent's money: refunded, disputed or neither."""
        path = f"/v1/payment_intents/{quote(payment_intent, safe='')}"
        return await self._read_intent(await self._ask("get", path, {"expand": ["latest_charge"]}), question)

    async def _read_intent(self, intent: object, question: Question) -> IntentFact:
        with _reading():
            disputed = disputed_intent(intent)
        disputes = [] if disputed is None else await self._disputes(disputed)
        with _reading():
            return read_intent(intent, disputes, question)

    async def _disputes(self, payment_intent: str) -> list[str]:
        """Return the statuses of an intent's disputes, leaving out unreadable ones unless all are."""
        statuses: list[str] = []
        unreadable: UnreadableAnswer | None = None
        async for dispute in self._list("/v1/disputes", {"payment_intent": payment_intent}):
            try:
                statuses.append(_read(dispute, WithStatus).status)
            except UnreadableAnswer as error:
                log.error("stripe.unreadable", what="dispute", payment_intent=payment_intent, error=str(error))
                unreadable = error
        if unreadable is not None and not statuses:
            raise unreadable
        return statuses

    async def create_refund(self, payment_intent: str, key: str) -> None:
        """Refund an intent in full; idempotent for one key."""
        _read(await self._ask("post", "/v1/refunds", {"payment_intent": payment_intent}, key=key), Made)

    async def check_access(self) -> None:
        """Check that the API key works, by the cheapest call that it must be allowed to make."""
        _read(await self._ask("get", "/v1/checkout/sessions", {"limit": 1}), Page)

    async def webhook_endpoints(self) -> list[WebhookEndpoint]:
        """List the webhook endpoints."""
        endpoints = []
        async for endpoint in self._list("/v1/webhook_endpoints", {}):
            try:
                endpoints.append(_read(endpoint, WebhookEndpoint))
            except UnreadableAnswer as error:
                log.error("stripe.unreadable", what="webhook endpoint", error=str(error))
        return endpoints

    async def tax_status(self) -> str:
        """Return `active`, or `pending` while the setup of Stripe Tax is incomplete."""
        return _read(await self._ask("get", "/v1/tax/settings"), WithStatus).status

    async def list_paid_sessions(self, since: datetime) -> AsyncIterator[SessionFact]:
        """List the completed sessions among those created since a time, newest first."""
        params: dict[str, object] = {"status": "complete", "created": {"gte": int(since.timestamp())}}
        async for session in self._list("/v1/checkout/sessions", params):
            try:
                yield read_session(session)
            except UnreadableObject as error:
                log.error("stripe.unreadable", what="session", session_id=id_in(session), error=str(error))

    async def list_events(self, since: datetime) -> ListedEvents:
        """List the events since a time, by Stripe's clock, that may be ours. Stripe keeps them for 30 days.

        Raises:
            GatewayError: the call failed.
        """
        params: dict[str, object] = {
            "types": [*sorted(SESSION_EVENTS), *sorted(INTENT_EVENTS)],
            "created": {"gte": int(since.timestamp())},
        }
        listed = ListedEvents([], [], since)
        latest = int((self.clock.now() + CLOCKS_DIFFER).timestamp())
        until = int(since.timestamp())
        async for event in self._list("/v1/events", params):
            try:
                if (found := read_listed_event(event)) is not None:
                    listed.news.append(found)
            except UnreadableEvent as error:
                listed.unreadable.append(error)
            # A time in the future would hide everything until then from the passes that start there.
            if (created := created_at(event)) is not None and created <= latest:
                until = max(until, created)
        return ListedEvents(listed.news[::-1], listed.unreadable[::-1], max(since, datetime.fromtimestamp(until, UTC)))

    async def _list(self, path: str, params: dict[str, object]) -> AsyncIterator[Any]:
        """List everything, page by page, newest first. Items are not decoded."""
        asked: set[str] = set()
        params = {**params, "limit": PAGE}
        while True:
            page = _read(await self._ask("get", path, params), Page)
            for item in page.data:
                yield item
            if not page.has_more or not page.data:
                return
            last = next((found for item in reversed(page.data) if (found := id_in(item))), None)
            if last is None or last in asked:
                log.error("stripe.list_does_not_go_on", path=path, after=last)
                return
            asked.add(last)
            params = {**params, "starting_after": last}

    async def _ask(
        self, method: str, path: str, params: Mapping[str, object] | None = None, *, key: str | None = None
    ) -> Any:
        """Make one call within its timeout; returns the response's JSON and translates errors.

        Only the SDK's own errors are translated: anything else raised here is a bug.
        """
        given = {**(params or {}), **({"idempotency_key": key} if key else {})}
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                answer = await _ask_patiently(lambda: self._client.raw_request_async(method, path, **given))
        except TimeoutError:
            raise OutcomeUnknown(f"Stripe did not answer within {CALL_TIMEOUT_S} s") from None
        except stripe.StripeError as error:
            _translate(error)
        return answer.data


def _read(answer: object, kind: type[T]) -> T:
    """Decode the fields that we need of one of Stripe's objects.

    Raises:
        UnreadableAnswer: it lacks them.
    """
    with _reading():
        return msgspec.convert(answer, kind)


@contextmanager
def _reading() -> Iterator[None]:
    """Translate a failure to decode."""
    try:
        yield
    except (msgspec.ValidationError, UnreadableObject) as error:
        raise UnreadableAnswer(f"the answer is not Stripe's: {error}") from error


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
    # 409: an earlier request with this key is still in flight at Stripe.
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError) or status == HTTPStatus.CONFLICT:
        raise OutcomeUnknown(message) from error
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        raise AccessDenied(message) from error
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not status:
        raise AttemptFailed(message) from error
    if type(error) is stripe.APIError:  # what the SDK raises for a response without one of Stripe's own errors
        raise UnreadableAnswer(f"the answer is not Stripe's: {message}") from error
    raise RequestRefused(message, error.code) from error
