"""POST /api/payments and GET /api/payments/{id}: start a payment, look one up."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from paidchat import wire
from paidchat.api.bodies import JsonBody
from paidchat.api.deps import TheCheckout
from paidchat.api.problems import ApiError, FieldError, responses
from paidchat.domain import UNSETTLED
from paidchat.text import MAX_AUTHOR_LENGTH, MAX_TEXT_LENGTH

router = APIRouter(tags=["payments"], route_class=JsonBody)


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
)
async def create_payment(
    new: NewPayment, request: Request, checkout: TheCheckout, idempotency_key: IdempotencyKey = None
) -> Response:
    """Start a payment: send the browser to `checkout_url`, where the money is taken."""
    if len(request.headers.getlist("idempotency-key")) > 1:
        wrong = FieldError(field="idempotency-key", message="There must be one key, not several.")
        raise ApiError(422, "invalid_request", "The request is not valid: see errors.", errors=[wrong])
    client = request.client.host if request.client else ""
    row = await checkout.start_checkout(new.text, new.author, client=client, idempotency_key=idempotency_key)
    payment = wire.Payment.of(row)
    headers = {"Location": f"/api/payments/{payment.id}", "Cache-Control": "no-store"}
    return Response(payment.encode(), 201, headers, media_type="application/json")


@router.get("/api/payments/{payment_id}", response_model=wire.Payment, responses=responses(404, 503))
async def read_payment(payment_id: str, request: Request, checkout: TheCheckout) -> Response:
    """Look a payment up, and with `message_id` the message it posted.

    While it is unsettled this also makes the board ask Stripe, shortly after.
    """
    row = await checkout.find_payment(payment_id)
    client = request.client.host if request.client else ""
    asks = row.status in UNSETTLED and not request.state.is_head
    ask = BackgroundTask(checkout.sync_with_stripe, row, client) if asks else None
    payment = wire.Payment.of(row)
    return Response(
        payment.encode(), headers={"Cache-Control": "no-store"}, media_type="application/json", background=ask
    )
