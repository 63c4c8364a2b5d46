"""The API under `/v1`: authentication, idempotency and faults around the resources, and errors like Stripe's."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from paidchat.sandbox.api.calls import Call, read_call
from paidchat.sandbox.api.idempotency import Idempotency, Reply
from paidchat.sandbox.api.resources import RESOURCES, Resource, act
from paidchat.sandbox.errors import ApiError, ExecutionError
from paidchat.sandbox.ids import new_id
from paidchat.sandbox.objects.account import API_VERSION
from paidchat.sandbox.parts import Parts

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

Endpoint = Callable[[Request], Awaitable[Response]]


def api_routes(parts: Parts) -> list[Route]:
    """Return the routes of the API; any other path under `/v1` is an unknown URL."""
    api = _Api(parts)
    routes = [Route(f"/v1{path}", api.endpoint(resource), methods=[method]) for method, path, resource in RESOURCES]
    return [*routes, Route("/v1/{rest:path}", api.endpoint(_unknown_url), methods=_METHODS)]


class _Api:
    """Handles calls; each change is stored in one transaction with the response kept under its idempotency key."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._idempotency = Idempotency(parts.store, parts.clock)

    def endpoint(self, resource: Resource) -> Endpoint:
        """Return the HTTP endpoint of a resource."""

        async def endpoint(request: Request) -> Response:
            request_id = new_id("req_")
            try:
                call = await read_call(request, request_id)
                return await self._answer(call, resource)
            except ApiError as error:
                return _response(_refusal(error, request_id), request_id, API_VERSION)

        return endpoint

    async def _answer(self, call: Call, resource: Resource) -> Response:
        fault = self._parts.faults.take_api(acts=call.method == "POST")
        with self._idempotency.claim(call):
            replayed = self._idempotency.replay(call)
            await asyncio.sleep(fault.hang_s)
            reply = replayed or self._reply(call, resource, fault.status)
        if fault.drop_answer:
            return CutOff()
        return _response(reply, call.request_id, call.api_version, call.idempotency_key)

    def _reply(self, call: Call, resource: Resource, broken: int | None) -> Reply:
        """Make a call, and store its response under the idempotency key if Stripe would."""
        try:
            with self._parts.store.transaction():
                _break(broken)
                reply = Reply(200, json.dumps(act(self._parts, call, resource)), call.request_id)
                self._idempotency.remember(call, reply)
        except ApiError as error:
            reply = _refusal(error, call.request_id)
            if error.kept:
                with self._parts.store.transaction():
                    self._idempotency.remember(call, reply)
        return reply


class CutOff(Response):
    """A lost response: announces a body and closes the connection without sending it, like a network failure."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Start a response and do not finish it."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


def _break(status: int | None) -> None:
    """Raise the fault that is set, if any; Stripe keeps 500 responses under the idempotency key, but not 429."""
    if status == 429:  # noqa: PLR2004 - the HTTP status itself
        message = "Too many requests hit the API too quickly. We recommend an exponential backoff of your requests."
        raise ApiError(message, status=429, code="rate_limit")
    if status is not None:
        raise ExecutionError("This failure was set in the sandbox's faults.", status=status, kind="api_error")


def _unknown_url(_parts: Parts, call: Call) -> dict[str, object]:
    raise ApiError(f"Unrecognized request URL ({call.method}: {call.path}).", status=404)


def _refusal(error: ApiError, request_id: str) -> Reply:
    return Reply(error.status, json.dumps(error.body()), request_id)


def _response(reply: Reply, request_id: str, version: str, idempotency_key: str | None = None) -> Response:
    headers = {"Request-Id": request_id, "Stripe-Version": version, "Cache-Control": "no-store"}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
        headers["Original-Request"] = reply.request_id
    if reply.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(reply.text, reply.status, headers, media_type="application/json")
