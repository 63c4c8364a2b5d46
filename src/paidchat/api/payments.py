"""POST /api/payments and GET /api/payments/{id}: start a payment, look one up."""

from datetime import UTC, datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from paidchat import wire
from paidchat.api.deps import TheCheckout
from paidchat.api.problems import ApiError, responses
from paidchat.checkout import Checkout
from paidchat.domain import UNSETTLED
from paidchat.text import MAX_AUTHOR_LENGTH, MAX_TEXT_LENGTH

log = structlog.get_logger(__name__)
router = APIRouter(tags=["payments"])


class NewPayment(BaseModel):
    """What somebody wants to post."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str = Field(
        description=f"1 to {MAX_TEXT_LENGTH} code points after trimming and NFC, at most 20 lines.",
        examples=["Hello, world!"],
    )
    author: str | None = Field(
        default=None, description=f"At most {MAX_AUTHOR_LENGTH} code points, one line; blank means null."
    )


def _json_only(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ApiError(415, "unsupported_media_type", "Send the body as application/json.")


IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=16,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="A UUID, say. The same key with the same body is the same payment, for at least 24 hours.",
    ),
]


@router.post(
    "/api/payments",
    status_code=201,
    response_model=wire.Payment,
    responses=responses(409, 413, 415, 422, 429, 503),
    dependencies=[Depends(_json_only)],
)
async def create_payment(
    new: NewPayment, request: Request, checkout: TheCheckout, idempotency_key: IdempotencyKey = None
) -> Response:
    """Start a payment: send the browser to `checkout_url`, where the money is taken."""
    client = request.client.host if request.client else ""
    row = await checkout.start_checkout(new.text, new.author, client=client, idempotency_key=idempotency_key)
    payment = wire.Payment.of(row, datetime.now(UTC))
    headers = {"Location": f"/api/payments/{payment.id}", "Cache-Control": "no-store"}
    return Response(payment.encode(), 201, headers, media_type="application/json")


@router.get("/api/payments/{payment_id}", response_model=wire.Payment, responses=responses(404, 503))
async def read_payment(payment_id: str, checkout: TheCheckout) -> Response:
    """Look a payment up, and with `message_id` the message it posted.

    While it is unsettled this also makes the board ask Stripe, shortly after.
    """
    row = await checkout.find_payment(payment_id)
    ask = BackgroundTask(_ask_stripe, checkout, payment_id) if row.status in UNSETTLED else None
    payment = wire.Payment.of(row, datetime.now(UTC))
    return Response(
        payment.encode(), headers={"Cache-Control": "no-store"}, media_type="application/json", background=ask
    )


async def _ask_stripe(checkout: Checkout, payment_id: str) -> None:
    """Ask after the answer is sent. Nobody waits for this, so an error goes to the log; the sweep asks anyway."""
    try:
        await checkout.sync_with_stripe(payment_id)
    except Exception:
        log.exception("payment.not_asked", payment_id=payment_id)
