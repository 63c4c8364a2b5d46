"""The OpenAPI document: FastAPI's, completed with what FastAPI can't know."""

from importlib.metadata import version
from typing import Any, Final

from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from starlette.routing import BaseRoute

from paidchat.api.contract import responses as contract
from paidchat.api.contract.examples import Json
from paidchat.api.problems import MEDIA_TYPE, Problem

SUMMARY: Final = "Pay a dollar, post a message on a live public board."
LICENSE: Final = {"name": "MIT", "identifier": "MIT"}
_FIRST_ERROR: Final = 400
_DESCRIPTION: Final = """\
Start a payment, send the payer's browser to its `checkout_url`, and look the payment up: once it is `fulfilled`, its
`message_id` names the message that is on the board. The board itself is read in pages here and followed live on the
WebSocket `/api/feed`, which `/asyncapi.json` describes.

**Conventions.** JSON everywhere. Money is in the currency's minor units with a lower-case currency code. Times are RFC
3339 in UTC. Ids are opaque strings, except for a message's `id` and `seq`, which are integers on one number line.
The contract grows compatibly: ignore fields, frames and error codes that you don't know.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`; each operation lists every code that it can
answer. Besides, an unknown path is 404 `not_found`, a wrong method on a known one 405 `method_not_allowed` with
`Allow`, and a WebSocket handshake anywhere but at `/api/feed` 404 `not_found`. `HEAD` works wherever `GET` does.
"""
TAGS: Final = [
    {"name": "payments", "description": "Starting a payment and looking it up."},
    {"name": "board", "description": "Reading the board."},
    {"name": "feed", "description": "Following the board live; asyncapi.json has the frames."},
    {"name": "admin", "description": "Moderation, for the operator."},
    {"name": "stripe", "description": "What Stripe calls."},
    {"name": "operation", "description": "Health and metrics, for whoever runs the board."},
]


def openapi(routes: list[BaseRoute], public_url: str | None) -> Json:
    """Return the HTTP contract as an OpenAPI 3.1 document (spec.openapis.org/oas/v3.1.1).

    Without a public URL its server is `/`, relative to the document.
    """
    document = get_openapi(
        title="paidchat",
        version=version("paidchat"),
        summary=SUMMARY,
        description=_DESCRIPTION,
        routes=routes,
        tags=TAGS,
        servers=[{"url": public_url or "/", "description": "This board."}],
        license_info=LICENSE,
    )
    document["info"]["contact"] = contract.contact(public_url)
    document["security"] = []
    components = document["components"]
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["schemas"] |= schemas_of(Problem)
    for operations in document["paths"].values():
        for operation in operations.values():
            _complete(operation, components["schemas"])
    for schema in components["schemas"].values():
        tidy(schema)
    components["schemas"] = dict(sorted(components["schemas"].items()))
    components |= contract.components()
    document["x-outside-operations"] = contract.outside_operations()
    return document


def _complete(operation: Json, schemas: Json) -> None:
    """Tidy an operation, and add the schemas of its errors."""
    responses = operation["responses"]
    reference = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if reference.get("$ref", "").endswith("/HTTPValidationError"):
        # FastAPI adds it to every operation with a parameter, even one that can't be invalid.
        del responses["422"]
    for status, response in responses.items():
        if int(status) >= _FIRST_ERROR:
            codes = list(response["content"][MEDIA_TYPE]["examples"])
            schemas[contract.problem_name(codes)] = contract.problem_schema(codes)
    operation["responses"] = dict(sorted(responses.items()))
    for parameter in operation.get("parameters", ()):
        _tidy_parameter(parameter)


def _tidy_parameter(parameter: Json) -> None:
    """Express that a parameter is optional by `required` alone, since headers and queries can't carry null."""
    schema = parameter["schema"]
    for wrapped in [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]:
        schema.update(wrapped)
    for repeated in ("title", "description"):
        schema.pop(repeated, None)
    if examples := schema.pop("examples", None):
        parameter["example"] = examples[0]


def schemas_of(shape: Any) -> Json:
    """Return the schemas of a shape that is sent, by name: its own and those it refers to."""
    adapter = TypeAdapter(shape)
    schema = adapter.json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), schema["title"]: schema}


def tidy(schema: Json) -> None:
    """Drop titles that repeat names, and defaults, which are meaningless in responses."""
    for field in schema.get("properties", {}).values():
        field.pop("title", None)
        if schema.get("additionalProperties") is not False:
            field.pop("default", None)
