"""The way to Stripe: the sole importer of its SDK. Domain types in and out."""

import asyncio
import hashlib
import hmac
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, NoReturn, TypeVar

import msgspec
import stripe

from paidchat.domain import Fact, SessionFact
from paidchat.settings import Settings

T = TypeVar("T")

API_VERSION: Final = "2026-10-28.endive"  # the one the SDK's types describe
ATTEMPT_TIMEOUT_S = 4
CALL_TIMEOUT_S = 8  # all attempts of one call; a payer waits for it
SIGNATURE_TOLERANCE_S = 300  # docs.stripe.com/webhooks#verify-official-libraries
MAX_STAMP_DIGITS = 12
BUSY_DELAYS_S = (0.3, 0.8)  # on 429, which the SDK does not try again

# The metadata that every session of ours and its payment intent carry.
PAYMENT_TAG = "paidchat_payment"
BOARD_TAG = "paidchat_board"


# --- errors -----------------------------------------------------------------------------------------
#
# GatewayError
# ├── OutcomeUnknown     no answer, or "try again": ask the same question with the same key
# ├── AttemptFailed      Stripe failed and remembers it under the key: a new attempt needs a new key
# ├── RequestRefused     Stripe says the request itself is wrong: asking again cannot help
# ├── InvalidSignature   a webhook that Stripe did not sign, or not just now
# └── MalformedEvent     signed, but not an event that can be read


class GatewayError(Exception):
    """The base of what can go wrong between us and Stripe."""


class OutcomeUnknown(GatewayError):
    """Whether Stripe did it is not known. The same key and parameters can be sent again."""


class AttemptFailed(GatewayError):
    """Stripe answered 5xx, and replays that answer to the same key for a day."""


class RequestRefused(GatewayError):
    """Stripe refused the request: a setting or a key is wrong, or its time has passed. Nothing was made."""


class InvalidSignature(GatewayError):
    """The webhook was not signed by Stripe with one of our secrets within the last minutes."""


class MalformedEvent(GatewayError):
    """The webhook is signed but is no event that could be read."""


# --- what comes in ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckoutSession:
    """A Checkout Session that was made for a payment."""

    id: str
    url: str | None


class _Session(msgspec.Struct):
    """The few fields of a `checkout.session` that decide anything."""

    id: str
    status: str | None
    payment_status: str
    livemode: bool
    payment_intent: Any = None  # an id, or the object where it was expanded
    client_reference_id: str | None = None
    metadata: dict[str, str] | None = None
    amount_subtotal: int | None = None
    amount_total: int | None = None
    currency: str | None = None


class _Data(msgspec.Struct):
    object: msgspec.Raw


class _Event(msgspec.Struct):
    """The few fields of an `event`."""

    id: str
    type: str
    object: str
    data: _Data | None = None


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_session = msgspec.json.Decoder(_Session).decode

# docs.stripe.com/checkout/fulfillment: what each event says, where the payment's status decides the first.
_SESSION_EVENTS: Final[dict[str, Fact | None]] = {
    "checkout.session.completed": None,
    "checkout.session.async_payment_succeeded": None,
    "checkout.session.async_payment_failed": Fact.FAILED,
    "checkout.session.expired": Fact.EXPIRED,
}


