"""Shortcuts: the busiest requests, answered before routing.

FastAPI's routing, exit stacks, dependencies and validation took more than twice as much of a webhook's CPU as its share
of the database (py-spy, 32 at a time). With them and a query, the newest page would take twelve times as much CPU, and
the board's settings three times as much (`./dev bench reads`).
"""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from paidchat.api.bodies import check_encoding
from paidchat.api.deps import services_of
from paidchat.api.problems import problem_of
from paidchat.api.ready import BOARD_PATH, PAGE_PATH, Ready
from paidchat.api.webhooks import receive_event
from paidchat.settings import WEBHOOK_PATH


@dataclass(frozen=True, slots=True)
class _Route:
    """What the request log and the metrics call the route, as routing would have set it."""

    path: str


class Shortcuts:
    """The ASGI layer in front of routing. Whatever is not ready, or not plain, goes on to its route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive an event of Stripe's, or answer a GET without a query if its answer is ready."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if (scope["method"], scope["path"]) == ("POST", WEBHOOK_PATH):
            scope["route"] = _Route(WEBHOOK_PATH)
            await _receive_event(request, send)
        elif scope["method"] == "GET" and (ready := _find(request)):
            scope["route"] = _Route(scope["path"])
            await ready.answer(request.headers)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _receive_event(request: Request, send: Send) -> None:
    try:
        check_encoding(request.headers)
        answer = await receive_event(request)
    except Exception as error:  # noqa: BLE001 - those that are not ours are raised again
        answer = problem_of(request, error)
    await answer(request.scope, request.receive, send)


def _find(request: Request) -> Ready | None:
    path = request.scope["path"]
    if path not in {PAGE_PATH, BOARD_PATH} or request.scope["query_string"]:
        return None
    services = services_of(request)
    return services.board_info if path == BOARD_PATH else services.newest_page.ready()
