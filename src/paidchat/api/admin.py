"""/api/admin: moderation and refunds, with a bearer token. Without one configured, these routes are 404."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from paidchat import wire
from paidchat.api.contract.responses import ADMIN_ONLY, problems, success
from paidchat.api.deps import TheDatabase, TheFulfilment, TheSettings
from paidchat.api.messages import LARGEST_ID, MessageId
from paidchat.api.problems import ApiError
from paidchat.moderation import remove_message, restore_message


async def _authorize(request: Request, settings: TheSettings) -> None:
    if settings.admin_token is None:
        raise ApiError(404, "not_found", "There is nothing at this address.")
    given = _bearer_token(request)
    if not hmac.compare_digest(given.encode(), settings.admin_token.get_secret_value().encode()):
        challenge = 'Bearer realm="paidchat"' + (', error="invalid_token"' if given else "")  # RFC 6750, section 3
        detail = "Send the admin token as a bearer token."
        raise ApiError(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})


def _bearer_token(request: Request) -> str:
    """Return the token of an `Authorization: Bearer …`; empty if there is none, or more than one.

    Schemes are case-insensitive and followed by any number of spaces (RFC 9110, section 11.4).
    """
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip(" ") if scheme.lower() == "bearer" else ""


router = APIRouter(
    prefix="/api/admin",
    tags=["admin"],
    dependencies=[Depends(_authorize)],
)

Refund = Annotated[bool, Query(description="Whether to send the payer's money back as well.")]


@router.delete(
    "/messages/{message_id}",
    status_code=204,
    operation_id="remove_message",
    summary="Remove a message",
    openapi_extra=ADMIN_ONLY,
    responses={
        204: success("The message is off the board."),
        **problems("unauthorized", "not_found", "conflict", "invalid_request", "not_ready"),
    },
)
async def remove(
    message_id: MessageId, database: TheDatabase, fulfilment: TheFulfilment, *, refund: Refund = False
) -> None:
    """Remove a message from the board. Idempotent: a repeat gets the same response.

    With `refund=true` the payer gets the money back. The intent is on disk before the response; the refund is sent at
    once and retried until Stripe has it. 409 if there is no money to refund. 404 also if no admin token is
    configured.
    """
    await remove_message(database, min(message_id, LARGEST_ID), refund_by=fulfilment if refund else None)


@router.post(
    "/messages/{message_id}/restore",
    operation_id="restore_message",
    summary="Restore a message",
    openapi_extra=ADMIN_ONLY,
    response_model=wire.Message,
    responses={
        200: success("The message, on the board.", example="message"),
        **problems("unauthorized", "not_found", "conflict", "invalid_request", "not_ready"),
    },
)
async def restore(message_id: MessageId, database: TheDatabase) -> Response:
    """Restore a removed message. Idempotent: a repeat gets the same response.

    409 if its payment was refunded or is disputed: then it stays off the board. 404 also if no admin token is
    configured.
    """
    row = await restore_message(database, min(message_id, LARGEST_ID))
    return Response(wire.Message.of(row).encode(), media_type="application/json")
