"""POST /stripe/webhook: Stripe says what happened; the answer is 200 only after it is on disk."""

import structlog
from fastapi import APIRouter, Request, Response

from paidchat import clock, wire
from paidchat.api.deps import Running
from paidchat.api.problems import ApiError, responses
from paidchat.domain import UnknownPayment, Verdict
from paidchat.settings import WEBHOOK_PATH
from paidchat.stripe_events import InvalidSignature, MalformedEvent, StaleSignature, read_event, verify_signature

log = structlog.get_logger(__name__)
router = APIRouter(tags=["stripe"])


@router.post(
    WEBHOOK_PATH,
    response_model=wire.Received,
    responses=responses(400, 413, 503),
    openapi_extra={
        "parameters": [{"name": "Stripe-Signature", "in": "header", "required": True, "schema": {"type": "string"}}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    },
)
async def receive_event(request: Request, services: Running) -> Response:
    """Take an event of Stripe's. Any answer but a 2xx makes Stripe send it again."""
    payload = await request.body()
    try:
        # The signature is over the raw bytes, so nothing is parsed before it is checked.
        verify_signature(
            payload,
            request.headers.get("stripe-signature", ""),
            services.settings.webhook_secrets,
            clock.now().timestamp(),
        )
        news = read_event(payload)
    except InvalidSignature as error:
        if isinstance(error, StaleSignature):
            services.metrics.stale_signatures.inc()
            services.gateway.clock.report_stale_signature(error.skew_s)
        raise ApiError(400, "invalid_signature", f"This was not signed by Stripe just now: {error}.") from None
    except MalformedEvent as error:
        # Signed, so it is Stripe's, but nothing that we asked for: sending it again would change nothing.
        log.error("webhook.malformed", error=str(error))
        news = None
    if news is not None and await services.checkout.handle(news) is Verdict.UNKNOWN:
        # The payment may be on its way into the database, or in a backup that is yet to be restored.
        raise UnknownPayment(f"event {news.event_id} is about a payment that is not here")
    return Response(wire.Received().encode(), media_type="application/json")
