"""Controls under `/test`, for scripts: verbs on sessions, resending events, clock, faults, tax and ledger."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paidchat.sandbox.api.ledger import ledger
from paidchat.sandbox.errors import StateError, UnknownObjectError
from paidchat.sandbox.faults import InvalidFaultError
from paidchat.sandbox.lifecycle.passing_time import LONGEST_ADVANCE_S, advance
from paidchat.sandbox.lifecycle.verbs import do
from paidchat.sandbox.parts import Parts
from paidchat.sandbox.tax import Tax, load_tax, save_tax

_HIGHEST_RATE = 100

Handler = Callable[[Request], Awaitable[Any]]


class InvalidRequestError(ValueError):
    """The request body is invalid; the text says what is expected."""


def control_routes(parts: Parts) -> list[Route]:
    """Return the routes of the controls."""
    controls = _Controls(parts)
    return [
        Route("/test/sessions/{id}/{verb}", _endpoint(controls.act), methods=["POST"]),
        Route("/test/events/{id}/resend", _endpoint(controls.resend), methods=["POST"]),
        Route("/test/clock", _endpoint(controls.clock), methods=["GET"]),
        Route("/test/clock", _endpoint(controls.advance), methods=["POST"]),
        Route("/test/faults", _endpoint(controls.faults), methods=["GET"]),
        Route("/test/faults", _endpoint(controls.put_faults), methods=["PUT"]),
        Route("/test/faults", _endpoint(controls.clear_faults), methods=["DELETE"]),
        Route("/test/tax", _endpoint(controls.tax), methods=["GET"]),
        Route("/test/tax", _endpoint(controls.put_tax), methods=["PUT"]),
        Route("/test/ledger", _endpoint(controls.ledger), methods=["GET"]),
    ]


class _Controls:
    """Each control takes a request and returns the JSON of the response."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def act(self, request: Request) -> Any:
        return await do(self._parts, request.path_params["verb"], request.path_params["id"])

    async def resend(self, request: Request) -> Any:
        event_id = request.path_params["id"]
        answer = await self._parts.courier.resend(event_id)
        if answer is None:
            raise UnknownObjectError(f"No such event: '{event_id}'")
        return {"event": event_id, "status": answer.status}

    async def clock(self, _request: Request) -> Any:
        return {"advance_s": self._parts.clock.advance_s, "now": self._parts.clock.now()}

    async def advance(self, request: Request) -> Any:
        given = await _object(request)
        seconds = given.get("advance_s", -1)
        if set(given) != {"advance_s"} or not _number(seconds, least=0, most=LONGEST_ADVANCE_S):
            raise InvalidRequestError('The clock expects {"advance_s": seconds}, from 0 to one year.')
        advance(self._parts, seconds)
        return await self.clock(request)

    async def faults(self, _request: Request) -> Any:
        return self._parts.faults.as_json()

    async def put_faults(self, request: Request) -> Any:
        self._parts.faults.put(await _object(request))
        return self._parts.faults.as_json()

    async def clear_faults(self, _request: Request) -> Any:
        self._parts.faults.clear()
        return self._parts.faults.as_json()

    async def tax(self, _request: Request) -> Any:
        tax = load_tax(self._parts.store)
        return {"head_office": tax.head_office, "rate_percent": tax.rate_percent}

    async def put_tax(self, request: Request) -> Any:
        given = await _object(request)
        rate = given.get("rate_percent", Tax.rate_percent)
        head_office = given.get("head_office")
        known = set(given) <= {"head_office", "rate_percent"}
        if not known or not isinstance(head_office, bool) or not _number(rate, least=0, most=_HIGHEST_RATE):
            raise InvalidRequestError('Tax expects {"head_office": true or false, "rate_percent": 0 to 100}.')
        save_tax(self._parts.store, Tax(head_office, rate))
        return await self.tax(request)

    async def ledger(self, _request: Request) -> Any:
        return await asyncio.to_thread(ledger, self._parts.store)


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Turn a control into an endpoint: 200 with its JSON, or 404, 409 or 422 with an error."""

    async def endpoint(request: Request) -> Response:
        try:
            answer = await handler(request)
        except UnknownObjectError as error:
            return _refusal(404, "not_found", error)
        except StateError as error:
            return _refusal(409, "conflict", error)
        except (InvalidRequestError, InvalidFaultError) as error:
            return _refusal(422, "invalid_request", error)
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    return endpoint


def _refusal(status: int, code: str, error: Exception) -> Response:
    return JSONResponse({"error": {"code": code, "message": str(error)}}, status)


async def _object(request: Request) -> dict[str, Any]:
    try:
        given = json.loads(await request.body())
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise InvalidRequestError("The body must be a JSON object.")
    return given


def _number(value: Any, *, least: float, most: float) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and least <= value <= most
