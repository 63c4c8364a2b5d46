"""The app: the composition root. Its lifespan builds the parts and closes them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from paidchat.companions import left_out

# FastAPI would look for models of pydantic's first version among the types of routes: 20 ms and 1.5 MiB at every start.
with left_out("pydantic.v1"):
    from paidchat.api import admin, feed, health, messages, payments, problems, webhooks
    from paidchat.api.contract import docs
    from paidchat.pages import routes as pages
    from paidchat.pages import sharing
from paidchat.api.common import CommonHeaders, RequestLog
from paidchat.api.deps import Services
from paidchat.api.guard import Guard
from paidchat.api.pinned import read_pinned
from paidchat.api.ready import KeptPage, board_info, read_newest, ready_info
from paidchat.api.shortcuts import ReadyAnswers, Shortcuts, Webhooks
from paidchat.feed.admission import ConnectionLimit
from paidchat.feed.audience import Audience
from paidchat.feed.feed import Feed
from paidchat.feed.raised import Raised
from paidchat.observability import configure_logging
from paidchat.pages.assets import ASSETS_PATH
from paidchat.pages.documents import BoardDocuments
from paidchat.pages.languages import preferred_language
from paidchat.pages.site import Site
from paidchat.payments.core import core
from paidchat.serving.exchange import PREPARED, RECEIVES
from paidchat.settings import Settings, load_settings

if TYPE_CHECKING:
    from paidchat.sandbox import SandboxSettings

FRONTEND = Path(__file__).parent / "frontend"
# `sharing` before `pages`, whose `/m/{id}` would take `/m/{id}.png` too.
ROUTERS = tuple(part.router for part in (payments, webhooks, messages, feed, admin, health, sharing, pages))


class _App(FastAPI):
    """FastAPI behind the guard and the shortcuts: around them, its layers took 37 µs of a webhook (py-spy)."""

    def __init__(self, common: CommonHeaders, request_log: RequestLog, **more: Any) -> None:
        super().__init__(**more)
        self.guard = Guard(Shortcuts(super().__call__), common, request_log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or the lifespan."""
        await self.guard(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Return FastAPI's layers but the outermost, which would answer unexpected errors before the guard does."""
        outermost = super().build_middleware_stack()
        assert isinstance(outermost, ServerErrorMiddleware)  # noqa: S101 - as FastAPI builds it
        return outermost.app


def create_app(settings: Settings, sandbox: "SandboxSettings | None" = None) -> FastAPI:
    """Build the app. With `sandbox`, the stand-in for Stripe is served under `/sandbox`."""
    sandbox_app = None
    if sandbox is not None:
        from paidchat.sandbox import create_sandbox  # noqa: PLC0415 - imported only for a demo

        sandbox_app = create_sandbox(sandbox)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            if sandbox_app is not None:
                await stack.enter_async_context(sandbox_app.router.lifespan_context(sandbox_app))
            services = await stack.enter_async_context(_running(settings))
            documents = BoardDocuments(site, services.database, services.feed)
            shared = sharing.Sharing(settings, site, services.database, services.feed)
            stack.callback(shared.gallery.close)
            front = {pages.FRONT_PATH: lambda lines: documents.ready(preferred_language(lines))}
            ready = ReadyAnswers(services, common, request_log, front)
            yield {
                "services": services,
                "pages": pages.Pages(site, documents),
                "sharing": shared,
                PREPARED: ready,
                RECEIVES: Webhooks(services, common, request_log),
            }

    site = Site(board_info(settings), settings.public_url, FRONTEND, watches=sandbox is not None)
    common, request_log = CommonHeaders(settings), RequestLog(settings)
    # Included routers would be prepared anew by the first request, which stopped the event loop for 18 ms.
    routes = [route for router in (*ROUTERS, docs.router) for route in router.routes]
    app = _App(
        common,
        request_log,
        routes=routes,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    problems.install(app)
    docs.install(app, settings.public_url)
    if sandbox_app is not None:
        app.mount("/sandbox", sandbox_app)
        app.add_route("/sandbox", lambda _: RedirectResponse("/sandbox/"))
    app.mount(ASSETS_PATH, site.assets)
    app.router.default = _nothing
    return app


async def _nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Answer a request or a handshake that no route serves; Starlette would close the handshake with 403."""
    raise HTTPException(404)


def from_environment() -> FastAPI:
    """Build the app in a worker process, with settings and logging from the environment."""
    settings = load_settings()
    configure_logging(settings.log_format)
    return create_app(settings)


@asynccontextmanager
async def _running(settings: Settings) -> AsyncIterator[Services]:
    """Build the parts and run the background tasks; everything is closed in reverse order."""
    async with core(settings, serves=True) as parts:
        feed = Feed(parts.database)
        await feed.open()
        parts.background.start("paidchat:feed.tailer", feed.run)
        parts.background.start("paidchat:feed.keepalive", feed.keep_alive)
        raised = Raised(parts.database, feed, settings.price_currency) if settings.show_raised == "on" else None
        audience = Audience(parts.database, feed, raised)
        parts.background.start("paidchat:feed.audience", audience.run)
        listener = None
        if parts.database.backend == "postgresql":
            from paidchat.storage.listener import Listener  # noqa: PLC0415 - it imports asyncpg, see `Database`

            listener = Listener(parts.database.changes, partial(parts.database.connect, "paidchat listener"))
            parts.background.start("paidchat:listener", listener.run)
        parts.background.start("paidchat:reconciler", parts.reconciler.run)
        yield Services(
            settings=settings,
            database=parts.database,
            gateway=parts.gateway,
            checkout=parts.checkout,
            fulfilment=parts.fulfilment,
            reconciler=parts.reconciler,
            feed=feed,
            audience=audience,
            listener=listener,
            connection_limit=ConnectionLimit(settings.max_viewers, settings.max_viewers_per_client),
            newest_page=KeptPage(parts.database, feed, read_newest),
            pinned_page=KeptPage(parts.database, feed, read_pinned),
            board_info=ready_info(board_info(settings)),
            metrics=parts.metrics,
            background=parts.background,
        )
