"""The way to Stripe: the sole importer of its SDK. Domain types in and out."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import quote

import httpx
import msgspec
import stripe
import structlog

from paidchat.domain import IntentFact, Question, SessionFact
from paidchat.settings import Settings
from paidchat.stripe.answers import Made, Page, WithStatus, created_at, digestible, id_in
from paidchat.stripe.clock import StripeClock
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

T = TypeVar("T")
log = structlog.get_logger(__name__)

API_VERSION: Final = "2026-10-28.endive"  # the one the SDK's types describe
ATTEMPT_TIMEOUT_S = 4
CALL_TIMEOUT_S = 7.5  # all attempts of one call; a payer waits for it, and is answered within nine
BUSY_DELAYS_S = (0.3, 0.8)  # on 429, which the SDK does not try again
PAGE = 100  # the most that Stripe lists at once
CLOCKS_DIFFER = timedelta(minutes=5)  # what an event may lie ahead of Stripe's time as we know it


# --- errors -----------------------------------------------------------------------------------------
#
# GatewayError
# ├── OutcomeUnknown     no answer, or "try again": ask the same question with the same key
# │   └── UnreadableAnswer   an answer, but not one that Stripe documents
# ├── AttemptFailed      Stripe failed and remembers it under the key: a new attempt needs a new key
# ├── AccessDenied       our key is wrong or lacks a permission: an operator must fix it
# └── RequestRefused     Stripe says the request itself is wrong: asking again cannot help


class GatewayError(Exception):
    """The base of what can go wrong between us and Stripe."""


class OutcomeUnknown(GatewayError):
    """Whether Stripe did it is not known. The same key and parameters can be sent again."""


class UnreadableAnswer(OutcomeUnknown):
    """The answer is not one that Stripe documents.

    Either something answered in Stripe's place, such as a captive portal, a proxy or a wrong
    PAIDCHAT_STRIPE_API_BASE, or this one object cannot be read.
    """


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


class CheckoutSession(msgspec.Struct, frozen=True):
    """A Checkout Session that was made for a payment."""

    id: Id
    url: str | None = None


class WebhookEndpoint(msgspec.Struct, frozen=True):
    """Where Stripe sends which events."""

    url: str
    status: str
    enabled_events: frozenset[str]
    api_version: str | None = None


@dataclass(frozen=True, slots=True)
class ListedEvents:
    """Events that may be ours, oldest first, those that cannot be read, and when the last of all happened.

    `until` is by Stripe's clock.
    """

    news: list[News]
    unreadable: list[UnreadableEvent]
    until: datetime


class _HttpClient(stripe.HTTPXClient):
    """The SDK's HTTP client; it also reads Stripe's clock off every answer."""

    def __init__(self, stripe_clock: StripeClock, *, is_local: bool) -> None:
        # The SDK has no other way to say that the proxies of the environment don't lead to this machine.
        httpx_like = SimpleNamespace(AsyncClient=partial(httpx.AsyncClient, trust_env=not is_local))
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
    """Asks Stripe. Close it at the end.

    Every call raises one of the errors above, and takes 7.5 s at most.
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
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK leaves it without types

    async def create_session(self, params: Mapping[str, object], key: str) -> CheckoutSession:
        """Make the Checkout Session, or get the one that these parameters made before with this key."""
        return _read(await self._ask("post", "/v1/checkout/sessions", params, key=key), CheckoutSession)

    async def retrieve_session(self, session_id: str, question: Question) -> tuple[SessionFact, IntentFact | None]:
        """Ask how a session stands, and how its money does once there is any."""
        path = f"/v1/checkout/sessions/{quote(session_id, safe='')}"
        session = await self._ask("get", path, {"expand": ["payment_intent.latest_charge"]})
        with _reading():
            fact = read_session(session)
        intent = session.get("payment_intent")
        if isinstance(intent, str):
            return fact, await self.retrieve_intent(intent, question)
        return fact, None if intent is None else await self._read_intent(intent, question)

    async def session_terms(self, session_id: str) -> SessionTerms:
        """Ask on what terms a session was made."""
        session = await self._ask("get", f"/v1/checkout/sessions/{quote(session_id, safe='')}")
        with _reading():
            return read_terms(session)

    async def retrieve_intent(self, payment_intent: str, question: Question) -> IntentFact:
        """Ask how a payment intent's money stands: refunded, disputed, neither."""
        path = f"/v1/payment_intents/{quote(payment_intent, safe='')}"
        return await self._read_intent(await self._ask("get", path, {"expand": ["latest_charge"]}), question)

    async def _read_intent(self, intent: object, question: Question) -> IntentFact:
        with _reading():
            disputed = disputed_intent(intent)
        disputes = [] if disputed is None else await self._disputes(disputed)
        with _reading():
            return read_intent(intent, disputes, question)

    async def _disputes(self, payment_intent: str) -> list[str]:
        """Return the statuses of an intent's disputes, without those that cannot be read, if any can."""
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
        """Send all of an intent's money back; sending it twice with one key is one refund."""
        _read(await self._ask("post", "/v1/refunds", {"payment_intent": payment_intent}, key=key), Made)

    async def check_access(self) -> None:
        """Find out whether the key works, by the cheapest question it must be allowed to ask."""
        _read(await self._ask("get", "/v1/checkout/sessions", {"limit": 1}), Page)

    async def webhook_endpoints(self) -> list[WebhookEndpoint]:
        """List where Stripe sends events."""
        endpoints = []
        async for endpoint in self._list("/v1/webhook_endpoints", {}):
            try:
                endpoints.append(_read(endpoint, WebhookEndpoint))
            except UnreadableAnswer as error:
                log.error("stripe.unreadable", what="webhook endpoint", error=str(error))
        return endpoints

    async def tax_status(self) -> str:
        """Return `active`, or `pending` while Stripe Tax lacks something."""
        return _read(await self._ask("get", "/v1/tax/settings"), WithStatus).status

    async def list_paid_sessions(self, since: datetime) -> AsyncIterator[SessionFact]:
        """List the sessions that were completed, of those made since a time, newest first."""
        params: dict[str, object] = {"status": "complete", "created": {"gte": int(since.timestamp())}}
        async for session in self._list("/v1/checkout/sessions", params):
            try:
                yield read_session(session)
            except UnreadableObject as error:
                log.error("stripe.unreadable", what="session", session_id=id_in(session), error=str(error))

    async def list_events(self, since: datetime) -> ListedEvents:
        """List what happened since a time, by Stripe's clock, that may be ours; Stripe keeps it for 30 days.

        Raises:
            GatewayError: Stripe could not be asked.
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
            # A time to come would hide all that happens until then from the passes that begin there.
            if (created := created_at(event)) is not None and created <= latest:
                until = max(until, created)
        return ListedEvents(listed.news[::-1], listed.unreadable[::-1], max(since, datetime.fromtimestamp(until, UTC)))

    async def _list(self, path: str, params: dict[str, object]) -> AsyncIterator[Any]:
        """List everything, page by page, newest first. The items may be anything."""
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
        """Make one call within its time and return the answer's JSON, or say in our words what went wrong.

        Only the SDK's own errors are translated: whatever else is raised here is a bug of ours.
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
    """Read an object of Stripe's as the few fields that we need.

    Raises:
        UnreadableAnswer: it has not got them.
    """
    with _reading():
        return msgspec.convert(answer, kind)


@contextmanager
def _reading() -> Iterator[None]:
    """Say that an answer cannot be read."""
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
    # 409: an earlier request with this key is still under way there.
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError) or status == HTTPStatus.CONFLICT:
        raise OutcomeUnknown(message) from error
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        raise AccessDenied(message) from error
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not status:
        raise AttemptFailed(message) from error
    if type(error) is stripe.APIError:  # what the SDK makes of an answer without one of Stripe's own errors in it
        raise UnreadableAnswer(f"the answer is not Stripe's: {message}") from error
    raise RequestRefused(message, error.code) from error
