"""/api/admin: moderation and refunds, behind a bearer token. Without one configured there is nothing here."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from paidchat import wire
from paidchat.api.deps import TheCheckout, TheDatabase, TheSettings
from paidchat.api.messages import LARGEST_ID, MAX_INTEGER
from paidchat.api.problems import ApiError, responses
from paidchat.moderation import remove_message, restore_message


def _authorize(request: Request, settings: TheSettings) -> None:
    if settings.admin_token is None:
        raise ApiError(404, "not_found", "There is nothing at this address.")
    given = request.headers.get("authorization", "")
    expected = f"Bearer {settings.admin_token.get_secret_value()}"
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise ApiError(
            401, "unauthorized", "Send the admin token as a bearer token.", headers={"WWW-Authenticate": "Bearer"}
        )


router = APIRouter(
    prefix="/api/admin",
    tags=["admin"],
    dependencies=[Depends(_authorize)],
)

MessageId = Annotated[int, Path(ge=0, le=MAX_INTEGER)]


@router.delete("/messages/{message_id}", status_code=204, responses=responses(401, 404, 422, 503))
async def remove(message_id: MessageId, database: TheDatabase, checkout: TheCheckout, *, refund: bool = False) -> None:
    """Take a message off the board; with `refund=true` its payer gets the money back."""
    await remove_message(database, min(message_id, LARGEST_ID), refund_by=checkout if refund else None)


@router.post(
    "/messages/{message_id}/restore", response_model=wire.Message, responses=responses(401, 404, 409, 422, 503)
)
async def restore(message_id: MessageId, database: TheDatabase) -> Response:
    """Put a message back that was removed here; a refunded or disputed one stays off."""
    row = await restore_message(database, min(message_id, LARGEST_ID))
    return Response(wire.Message.of(row).encode(), media_type="application/json")
