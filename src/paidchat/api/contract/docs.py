"""/docs, /openapi.json and /asyncapi.json: the contract for API consumers. Works offline."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from paidchat.api.contract.asyncapi import asyncapi
from paidchat.api.contract.openapi import openapi
from paidchat.api.deps import TheSettings
from paidchat.api.files import Files

router = APIRouter(include_in_schema=False)

# Nothing inline, so that the page works under the board's strict policy.
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
    """Return the API documentation page."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/init.js")
async def init() -> Response:
    """Start Swagger UI."""
    return Response(_INIT, media_type="text/javascript")


@router.get("/openapi.json")
async def openapi_json(request: Request) -> Response:
    """Return the HTTP contract."""
    return JSONResponse(request.app.openapi())


@router.get("/asyncapi.json")
async def asyncapi_json(settings: TheSettings) -> Response:
    """Return the WebSocket contract."""
    return JSONResponse(asyncapi(settings.public_url))


def install(app: FastAPI, public_url: str) -> None:
    """Serve the documents, with this board as their server."""
    app.mount("/docs/assets", Files(Path(str(files("fastapi_offline"))) / "static"), name="docs-assets")
    app.openapi = cache(lambda: openapi(app.routes, public_url))  # type: ignore[method-assign]  # FastAPI's documented way
