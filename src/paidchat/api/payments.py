"""POST /api/payments and GET /api/payments/{id}: start a payment, look one up."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from paidchat import wire
from paidchat.api.bodies import JsonBody
from paidchat.api.contract import examples
from paidchat.api.contract.responses import problems, success
from paidchat.api.deps import TheCheckout, TheReconciler
from paidchat.api.problems import ApiError, FieldError
from paidchat.domain import UNSETTLED
from paidchat.text import MAX_AUTHOR_LENGTH, MAX_TEXT_LENGTH

router = APIRouter(tags=["payments"], route_class=JsonBody)


class NewPayment(BaseModel):
    """The message to post, and which of the board's amounts to pay for it."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [examples.NEW_PAYMENT]})

    text: str = Field(
        description=f"1 to {MAX_TEXT_LENGTH} code points on at most 20 lines after trimming and NFC; "
        "at most 2,000 as sent.",
    )
    author: str | None = Field(
        default=None,
        description=f"At most {MAX_AUTHOR_LENGTH} code points on one line, at most 200 as sent; blank means null.",
    )
    amount: int | None = Field(
        default=None,
        description="One of the amounts in the board's `price.tiers`, in the currency's minor units; null means "
        "`price.amount`.",
    )


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=16,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="Such as a UUID. The same key with the same body is the same payment, for at least 24 hours.",
        examples=[examples.IDEMPOTENCY_KEY],
    ),
]
PaymentId = Annotated[str, Path(description="The payment's `id`.", examples=[examples.PAYMENT_ID])]


@router.post(
    "/api/payments",
    status_code=201,
    operation_id="create_payment",
    summary="Start a payment",
    response_model=wire.Payment,
    responses={
        201: success(
            "The payment; with a key that was used before, the payment made then, as it is now.",
            "Location",
            "Cache-Control",
            example="pending_payment",
        ),
        **problems(
            "idempotency_in_progress",
            "unsupported_media_type",
            "invalid_request",
            "idempotency_conflict",
            "rate_limited",
            "payment_provider_unavailable",
            "not_ready",
        ),
    },
)
async def create_payment(
    new: NewPayment, request: Request, checkout: TheCheckout, idempotency_key: IdempotencyKey = None
) -> Response:
    """Start a payment. Send the browser to its `checkout_url`: the money is taken there.

    With an `Idempotency-Key`, a retry is safe: after a 503, or no response at all, send the request again with the
    same key.
    """
    if len(request.headers.getlist("idempotency-key")) > 1:
        wrong = FieldError(field="idempotency-key", message="There must be one key, not several.")
        raise ApiError(422, "invalid_request", "The request is not valid: see errors.", errors=[wrong])
    client = request.client.host if request.client else ""
    row = await checkout.start_checkout(
        new.text, new.author, new.amount, client=client, idempotency_key=idempotency_key
    )
    payment = wire.Payment.of(row)
    headers = {"Location": f"/api/payments/{payment.id}", "Cache-Control": "no-store"}
    return Response(payment.encode(), 201, headers, media_type="application/json")


@router.get(
    "/api/payments/{payment_id}",
    operation_id="get_payment",
    summary="Look up a payment",
    response_model=wire.Payment,
    responses={
        200: success("The payment as it is now.", "Cache-Control", example="fulfilled_payment"),
        **problems("not_found", "not_ready"),
    },
)
async def read_payment(
    payment_id: PaymentId, request: Request, checkout: TheCheckout, reconciler: TheReconciler
) -> Response:
    """Look up a payment and, by its `message_id`, the message that it posted.

    The response comes from the database. While the payment is `pending` or `processing`, this also makes the board ask
    Stripe, at most once in 5 s, so the next lookup may know more.
    """
    row = await checkout.find_payment(payment_id)
    client = request.client.host if request.client else ""
    asks = row.status in UNSETTLED and not request.state.is_head
    ask = BackgroundTask(reconciler.look_up, row, client) if asks else None
    payment = wire.Payment.of(row)
    return Response(
        payment.encode(), headers={"Cache-Control": "no-store"}, media_type="application/json", background=ask
    )
