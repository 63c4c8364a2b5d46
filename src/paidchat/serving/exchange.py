"""Exchanges: a request's ASGI cycle, and responses that an app gives as bytes, at once or later."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from msgspec import Struct

from paidchat.serving.heads import Head
from paidchat.serving.seam import STATUS_LINE, RequestResponseCycle

# Keys in the lifespan's state: the app's `Prepare` and `Receive`, if it has them.
PREPARED: Final = "paidchat.prepared"
RECEIVES: Final = "paidchat.receives"
_NO_CONTENT: Final = frozenset({204, 304})  # RFC 9110, section 6.4.1


class Prepared(Struct, frozen=True):
    """A whole response, but for what the server adds.

    Attributes:
        head: the status line and the headers, including the body's length, as `written` returns them.
        on_sent: called once it is on its way.
    """

    head: bytes
    body: bytes
    on_sent: Callable[[], None]


# Returns the response to a request without a body, if it is ready. It is the same for HEAD as for GET.
Prepare = Callable[[Head], Prepared | None]
# Returns a function of the body that gives the response to a request, if the app answers it without ASGI.
Respond = Callable[[bytes], Coroutine[Any, Any, Prepared]]
Receive = Callable[[Head], Respond | None]


def written(status: int, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a response's status line and header lines, without the empty line after them.

    Raises:
        RuntimeError: a field would end its line.
    """
    lines = [STATUS_LINE[status], *[b"%s: %s\r\n" % field for field in fields]]
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
        raise RuntimeError("A header contains the end of a line.")
    return head


class Handover:
    """A request that is being answered without ASGI: what uvicorn's protocol looks for in its cycle.

    Attributes:
        keep_alive: whether the connection stays open after the response.
        disconnected: whether the client has gone.
        response_complete: whether the response was sent, or never will be.
    """

    __slots__ = ("disconnected", "keep_alive", "response_complete")
    message_event: Final = asyncio.Event()  # uvicorn sets it when the client goes; here no task is waiting

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.disconnected = self.response_complete = False


class Exchange(RequestResponseCycle):
    """uvicorn's cycle, but head and body leave in one write: each write costs a system call, 50 µs of a response's 290.

    The whole head is checked at once for an end of line inside a field, not each name and value.
    """

    _head = b""  # not yet sent
    _left: int | None = None  # of the body, in bytes; None if it is chunked

    async def send(self, message: Any) -> None:
        """Send the app's message.

        Raises:
            RuntimeError: the app broke the protocol.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        match message["type"]:
            case "http.response.start" if not self.response_started:
                self._begin(message["status"], message.get("headers", ()))
            case "http.response.body" if self.response_started and not self.response_complete:
                self._go_on(message.get("body", b""), has_more=message.get("more_body", False))
            case other:
                raise RuntimeError(f"The app must not send {other} now.")

    def _begin(self, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        fields = [*self.default_headers, *fields]
        said_to_close = False
        for name, value in fields:
            if name == b"content-length":
                self._left = int(value)
            elif name == b"connection":
                said_to_close = b"close" in value.lower()
        self.keep_alive = self.keep_alive and not said_to_close
        self._head = written(status, fields)
        if not (self.keep_alive or said_to_close):
            self._head += b"connection: close\r\n"
        if self.scope["method"] == "HEAD" or status in _NO_CONTENT:
            self._left = 0
        elif self._left is None:
            self._head += b"transfer-encoding: chunked\r\n"
        self._head += b"\r\n"

    def _go_on(self, body: bytes, *, has_more: bool) -> None:
        if self.scope["method"] == "HEAD":
            body = b""
        if self._left is None:
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + (b"" if has_more else b"0\r\n\r\n")
        else:
            self._left -= len(body)
            if self._left < 0 or (self._left and not has_more):
                raise RuntimeError("The body is not as long as Content-Length says.")
        self.transport.write(self._head + body)
        self._head = b""
        if not has_more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()
