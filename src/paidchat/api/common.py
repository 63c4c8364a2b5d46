"""What all requests have in common: an id, the headers of the response, and a place in the log and the metrics."""

import random
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import structlog
from msgspec import Struct
from starlette.datastructures import MutableHeaders

from paidchat.api.cors import CrossOrigin
from paidchat.observability import Metrics
from paidchat.serving.exchange import written
from paidchat.settings import Settings, is_loopback

log = structlog.get_logger(__name__)

SLOW_MS = 500
_ids: Final = random.Random()  # noqa: S311 - request ids are no secret; each process is seeded by the kernel
HEADS = 256  # of answers that are kept, each with another ETag

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

NO_ONE = "'none'"
Fields = Sequence[tuple[bytes, bytes]]  # names in lower case, and values


def content_security_policy(settings: Settings, frame_ancestors: Sequence[str] = ()) -> str:
    """Return the policy of our own pages: nothing inline, nothing from other origins, only these may frame them."""
    host = urlsplit(settings.public_url)
    socket = f"{'wss' if host.scheme == 'https' else 'ws'}://{host.netloc}"  # some browsers' 'self' lacks it
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
        f"manifest-src 'self'; connect-src 'self' {socket}; base-uri 'none'; form-action 'self'; "
        f"frame-ancestors {' '.join(frame_ancestors) or NO_ONE}"
    )


def is_trustworthy(url: str) -> bool:
    """Tell whether an origin is potentially trustworthy (W3C Secure Contexts, section 3.1).

    For other origins browsers ignore Cross-Origin-Opener-Policy, with a console error at every load.
    """
    return urlsplit(url).scheme == "https" or is_loopback(url)


def new_request_id() -> str:
    """Return an id to find a request by in the log. It is no secret: the kernel's random bytes took 5 µs more."""
    return f"{_ids.getrandbits(128):032x}"


class RouteName(Struct, frozen=True):
    """What the request log and the metrics call a route, for whoever serves one that FastAPI's routing did not set."""

    path: str


class CommonHeaders:
    """The headers of every response. Those that are always the same are encoded once."""

    def __init__(self, settings: Settings) -> None:
        fixed = {**SECURITY_HEADERS, "Content-Security-Policy": content_security_policy(settings)}
        if is_trustworthy(settings.public_url):
            fixed["Cross-Origin-Opener-Policy"] = "same-origin"
        self._fixed = [(name.lower().encode(), value.encode()) for name, value in fixed.items()]
        self._same = lru_cache(HEADS)(self._write)
        self.cross_origin = CrossOrigin(settings.allowed_origins)

    def added_to(self, own: Iterable[tuple[bytes, bytes]], request_id: str, asked: Fields) -> list[tuple[bytes, bytes]]:
        """Return a response's own headers and those of every response, to a request with the headers `asked`."""
        fields = [*self._added_to(own), (b"x-request-id", request_id.encode())]
        if self.cross_origin.is_configured:
            self.cross_origin.add_to(MutableHeaders(raw=fields), asked)
        return fields

    def head(self, status: int, own: Iterable[tuple[bytes, bytes]], request_id: str, asked: Fields) -> bytes:
        """Return the status line and these headers as bytes.

        Without CORS, all but the request's id are the same for the same answer, and kept: 1 µs instead of 9.
        """
        if self.cross_origin.is_configured:
            return written(status, self.added_to(own, request_id, asked))
        return b"%bx-request-id: %b\r\n" % (self._same(status, tuple(own)), request_id.encode())

    def _write(self, status: int, own: Fields) -> bytes:
        return written(status, self._added_to(own))

    def _added_to(self, own: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        fields = list(own)
        present = {name for name, _ in fields}
        return [*fields, *(field for field in self._fixed if field[0] not in present)]


class RequestLog:
    """Counts each request, and logs it: all of them, or only those that failed or were slow, as configured."""

    def __init__(self, settings: Settings) -> None:
        self._logs_all = settings.log_requests == "all"

    def note(self, metrics: Metrics, request_id: str, method: str, route: str, status: int, began: float) -> None:
        """Count and log a request that was answered; `began` is the time by `time.perf_counter`."""
        metrics.count_request(route, status)
        elapsed_ms = round((time.perf_counter() - began) * 1000, 1)
        if self._logs_all or status >= HTTPStatus.BAD_REQUEST or elapsed_ms >= SLOW_MS:
            log.info("request", request_id=request_id, method=method, path=route, status=status, ms=elapsed_ms)
