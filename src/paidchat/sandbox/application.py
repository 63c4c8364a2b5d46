"""The sandbox as an ASGI application: puts its parts and routes together."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Match, Mount, Route
from starlette.staticfiles import StaticFiles

from paidchat.sandbox.api.controls import control_routes
from paidchat.sandbox.api.endpoint import api_routes
from paidchat.sandbox.lifecycle.passing_time import keep_time
from paidchat.sandbox.pages.hosted_page import page_routes
from paidchat.sandbox.pages.panel import panel_routes
from paidchat.sandbox.parts import Parts, build_parts
from paidchat.sandbox.settings import SandboxSettings

_STATIC = Path(__file__).parent / "pages" / "static"


def create_sandbox(settings: SandboxSettings) -> Starlette:
    """Build a sandbox: `/v1` the API, `/pay` the hosted page, `/test` the controls, `/` the panel.

    It works while its lifespan runs. A server runs the lifespan itself; an application that mounts the
    sandbox must enter `running(sandbox)` in its own lifespan.
    """
    parts = build_parts(settings)
    sandbox = Starlette(
        routes=[
            *api_routes(parts),
            *control_routes(parts),
            *page_routes(parts),
            *panel_routes(parts),
            Route("/favicon.ico", _icon, methods=["GET"]),  # browsers always ask for it
            Mount("/static", StaticFiles(directory=_STATIC), name="static"),
        ],
        lifespan=lambda _: _running(parts),
        exception_handlers={405: _wrong_method},
    )
    sandbox.router.redirect_slashes = False  # it would redirect to the Host in the request
    return sandbox


async def _wrong_method(request: Request, error: Exception) -> Response:
    """List the methods of every route for the path in `Allow`; the router lists only those of the first."""
    assert isinstance(error, HTTPException)  # noqa: S101 - only installed for this class
    routes = [route for route in request.app.routes if isinstance(route, Route) and route.methods]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    allowed = sorted({method for route in matching for method in route.methods or ()})
    headers = {"Allow": ", ".join(allowed)} if allowed else error.headers  # a static file, which sets its own
    return PlainTextResponse("Method Not Allowed", 405, headers)


def running(sandbox: Starlette) -> AbstractAsyncContextManager[object]:
    """Return the context manager in which a mounted sandbox delivers events and lets time pass."""
    return sandbox.router.lifespan_context(sandbox)


async def _icon(_request: Request) -> FileResponse:
    return FileResponse(_STATIC / "favicon.ico", headers={"Cache-Control": "max-age=86400"})


@asynccontextmanager
async def _running(parts: Parts) -> AsyncIterator[None]:
    async with parts.running():
        parts.upkeep.keep("sandbox clock", partial(keep_time, parts))
        yield
