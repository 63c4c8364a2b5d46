"""The guard in front of all routes: request ids, HEAD, body limits, common headers, the request log."""

import time

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paidchat.api.common import CommonHeaders, RequestLog, new_request_id
from paidchat.api.problems import internal_error, problem
from paidchat.serving.heads import REFUSAL, Refusal
from paidchat.settings import WEBHOOK_PATH, Settings

log = structlog.get_logger(__name__)

MAX_BODY = 64 * 1024  # bytes; a payment needs a few KiB
MAX_WEBHOOK_BODY = 512 * 1024  # bytes; Stripe's events are some tens of KiB


class Guard:
    """The outermost ASGI layer. An exception that the app lets through becomes a problem here."""

    def __init__(self, app: ASGIApp, common: CommonHeaders, request_log: RequestLog) -> None:
        self._app = app
        self._common = common
        self._request_log = request_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. A WebSocket only gets its request id, and the lifespan nothing."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)  # each request has a task, so a context
        answer = _Answer(scope, send, self._common)
        if scope["type"] == "http":
            await self._serve(scope, receive, answer, request_id)
        else:
            await self._app(scope, receive, answer)

    async def _serve(self, asked: Scope, receive: Receive, answer: "_Answer", request_id: str) -> None:
        began = time.perf_counter()
        scope = _as_get(asked)
        limit = MAX_WEBHOOK_BODY if scope["path"] == WEBHOOK_PATH else MAX_BODY
        try:
            if refusal := scope.get("extensions", {}).get(REFUSAL):
                await _refused(request_id, refusal)(scope, receive, answer)
            elif _announced(scope) > limit:
                too_large = problem(request_id, 413, "The body is too large.")
                await too_large(scope, receive, answer)
            elif preflight := self._common.cross_origin.preflight(scope):
                await preflight(scope, receive, answer)
            else:
                await self._app(scope, _limited(receive, limit), answer)
        except ClientDisconnect:
            log.info("request.abandoned", path=_route(scope))
        except Exception:
            log.exception("request.failed", path=_route(scope))
            if answer.status:
                raise  # part of a response has been sent, so the connection must break
            await internal_error(request_id)(scope, receive, answer)
        metrics = scope["state"]["services"].metrics
        self._request_log.note(metrics, request_id, asked["method"], _route(scope), answer.status, began)


class _Answer:
    """Sends a response with the headers that every response has, also that to a refused handshake.

    Attributes:
        status: of what was sent; 0 if nothing was.
    """

    __slots__ = ("_common", "_scope", "_send", "status")

    def __init__(self, scope: Scope, send: Send, common: CommonHeaders) -> None:
        self._scope = scope
        self._send = send
        self._common = common
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            self.status = message["status"]
            request_id = self._scope["state"]["request_id"]
            message["headers"] = self._common.added_to(message["headers"], request_id, self._scope["headers"])
        await self._send(message)


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
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(length) if length.isdigit() else 0


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
