"""CORS: which pages of other origins may call the API from a browser. Off unless origins are configured."""

from collections.abc import Collection, Sequence
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Scope

MAX_AGE_S: Final = 600  # for which a browser caches a preflight
_MAY_SEND: Final = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST",
    "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key, If-None-Match, traceparent, tracestate",
    "Access-Control-Max-Age": str(MAX_AGE_S),
}
_MAY_READ: Final = {"Access-Control-Expose-Headers": "ETag, Location, Retry-After, Date"}


class CrossOrigin:
    """Cross-origin callers: the Fetch standard's CORS protocol (fetch.spec.whatwg.org), without credentials.

    `origins` are as browsers write them: `https://example.com`.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)
        self.is_configured = bool(origins)

    def preflight(self, scope: Scope) -> Response | None:
        """Return the response to a preflight request; None for any other request.

        A page of an origin that isn't configured gets none either, which a browser treats as a refusal.
        """
        if scope["method"] != "OPTIONS":
            return None
        headers = Headers(scope=scope)
        asks = "access-control-request-method" in headers
        return Response(headers=_MAY_SEND) if asks and self._admits(headers) else None

    def add_to(self, answer: MutableHeaders, asked: Sequence[tuple[bytes, bytes]]) -> None:
        """Add the CORS headers to a response, and `Vary: Origin` even without an Origin, because caches need it."""
        answer.add_vary_header("Origin")
        headers = Headers(raw=list(asked))
        if self._admits(headers):
            answer["Access-Control-Allow-Origin"] = headers["origin"]
            for name, value in _MAY_READ.items():
                answer[name] = value

    def _admits(self, headers: Headers) -> bool:
        origins = headers.getlist("origin")
        return len(origins) == 1 and origins[0] in self._origins
