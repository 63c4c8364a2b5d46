"""Problems: every error response as `application/problem+json` (RFC 9457), and the mapping of our errors to them."""

from collections.abc import Callable
from itertools import islice
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from paidchat import domain, wire
from paidchat.storage.database import DatabaseUnavailable
from paidchat.storage.writer import WriteInterrupted

log = structlog.get_logger(__name__)

DATABASE_RETRY_S = 2
INTERRUPTED_RETRY_S = 1
MAX_ERRORS = 20  # per response
MEDIA_TYPE = "application/problem+json"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")  # of routes; HEAD comes with GET
BAD_REQUEST, METHOD_NOT_ALLOWED = 400, 405


class FieldError(wire.Shape):
    """What is wrong with one field of the input. The input itself is never echoed."""

    field: str = Field(description="The field's name, or `body`, `query`, `path` or `header` for one that is unknown.")
    message: str = Field(description="In words.")


def _is_none(value: object) -> bool:
    return value is None


class Problem(wire.Shape):
    """An error, for people and programs (RFC 9457): `code` is stable, `detail` says what to do."""

    type: str = Field(default="about:blank", description="Always `about:blank`: go by `code`.")
    title: str = Field(description="The status in words, as in RFC 9110.")
    status: int = Field(description="That of the answer.")
    detail: str = Field(description="What is wrong, in words.")
    code: str = Field(description="The kind of error. Stable; more may come, so go by the status for an unknown one.")
    request_id: str = Field(description="What the server's log has it under.")
    errors: list[FieldError] | SkipJsonSchema[None] = Field(
        default=None, exclude_if=_is_none, description="What is wrong with which field; at most 20."
    )
    reason: domain.Reason | SkipJsonSchema[None] = Field(
        default=None, exclude_if=_is_none, description="Why a message is gone."
    )


# Codes of errors without one of their own, by status.
CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    410: "gone",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    426: "upgrade_required",
    429: "rate_limited",
    431: "headers_too_large",
    500: "internal_error",
    503: "not_ready",
}


