"""POST /stripe/webhook: receives Stripe's events; the response is 200 only after the effects are on disk."""

from typing import Final

from fastapi import APIRouter, Request, Response

from paidchat import clock, wire
from paidchat.api.bodies import PlainBody
from paidchat.api.contract import examples
from paidchat.api.contract.responses import problems, success
from paidchat.api.deps import Services, services_of
from paidchat.api.problems import ApiError
from paidchat.domain import Fact, SessionFact, UnknownPayment, Verdict
from paidchat.settings import WEBHOOK_PATH
from paidchat.stripe.events import UnreadableEvent, read_event
from paidchat.stripe.signatures import InvalidSignature, StaleSignature, verify_signature

RECEIVED: Final = wire.Received().encode()

router = APIRouter(tags=["stripe"], route_class=PlainBody)


@router.post(
    WEBHOOK_PATH,
    operation_id="receive_stripe_event",
    summary="Receive an event of Stripe's",
    response_model=wire.Received,
    responses={
        200: success("What the event says is committed, or the event is none of ours.", example="received"),
        **problems(
            "invalid_signature",
            "unsupported_media_type",
            "payment_unknown",
            "payment_provider_unavailable",
            "not_ready",
        ),
    },
    openapi_extra={
        "parameters": [
            {
                "name": "Stripe-Signature",
                "in": "header",
                "required": True,
                "description": "A time and signatures, as Stripe writes them (docs.stripe.com/webhooks/signature).",
                "schema": {"type": "string"},
                "example": examples.STRIPE_SIGNATURE,
            }
        ],
        "requestBody": {
            "required": True,
            "description": "Stripe's event, byte for byte: the signature is over these bytes.",
            "content": {"application/json": {"schema": {"type": "object"}, "example": examples.STRIPE_EVENT}},
        },
    },
)
async def receive_event(request: Request) -> Response:
    """Receive an event from Stripe. Stripe retries after any response but a 2xx.

    A signed event that is unreadable, or from another account or mode, is 200: a retry would not help.
    """
    await handle_event(services_of(request), await request.body(), request.headers.get("stripe-signature", ""))
    return Response(RECEIVED, media_type="application/json")


async def handle_event(services: Services, payload: bytes, signature: str) -> None:
    """Handle the body of a webhook. When this returns, what it says is on disk.

    A signed event that is unreadable, or from another account or mode, raises nothing: a retry would not help.

    Raises:
        ApiError: it is not signed by Stripe.
        UnknownPayment, ProviderUnavailable, DatabaseUnavailable: Stripe should send it again.
    """
    services.database.check_room()  # first of all: under overload, to refuse one takes 390 µs instead of 580
    _verify(payload, signature, services)
    try:
        news = read_event(payload)
    except UnreadableEvent as error:
        # Signed, so it is from Stripe, but a retry would change nothing.
        await services.fulfilment.note_unreadable(error)
        news = None
    if news is not None:
        verdict = await services.fulfilment.handle(news)
        if verdict is Verdict.UNKNOWN and isinstance(news, SessionFact) and news.fact is Fact.PAID:
            raise UnknownPayment("This was paid for, but the payment is not here. Send it again.")


def _verify(payload: bytes, header: str, services: Services) -> None:
    """Check the signature over the raw bytes, before anything is parsed."""
    try:
        verify_signature(payload, header, services.settings.webhook_secrets, clock.now().timestamp())
    except InvalidSignature as error:
        if isinstance(error, StaleSignature):
            services.metrics.stale_signatures.inc()
            services.gateway.clock.report_stale_signature(error.skew_s)
        raise ApiError(400, "invalid_signature", f"This was not signed by Stripe just now: {error}.") from None
