"""Responses for the OpenAPI document: successes and error codes of routes, with headers and examples."""

import json
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from paidchat.api.contract import examples
from paidchat.api.contract.examples import REQUEST_ID, Json
from paidchat.api.problems import MEDIA_TYPE, problem


class ErrorCode(Struct, frozen=True):
    """One of the stable error codes.

    Attributes:
        status: the one status it comes with.
        meaning: when it is returned, in a sentence.
        detail: an example of its detail.
        headers: names of the headers that come with it, besides those of every problem.
        more: additional members of the example.
    """

    status: int
    meaning: str
    detail: str
    headers: tuple[str, ...] = ()
    more: tuple[tuple[str, object], ...] = ()


def _wrong(field: str, message: str) -> tuple[tuple[str, object], ...]:
    return (("errors", [{"field": field, "message": message}]),)


CODES: Final = {
    "bad_request": ErrorCode(
        400,
        "The bytes can't be read as one HTTP request in one way only. The connection closes.",
        "A body has one length, in digits.",
        ("Connection",),
    ),
    "invalid_signature": ErrorCode(
        400,
        "The body does not bear a valid, recent signature of Stripe's.",
        "This was not signed by Stripe just now: no signature matches.",
    ),
    "unauthorized": ErrorCode(
        401,
        "The bearer token is missing or wrong.",
        "Send the admin token as a bearer token.",
        ("WWW-Authenticate",),
    ),
    "forbidden": ErrorCode(
        403,
        "The page that opens the feed is of an origin that is not allowed to.",
        "This page's origin may not follow the board.",
    ),
    "not_found": ErrorCode(404, "There is nothing with this id, or at this address.", "There is no such message."),
    "method_not_allowed": ErrorCode(
        405,
        "The path exists, but not with this method.",
        "This address does not answer to that method.",
        ("Allow",),
    ),
    "request_timeout": ErrorCode(
        408,
        "The request took too long to arrive: a body may pause for 10 s and last 20 s. The connection closes.",
        "The request took too long to arrive.",
        ("Connection",),
    ),
    "conflict": ErrorCode(
        409,
        "The state of the payment or message forbids it.",
        "The payment for this message was refunded, so it stays off the board.",
    ),
    "idempotency_in_progress": ErrorCode(
        409,
        "The first request with this Idempotency-Key is still being answered.",
        "The first request with this Idempotency-Key is still being answered.",
        ("Retry-After",),
    ),
    "gone": ErrorCode(
        410,
        "The message was on the board and has been removed; `reason` says why.",
        "The message was removed: moderated.",
        more=(("reason", "moderated"),),
    ),
    "payload_too_large": ErrorCode(
        413,
        "The body is over 64 KiB; over 512 KiB for Stripe's events.",
        "The body is too large.",
    ),
    "unsupported_media_type": ErrorCode(
        415,
        "The body is not `application/json` where that is wanted, or has a Content-Encoding.",
        "Send the body as application/json.",
        ("Accept", "Accept-Encoding"),
    ),
    "invalid_request": ErrorCode(
        422,
        "The body or a parameter is not valid; `errors` says which.",
        "The request is not valid: see errors.",
        more=_wrong("text", "Field required"),
    ),
    "idempotency_conflict": ErrorCode(
        422,
        "The Idempotency-Key was used before, with another body.",
        "This Idempotency-Key was used before, with another body. Use a new key.",
    ),
    "upgrade_required": ErrorCode(
        426,
        "The request is no WebSocket handshake of version 13.",
        "This address speaks WebSocket: connect with a WebSocket client.",
        ("Upgrade", "Connection", "Sec-WebSocket-Version"),
    ),
    "rate_limited": ErrorCode(
        429,
        "This client starts payments too fast, or too many payments are waiting to be paid.",
        "Too many payments from here. Please wait a moment.",
        ("Retry-After",),
    ),
    "headers_too_large": ErrorCode(
        431,
        "The head has a line over 8 KiB, over 32 KiB in all or over 100 fields, trailers included. "
        "The connection closes.",
        "The request's headers are too large.",
        ("Connection",),
    ),
    "internal_error": ErrorCode(
        500,
        "An unexpected error. The server's log has it under the `request_id`.",
        "Something went wrong on our side. Please try again; the request id helps us find it.",
    ),
    "not_ready": ErrorCode(
        503,
        "The database can't be used just now. Nothing was lost.",
        "The board cannot be written just now. Nothing was lost; please try again.",
        ("Retry-After",),
    ),
    "payment_provider_unavailable": ErrorCode(
        503,
        "Stripe can't be asked just now. Nothing was charged.",
        "The payment provider does not answer. Nothing was charged; please try again.",
        ("Retry-After",),
    ),
    "payment_unknown": ErrorCode(
        503,
        "A paid event bears this board's tag for a payment that is not here.",
        "This was paid for, but the payment is not here. Send it again.",
        ("Retry-After",),
    ),
}
# Errors that any request may get.
ALWAYS: Final = ("bad_request", "request_timeout", "payload_too_large", "headers_too_large", "internal_error")
_WRONG_METHOD: Final = "method_not_allowed"  # never an operation's error, since an operation is a path with a method
_OUTSIDE: Final = ("not_found", _WRONG_METHOD)
_EVERY_PROBLEM: Final = ("X-Request-Id", "Cache-Control")

ADMIN_ONLY: Final[Json] = {"security": [{"adminToken": []}]}
SECURITY_SCHEMES: Final[Json] = {
    "adminToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The board's `PAIDCHAT_ADMIN_TOKEN`. Without one configured, these operations are 404.",
    }
}


