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
    given = _bearer_token(request)
    if not hmac.compare_digest(given.encode(), settings.admin_token.get_secret_value().encode()):
        challenge = 'Bearer realm="paidchat"' + (', error="invalid_token"' if given else "")  # RFC 6750, section 3
        detail = "Send the admin token as a bearer token."
        raise ApiError(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})


def _bearer_token(request: Request) -> str:
    """Return the token of an `Authorization: Bearer …`; empty if there is none, or more than one.

    A scheme has no case, and any number of spaces follows it: RFC 9110, section 11.4.
    """
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip(" ") if scheme.lower() == "bearer" else ""


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