class StripeGateway:
    """Asks Stripe and reads what it sends. Close it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secrets = tuple(secret.get_secret_value().encode() for secret in settings.stripe_webhook_secrets)
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
        await self._http.close_async()  # type: ignore[no-untyped-call]

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
        """Make the Checkout Session, or get the one that these parameters made before with this key.

        Raises:
            OutcomeUnknown: ask the same again.
            AttemptFailed: ask with a new key.
            RequestRefused: don't ask this again.
        """

        async def create() -> CheckoutSession:
            made = await self._client.v1.checkout.sessions.create_async(
                params=params,  # type: ignore[arg-type]  # stored as JSON, so no TypedDict
                options={"idempotency_key": key},
            )
            return CheckoutSession(id=made.id, url=made.url)

        return await _ask(create)

    async def retrieve_session(self, session_id: str) -> SessionFact:
        """Ask how a session stands.

        Raises:
            OutcomeUnknown, AttemptFailed: ask again later.
            RequestRefused: Stripe does not have it.
        """

        async def retrieve() -> SessionFact:
            found = await self._client.v1.checkout.sessions.retrieve_async(
                session_id, params={"expand": ["payment_intent.latest_charge"]}
            )
            session = msgspec.convert(found.to_dict(), _Session)
            return _session_fact(session, _fact_of_retrieved(session))

        return await _ask(retrieve)

    def read_event(self, payload: bytes, signature: str, now: float | None = None) -> SessionFact | None:
        """Read a webhook's raw body; None for an event that says nothing about a Checkout Session.

        The signature is checked over the raw bytes before anything is parsed
        (docs.stripe.com/webhooks#verify-manually).

        Raises:
            InvalidSignature: not from Stripe, or more than five minutes from now.
            MalformedEvent: signed, and yet not an event.
        """
        self._verify(payload, signature, time.time() if now is None else now)
        try:
            event = _decode_event(payload)
            if event.object != "event" or event.type not in _SESSION_EVENTS:
                return None
            if event.data is None:
                raise MalformedEvent("an event without data")
            session = _decode_session(event.data.object)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedEvent(f"the event cannot be read: {error}") from None
        fact = _SESSION_EVENTS[event.type] or _fact_of_completed(session)
        return _session_fact(session, fact, event_id=event.id, event_type=event.type)

    def _verify(self, payload: bytes, header: str, now: float) -> None:
        fields = [part.strip().partition("=") for part in header.split(",")]
        stamps = [value for name, _, value in fields if name == "t"]
        if len(stamps) != 1 or not (stamps[0].isascii() and stamps[0].isdecimal()) or len(stamps[0]) > MAX_STAMP_DIGITS:
            raise InvalidSignature("the Stripe-Signature header has no timestamp")
        if abs(now - int(stamps[0])) > SIGNATURE_TOLERANCE_S:
            raise InvalidSignature("the signature's timestamp is more than five minutes from now")
        given = [value.encode() for name, _, value in fields if name == "v1"]
        signed = stamps[0].encode() + b"." + payload
        valid = [hmac.new(secret, signed, hashlib.sha256).hexdigest().encode() for secret in self._secrets]
        if not any(hmac.compare_digest(ours, theirs) for ours in valid for theirs in given):
            raise InvalidSignature("no signature matches the payload")


def _fact_of_completed(session: _Session) -> Fact | None:
    """Read a completed session: paid, or a delayed method is on its way."""
    return {"paid": Fact.PAID, "unpaid": Fact.PROCESSING}.get(session.payment_status)


def _fact_of_retrieved(session: _Session) -> Fact | None:
    if session.status == "expired":
        return Fact.EXPIRED
    if session.status != "complete":
        return None
    intent = session.payment_intent
    if (
        session.payment_status == "unpaid"
        and isinstance(intent, dict)
        and intent["status"] == "requires_payment_method"
    ):
        return Fact.FAILED  # the delayed method came to nothing; Stripe wants another one, and the session is over
    return _fact_of_completed(session)


def _session_fact(session: _Session, fact: Fact | None, **event: str) -> SessionFact:
    intent = session.payment_intent
    tags = session.metadata or {}
    return SessionFact(
        session_id=session.id,
        fact=fact,
        payment_status=session.payment_status,
        payment_id=tags.get(PAYMENT_TAG),
        board=tags.get(BOARD_TAG),
        payment_intent=intent["id"] if isinstance(intent, dict) else intent,
        amount_subtotal=session.amount_subtotal,
        amount_total=session.amount_total,
        currency=session.currency,
        livemode=session.livemode,
        **event,
    )


async def _ask(call: Callable[[], Awaitable[T]]) -> T:
    """Make one call within its time, and say in our words what went wrong."""
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            return await _ask_patiently(call)
    except TimeoutError:
        raise OutcomeUnknown(f"Stripe did not answer within {CALL_TIMEOUT_S} s") from None
    except stripe.StripeError as error:
        _translate(error)


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
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not status:
        raise AttemptFailed(message) from error
    raise RequestRefused(message) from error
