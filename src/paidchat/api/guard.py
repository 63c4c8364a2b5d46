"""The guard in front of all routes: request ids, HEAD, body limits, security headers, origins, the request log."""

import time
import uuid
from http import HTTPStatus
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paidchat.api.cors import CrossOrigin
from paidchat.api.problems import internal_error, problem
from paidchat.serving.heads import REFUSAL, Refusal
from paidchat.settings import WEBHOOK_PATH, Settings, is_loopback

log = structlog.get_logger(__name__)

SLOW_MS = 500
MAX_BODY = 64 * 1024  # bytes; a payment needs a few KiB
MAX_WEBHOOK_BODY = 512 * 1024  # bytes; Stripe's events are some tens of KiB

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def content_security_policy(settings: Settings) -> str:
    """Return the policy of our own pages: nothing inline, nothing from other origins."""
    host = urlsplit(settings.public_url)
    socket = f"{'wss' if host.scheme == 'https' else 'ws'}://{host.netloc}"  # some browsers' 'self' lacks it
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self' {socket}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def is_trustworthy(url: str) -> bool:
    """Tell whether an origin is potentially trustworthy (W3C Secure Contexts, section 3.1).

    For other origins browsers ignore Cross-Origin-Opener-Policy, with a console error at every load.
    """
    return urlsplit(url).scheme == "https" or is_loopback(url)


class Guard:
    """The outermost ASGI layer. An exception that the app lets through becomes a problem here."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        fixed = {**SECURITY_HEADERS, "Content-Security-Policy": content_security_policy(settings)}
        if is_trustworthy(settings.public_url):
            fixed["Cross-Origin-Opener-Policy"] = "same-origin"
        self._headers = [(name.lower().encode(), value.encode()) for name, value in fixed.items()]
        self._cross_origin = CrossOrigin(settings.allowed_origins)
        self._logs_all = settings.log_requests == "all"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. A WebSocket only gets its request id, and the lifespan nothing."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            if scope["type"] == "http":
                await self._serve(scope, receive, send, request_id)
            else:
                await self._app(scope, receive, self._with_headers(scope, send))

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        """Add the headers that every response has, also to a refused handshake."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = message["headers"] = list(message["headers"])
                present = {name for name, _ in headers}
                headers.append((b"x-request-id", scope["state"]["request_id"].encode()))
                headers += (header for header in self._headers if header[0] not in present)
                self._cross_origin.add_to(MutableHeaders(scope=message), scope)
            await send(message)

        return send_with_headers

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        started, status = time.perf_counter(), 0
        asked, scope = scope, _as_get(scope)
        send_with_headers = self._with_headers(asked, send)

        async def answer(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send_with_headers(message)

        limit = MAX_WEBHOOK_BODY if scope["path"] == WEBHOOK_PATH else MAX_BODY
        try:
            if refusal := scope.get("extensions", {}).get(REFUSAL):
                await _refused(request_id, refusal)(scope, receive, answer)
            elif _announced(scope) > limit:
                too_large = problem(request_id, 413, "The body is too large.")
                await too_large(scope, receive, answer)
            elif preflight := self._cross_origin.preflight(scope):
                await preflight(scope, receive, answer)
            else:
                await self._app(scope, _limited(receive, limit), answer)
        except ClientDisconnect:
            log.info("request.abandoned", path=_route(scope))
        except Exception:
            log.exception("request.failed", path=_route(scope))
            if status:
                raise  # part of a response has been sent, so the connection must break
            await internal_error(request_id)(scope, receive, answer)
        elapsed_ms = round((time.perf_counter() - started) * 1000, 1)
        scope["state"]["services"].metrics.requests.labels(_route(scope), status).inc()
        if self._logs_all or status >= HTTPStatus.BAD_REQUEST or elapsed_ms >= SLOW_MS:
            log.info("request", method=asked["method"], path=_route(scope), status=status, ms=elapsed_ms)


def _as_get(scope: Scope) -> Scope:
    """Turn HEAD into GET for the app: the response is the same, and the server leaves the body out.

    `state["is_head"]` tells routes whose GET has side effects to omit them (RFC 9110, section 9.3.2).
    """
    is_head = scope["method"] == "HEAD"
    scope["state"]["is_head"] = is_head
    return {**scope, "method": "GET"} if is_head else scope


def _refused(request_id: str, refusal: Refusal) -> ASGIApp:
    """Return the response to input that the server could not parse."""
    headers = {"Connection": "close", **refusal.headers}
    return problem(request_id, refusal.status, refusal.detail, code=refusal.code, headers=headers)


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "0")
    return int(length) if length.isascii() and length.isdecimal() else 0


def _limited(receive: Receive, limit: int) -> Receive:
    """Count the body as it arrives: Content-Length may be missing or wrong."""
    left = limit

    async def receive_limited() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413)
        return message

    return receive_limited


def _route(scope: Scope) -> str:
    """Return the route's template: the path may contain a payment's id, which is secret."""
    route = scope.get("route")
    return str(getattr(route, "path", None) or "(no route)")


def is_own_origin(scope: Scope, settings: Settings) -> bool:
    """Tell whether a WebSocket's origin is allowed. A client that sends no Origin is not a browser."""
    origins = Headers(scope=scope).getlist("origin")
    return not origins or (len(origins) == 1 and origins[0] in settings.origins)
