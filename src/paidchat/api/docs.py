"""/docs, /openapi.json and /asyncapi.json: the contract for those who build on it. Works without a network."""

from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import TypeAdapter

from paidchat import wire
from paidchat.api.files import Files
from paidchat.api.problems import MEDIA_TYPE

router = APIRouter(include_in_schema=False)

# Nothing inline, so that the page lives under the same strict policy as the board.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>paidchat API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" href="/docs/assets/favicon.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/init.js"></script>
</body>
</html>
"""
_INIT = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true});\n'

# Swagger UI sets style attributes as it runs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@router.get("/docs")
async def docs() -> Response:
    """Show the API to a person."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/init.js")
async def init() -> Response:
    """Start Swagger UI."""
    return Response(_INIT, media_type="text/javascript")


@router.get("/openapi.json")
async def openapi_json(request: Request) -> Response:
    """Give the HTTP contract to a program."""
    return JSONResponse(request.app.openapi())


@router.get("/asyncapi.json")
async def asyncapi_json(request: Request) -> Response:
    """Give the WebSocket contract to a program."""
    return JSONResponse(asyncapi(request.app.version))


def install(app: FastAPI) -> None:
    """Serve the documents, and describe errors as the problems they are."""
    app.include_router(router)
    app.mount("/docs/assets", Files(Path(str(files("fastapi_offline"))) / "static"), name="docs-assets")
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
        )
        for operations in document["paths"].values():
            for operation in operations.values():
                _drop_undeclared(operation["responses"])
                operation["responses"] = _with_refusals(operation["responses"])
                for status, response in operation["responses"].items():
                    if int(status) >= 400 and "application/json" in response.get("content", {}):  # noqa: PLR2004
                        response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema


def _drop_undeclared(responses: dict[str, Any]) -> None:
    """Drop the 422 that FastAPI adds by itself wherever there is a parameter, even one that cannot be wrong."""
    schema = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if schema.get("$ref", "").endswith("/HTTPValidationError"):
        del responses["422"]


# What a request to any address may be answered with, before it is looked at.
_REFUSALS = {
    "400": "`bad_request`: what no HTTP server can read.",
    "408": "`request_timeout`: it took too long to arrive.",
    "431": "`headers_too_large`: a line over 8 KiB, over 32 KiB in all, or over 100 fields, trailers included.",
}


def _with_refusals(responses: dict[str, Any]) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, description in _REFUSALS.items():
        before = responses.get(status, {"description": "", "content": content})
        responses[status] = {**before, "description": f"{before['description']} {description}".strip()}
    return dict(sorted(responses.items()))


def asyncapi(version: str) -> dict[str, Any]:
    """Return the feed's contract as an AsyncAPI 3.0 document (asyncapi.com/docs/reference/specification/v3.0.0)."""
    frames = get_args(wire.Frame)
    schemas: dict[str, Any] = {}
    for frame in frames:
        schema = TypeAdapter(frame).json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[frame.__name__] = schema
    schemas["Watch"] = {
        "type": "object",
        "description": "Tell me how this payment stands, now and at each change.",
        "properties": {"type": {"const": "watch"}, "payment_id": {"type": "string"}},
        "required": ["type", "payment_id"],
        "additionalProperties": False,
    }
    names = [frame.__name__ for frame in frames]

    def refs(names: list[str], place: str) -> list[dict[str, str]]:
        return [{"$ref": f"#/{place}/{name}"} for name in names]

    return {
        "asyncapi": "3.0.0",
        "info": {"title": "paidchat feed", "version": version},
        "defaultContentType": "application/json",
        "channels": {
            "feed": {
                "address": "/api/feed",
                "description": "Connect plain for a snapshot, or with ?after=SEQ&epoch=E to resume. "
                "A handshake that is refused gets a problem as over HTTP: 400, 403, 404, 426 or 431.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in [*names, "Watch"]},
            }
        },
        "operations": {
            "follow": {
                "action": "send",
                "channel": {"$ref": "#/channels/feed"},
                "messages": refs(names, "channels/feed/messages"),
            },
            "watch": {
                "action": "receive",
                "channel": {"$ref": "#/channels/feed"},
                "messages": refs(["Watch"], "channels/feed/messages"),
            },
        },
        "components": {
            "messages": {name: {"payload": {"$ref": f"#/components/schemas/{name}"}} for name in [*names, "Watch"]},
            "schemas": schemas,
        },
    }