# The names in RFC 9110 and 6585. Python's phrases before 3.13 are older.
TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class ApiError(Exception):
    """An error raised by the API itself, with the contract's code and status."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        errors: list[FieldError] | None = None,
    ) -> None:
        super().__init__(detail)
        self.errors = errors
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}


def problem(
    request_id: str,
    status: int,
    detail: str,
    *,
    code: str | None = None,
    headers: dict[str, str] | None = None,
    errors: list[FieldError] | None = None,
    reason: domain.Reason | None = None,
) -> Response:
    """Return the response. Errors are temporary, so it must not be cached."""
    body = Problem(
        title=TITLES.get(status) or TITLES[status // 100 * 100],  # RFC 9110, section 15
        status=status,
        detail=detail,
        code=code or CODES.get(status, "invalid_request"),
        request_id=request_id,
        errors=errors,
        reason=reason,
    )
    return Response(
        body.encode(),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        media_type=MEDIA_TYPE,
    )


# --- our errors as HTTP ----------------------------------------------------------------------------


def _retry(error: Any) -> dict[str, str]:
    return {"Retry-After": str(error.retry_after)}


def _invalid_text(request_id: str, error: domain.InvalidText) -> Response:
    wrong = FieldError(field=error.field, message=error.message)
    return problem(request_id, 422, f"The {error.field} can't be posted: {error.message}", errors=[wrong])


def _invalid_amount(request_id: str, error: domain.InvalidAmount) -> Response:
    wrong = FieldError(field="amount", message=str(error))
    return problem(request_id, 422, "The board does not have this amount: see errors.", errors=[wrong])


_TABLE: dict[type[Exception], Callable[[str, Any], Response]] = {
    domain.InvalidText: _invalid_text,
    domain.InvalidAmount: _invalid_amount,
    domain.NotFound: lambda request_id, error: problem(request_id, 404, str(error)),
    domain.Gone: lambda request_id, error: problem(request_id, 410, str(error), reason=error.reason),
    domain.Conflict: lambda request_id, error: problem(request_id, 409, str(error)),
    domain.IdempotencyConflict: lambda request_id, error: problem(
        request_id, 422, str(error), code="idempotency_conflict"
    ),
    domain.IdempotencyInProgress: lambda request_id, error: problem(
        request_id, 409, str(error), code="idempotency_in_progress", headers=_retry(error)
    ),
    domain.UnknownPayment: lambda request_id, error: problem(
        request_id, 503, str(error), code="payment_unknown", headers=_retry(error)
    ),
    domain.RateLimited: lambda request_id, error: problem(request_id, 429, str(error), headers=_retry(error)),
    domain.ProviderUnavailable: lambda request_id, error: problem(
        request_id, 503, str(error), code="payment_provider_unavailable", headers=_retry(error)
    ),
    WriteInterrupted: lambda request_id, _: problem(
        request_id,
        503,
        "This was interrupted, and may have been written or not. Please send it again.",
        headers={"Retry-After": str(INTERRUPTED_RETRY_S)},
    ),
    ApiError: lambda request_id, error: problem(
        request_id, error.status, error.detail, code=error.code, headers=error.headers, errors=error.errors
    ),
}


def _database_error(request: Request, error: DatabaseUnavailable) -> Response:
    log.error("database.unavailable", error=str(error))
    detail = "The board cannot be written just now. Nothing was lost; please try again."
    return problem(_request_id(request), 503, detail, headers={"Retry-After": str(DATABASE_RETRY_S)})


def internal_error(request_id: str) -> Response:
    """Return the response to an unexpected error; the log has the details under the same request id."""
    return problem(
        request_id,
        500,
        "Something went wrong on our side. Please try again; the request id helps us find it.",
    )


def problem_of(request: Request, error: Exception) -> Response:
    """Return the response to an error that the contract knows, and raise any other again."""
    for kind, make in _TABLE.items():
        if isinstance(error, kind):
            return make(_request_id(request), error)
    for kind, answer in _OF_A_REQUEST.items():
        if isinstance(error, kind):
            return answer(request, error)
    raise error


def install(app: FastAPI) -> None:
    """Turn every error of the app into a problem."""
    for kind in (*_TABLE, *_OF_A_REQUEST):
        app.add_exception_handler(kind, _handle)


async def _handle(request: Request, error: Exception) -> Response:
    # A plain function would be run in a thread, and importing what starts it stopped the first request for 16 ms.
    return problem_of(request, error)


def _request_id(request: Request) -> str:
    return str(request.scope["state"]["request_id"])


def _invalid_request(request: Request, error: RequestValidationError) -> Response:
    # A body can have thousands of unknown fields; that is reported once.
    found = dict.fromkeys((_field(item), _message(item)) for item in error.errors())
    errors = [FieldError(field=field, message=message) for field, message in islice(found, MAX_ERRORS)]
    return problem(_request_id(request), 422, "The request is not valid: see errors.", errors=errors)


def _field(item: dict[str, Any]) -> str:
    """Return the field's name, or where it is if it is unknown: input is not echoed."""
    where, *names = (str(part) for part in item["loc"])
    return where if item["type"] == "extra_forbidden" or not names else names[0]


def _message(item: dict[str, Any]) -> str:
    if item["type"] == "json_invalid":
        return "This is not JSON."
    if item["type"] == "extra_forbidden":
        return "There is no such field."
    return str(item["msg"])


def _http_exception(request: Request, error: HTTPException) -> Response:
    status = error.status_code
    if status == BAD_REQUEST:
        # FastAPI could not parse the body; in the contract that is an invalid body like any other.
        return problem(_request_id(request), 422, "The body can't be read as JSON.")
    details = {
        404: "There is nothing at this address.",
        405: "This address does not answer to that method.",
        413: "The body is too large.",
    }
    headers = dict(error.headers or {})
    if status == METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request) or headers["Allow"]
    return problem(_request_id(request), status, details.get(status, str(error.detail)), headers=headers)


def _allowed(request: Request) -> str:
    """Return the methods of all routes at a path; the router only reports those of the first.

    Empty for a file or a mounted app, which report their own.
    """
    routes = [route for route in request.app.router.routes if not isinstance(route, Mount)]

    def is_allowed(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    found = ["GET, HEAD" if method == "GET" else method for method in METHODS if is_allowed(method)]
    return ", ".join(found)


_OF_A_REQUEST: dict[type[Exception], Callable[[Request, Any], Response]] = {
    DatabaseUnavailable: _database_error,
    RequestValidationError: _invalid_request,
    HTTPException: _http_exception,
}
