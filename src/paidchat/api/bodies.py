"""Request bodies: checks on their form before anything reads them."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

from paidchat.api.problems import ApiError

_UTF_8: Final = frozenset({"", "utf-8", "utf8"})

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def check_encoding(lines: Sequence[str]) -> None:
    """Reject a compressed body, given the request's lines of Content-Encoding.

    Raises:
        ApiError: 415, which says what is accepted instead (RFC 9110, section 12.5.3).
    """
    codings = {coding.strip().lower() for line in lines for coding in line.split(",")}
    if codings - {"", "identity"}:
        raise ApiError(
            415,
            "unsupported_media_type",
            "Send the body as it is, without a Content-Encoding.",
            headers={"Accept-Encoding": "identity"},
        )


class PlainBody(APIRoute):
    """A route that rejects compressed bodies. FastAPI reads a body before any dependency runs, so the route checks."""

    def get_route_handler(self) -> _Handler:
        """Return the handler with the check before it, unless the method has no body."""
        handle = super().get_route_handler()
        if self.methods == {"GET"}:
            return handle

        async def check_and_handle(request: Request) -> Response:
            await self.check(request)
            return await handle(request)

        return check_and_handle

    async def check(self, request: Request) -> None:
        """Check the body's encoding, as `check_encoding` does."""
        check_encoding(request.headers.getlist("content-encoding"))


class JsonBody(PlainBody):
    """A route whose body must be JSON in UTF-8 (RFC 8259, section 8.1), declared as such."""

    async def check(self, request: Request) -> None:
        """Reject any other body.

        Raises:
            ApiError: 415, or 422 for JSON in UTF-16 or UTF-32, which Python would accept.
        """
        if not _says_json(request.headers):
            raise ApiError(
                415,
                "unsupported_media_type",
                "Send the body as application/json, in UTF-8.",
                headers={"Accept": "application/json"},
            )
        await super().check(request)
        if b"\0" in await request.body():
            raise ApiError(422, "invalid_request", "The body can't be read as JSON.")


def _says_json(headers: Headers) -> bool:
    given = headers.getlist("content-type")
    if len(given) != 1:
        return False
    media_type, *parameters = (part.strip().lower() for part in given[0].split(";"))
    charsets = {value.strip('"') for name, _, value in (one.partition("=") for one in parameters) if name == "charset"}
    return media_type == "application/json" and charsets <= _UTF_8
