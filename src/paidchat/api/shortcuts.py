"""Shortcuts: the busiest requests, answered without routing.

FastAPI's routing, exit stacks, dependencies and validation took more than twice as much of a webhook's CPU as its share
of the database (py-spy, 32 at a time), and ASGI another quarter of the whole. What is ready as bytes needs no task
either: with one, the board's settings took 290 µs instead of 95 (`./dev bench reads`).
"""

import time
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from paidchat.api.bodies import check_encoding
from paidchat.api.common import CommonHeaders, RequestLog, RouteName, new_request_id
from paidchat.api.deps import Services
from paidchat.api.health import HEALTH_PATH, Health
from paidchat.api.pinned import PINNED_PATH
from paidchat.api.problems import internal_error, problem_of
from paidchat.api.ready import BOARD_PATH, PAGE_PATH, Answer, Fields, Ready
from paidchat.api.webhooks import RECEIVED, handle_event, receive_event
from paidchat.serving.exchange import Prepared, Respond
from paidchat.serving.heads import Head
from paidchat.settings import WEBHOOK_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

log = structlog.get_logger(__name__)

_WEBHOOK: Final = (b"POST", WEBHOOK_PATH.encode())
_OF_RECEIVED: Final = [(b"content-length", b"%d" % len(RECEIVED)), (b"content-type", b"application/json")]


class _Outside:
    """What answers outside ASGI have in common with those from a route: the headers, the log entry and the count."""

    def __init__(self, services: Services, common: CommonHeaders, request_log: RequestLog) -> None:
        self._services = services
        self._common = common
        self._request_log = request_log

    def _prepared(
        self, head: Head, answer: tuple[int, Fields, bytes], request_id: str, route: str, began: float
    ) -> Prepared:
        """Return a response of this status, with these headers of its own and this body."""
        status, own, body = answer
        note, metrics = self._request_log.note, self._services.metrics
        return Prepared(
            head=self._common.head(status, own, request_id, head.fields),
            body=body,
            on_sent=partial(note, metrics, request_id, head.method.decode(), route, status, began),
        )


class ReadyAnswers(_Outside):
    """The answers that are kept as bytes, which the server sends itself; any other request goes to the app."""

    def __init__(
        self,
        services: Services,
        common: CommonHeaders,
        request_log: RequestLog,
        documents: "Mapping[str, Callable[[Sequence[str]], Answer | None]]",  # by lines of Accept-Language
    ) -> None:
        super().__init__(services, common, request_log)
        health = Ready(Health().encode())
        self._documents = {path.encode(): find for path, find in documents.items()}
        self._find: dict[bytes, Callable[[], Answer | None]] = {
            PAGE_PATH.encode(): services.newest_page.ready,
            PINNED_PATH.encode(): services.pinned_page.ready,
            BOARD_PATH.encode(): lambda: services.board_info,
            HEALTH_PATH.encode(): lambda: health,
        }

    def __call__(self, head: Head) -> Prepared | None:
        """Return the answer to a GET or HEAD of one of them, written plainly and without a query."""
        began = time.perf_counter()
        ready = self._ready(head) if head.method in {b"GET", b"HEAD"} else None
        if ready is None:
            return None
        answer = ready.choose(_lines(head, b"if-none-match"), _lines(head, b"accept-encoding"))
        return self._prepared(head, answer, new_request_id(), head.target.decode(), began)

    def _ready(self, head: Head) -> Answer | None:
        if find := self._find.get(head.target):
            return find()
        document = self._documents.get(head.target)
        return document(_lines(head, b"accept-language")) if document else None


def _lines(head: Head, name: bytes) -> list[str]:
    return [value.decode("latin-1") for value in head.values(name)]


class Webhooks(_Outside):
    """Receives the events of Stripe's whose bodies arrive with their heads. Any other request goes to the app."""

    def __call__(self, head: Head) -> Respond | None:
        """Return what receives the body, if this is a webhook, addressed plainly."""
        return partial(self._respond, head) if (head.method, head.target) == _WEBHOOK else None

    async def _respond(self, head: Head, body: bytes) -> Prepared:
        began = time.perf_counter()
        request_id = new_request_id()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        answer = 200, _OF_RECEIVED, RECEIVED
        try:
            check_encoding(_lines(head, b"content-encoding"))
            signatures = _lines(head, b"stripe-signature")
            await handle_event(self._services, body, signatures[0] if signatures else "")
        except Exception as error:  # noqa: BLE001 - those that are not ours are logged
            response = _problem(request_id, error)
            answer = response.status_code, response.raw_headers, bytes(response.body)
        return self._prepared(head, answer, request_id, WEBHOOK_PATH, began)


def _problem(request_id: str, error: Exception) -> Response:
    request = Request({"type": "http", "state": {"request_id": request_id}})
    try:
        return problem_of(request, error)
    except Exception:
        log.exception("request.failed", path=WEBHOOK_PATH)
        return internal_error(request_id)


class Shortcuts:
    """The ASGI layer in front of routing, which receives events of Stripe's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive an event of Stripe's, or let routing find who serves the request."""
        if scope["type"] == "http" and scope["path"] == WEBHOOK_PATH and scope["method"] == "POST":
            scope["route"] = RouteName(WEBHOOK_PATH)
            await _receive_event(Request(scope, receive), send)
        else:
            await self._app(scope, receive, send)


async def _receive_event(request: Request, send: Send) -> None:
    try:
        check_encoding(request.headers.getlist("content-encoding"))
        answer = await receive_event(request)
    except Exception as error:  # noqa: BLE001 - those that are not ours are raised again
        answer = problem_of(request, error)
    await answer(request.scope, request.receive, send)