def _header(description: str, example: str, *, required: bool = False) -> Json:
    always = {"required": True} if required else {}
    return {"description": description, **always, "schema": {"type": "string"}, "example": example}


HEADERS: Final[dict[str, Json]] = {
    "X-Request-Id": _header(
        "This request's id in the server's log; that of a problem's `request_id`.", REQUEST_ID, required=True
    ),
    "Cache-Control": _header(
        "`no-store`: not to be kept. `no-cache`: may be kept, but asked about before each use.", "no-store"
    ),
    "Location": _header(
        "The path of the new payment.", "/api/payments/0b9d6c3e-5f2a-4c1b-9a7e-3d8f6b1c2a40", required=True
    ),
    "ETag": _header(
        "Names this version of the page; send it back as If-None-Match.",
        '"5d0f6f6cbb5a4f0e8f6d1c9e2b7a3c41-1027"',
        required=True,
    ),
    "Retry-After": {
        "description": "Seconds until asking again makes sense: exact with 429, an honest estimate otherwise.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 5,
    },
    "Accept": _header("The media type to send, when it was another one.", "application/json"),
    "Accept-Encoding": _header(
        "The content coding to send, when there was another one: none (RFC 9110, section 12.5.3).", "identity"
    ),
    "WWW-Authenticate": _header("How to authenticate (RFC 6750).", 'Bearer realm="paidchat"', required=True),
    "Allow": _header("The methods that the path has (RFC 9110, section 10.2.1).", "GET, HEAD", required=True),
    "Connection": _header(
        "`close` when the connection ends with this answer; `Upgrade` names a field about this hop.", "close"
    ),
    "Upgrade": _header("What to ask for (RFC 9110, section 7.8).", "websocket", required=True),
    "Sec-WebSocket-Version": _header(
        "The version to speak, when a handshake was of another one (RFC 6455, section 4.4).", "13"
    ),
}


_NO_ONE: Final = "chat.example.com"  # a reserved name (RFC 2606), without a board on the web


def contact(public_url: str | None) -> Json:
    """Return the contact for a board: its webmaster, an address that every web server should have (RFC 2142)."""
    host = urlsplit(public_url or "").hostname or _NO_ONE
    domain = host if re.fullmatch(r"([a-z0-9-]+\.)+[a-z-]{2,}", host) else _NO_ONE
    return {
        "name": "The operator of this board",
        "url": public_url or f"https://{_NO_ONE}",
        "email": f"webmaster@{domain}",
    }


def success(description: str, *headers: str, example: str = "", media_type: str = "application/json") -> Json:
    """Describe a successful response for a route's `responses`; `example` is a name in `examples`."""
    described: Json = {"description": description, "headers": _references("headers", "X-Request-Id", *headers)}
    if example:
        described["content"] = {media_type: {"examples": _references("examples", example)}}
    if media_type.startswith("text/"):
        described["content"][media_type]["schema"] = {"type": "string"}
    return described


def problems(*codes: str) -> dict[int | str, Json]:
    """Describe the errors that a route returns besides those of every route, for its `responses`."""
    by_status: dict[int, list[str]] = {}
    for code in (*codes, *ALWAYS):
        by_status.setdefault(CODES[code].status, []).append(code)
    return {status: problem_response(each) for status, each in sorted(by_status.items())}


def problem_response(codes: Sequence[str]) -> Json:
    """Describe the response for errors of one status."""
    headers = dict.fromkeys(header for code in codes for header in CODES[code].headers)
    return {
        "description": " ".join(f"`{code}`: {CODES[code].meaning}" for code in codes),
        "headers": _references("headers", *_EVERY_PROBLEM, *headers),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": f"#/components/schemas/{problem_name(codes)}"},
                "examples": _references("examples", *codes),
            }
        },
    }


def problem_name(codes: Sequence[str]) -> str:
    """Return the name of the schema for errors of one status, such as `NotFoundProblem`."""
    words = (code.title().replace("_", "") for code in codes)
    return f"{'Or'.join(words)}Problem"


def problem_schema(codes: Sequence[str]) -> Json:
    """Return the schema for errors of one status: a problem with one of these codes."""
    meanings = " ".join(f"`{code}`: {CODES[code].meaning}" for code in codes)
    return {
        "description": meanings,
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {
                "type": "object",
                "properties": {
                    "status": {"type": "integer", "enum": [CODES[codes[0]].status]},
                    "code": {"type": "string", "enum": list(codes)},
                },
                "required": ["status", "code"],
            },
        ],
    }


def outside_operations() -> Json:
    """Describe the responses outside all operations: for an unknown path, and for a wrong method."""
    found: Json = {}
    for code in _OUTSIDE:
        known = CODES[code]
        found[str(known.status)] = {
            "description": known.meaning,
            "headers": {name: HEADERS[name] for name in known.headers},
            "content": {
                MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": _example(code, known)}
            },
        }
    return {"responses": found}


def components() -> Json:
    """Return the examples, headers and security schemes that operations refer to."""
    errors = {code: {"summary": known.meaning, "value": _example(code, known)} for code, known in CODES.items()}
    del errors[_WRONG_METHOD]
    successes = {name: {"value": value} for name, value in examples.SUCCESSES.items()}
    return {
        "examples": successes | errors,
        "headers": {name: header for name, header in HEADERS.items() if name != "Allow"},
        "securitySchemes": SECURITY_SCHEMES,
    }


def _references(kind: str, *names: str) -> Json:
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}


def _example(code: str, known: ErrorCode) -> Json:
    answer = problem(REQUEST_ID, known.status, known.detail, code=code)
    example: Json = json.loads(bytes(answer.body))
    return example | dict(known.more)
