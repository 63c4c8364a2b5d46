"""HTTP connections: uvicorn's protocol, with one request at a time and a deadline in every phase."""

import asyncio
import enum
from typing import Any, Final, assert_never

import httptools

from paidchat.serving import descriptors, heads
from paidchat.serving.seam import HttpToolsProtocol, RequestResponseCycle
from paidchat.serving.transports import reset

HEAD_TIMEOUT_S: Final = 10  # from connecting, or a head's first byte, to its end
BODY_PAUSE_S: Final = 10
BODY_TIMEOUT_S: Final = 20
ANSWER_TIMEOUT_S: Final = 60  # from the end of a request until the response has been read
CLOSING_S: Final = 4  # from the last byte sent to the end; the contract says within five
MAX_DISCARDED: Final = 8 * 1024 * 1024  # bytes of a body read after the response, so that it is received
MAX_AFTER_REFUSAL: Final = 1024 * 1024  # bytes that are read after a refusal; the rest stays in the kernel
SLICE: Final = 16 * 1024  # bytes processed for one connection before others get a turn on the event loop
# Bytes of framing per byte of content in a chunked body; the smallest chunk has five. More is an attack.
MAX_FRAMING_PER_BYTE: Final = 16


class Phase(enum.Enum):
    """What a connection is waiting for."""

    HEAD = enum.auto()
    BODY = enum.auto()
    ANSWER = enum.auto()
    IDLE = enum.auto()
    CLOSING = enum.auto()


class _LastWords:
    """A transport for a response that ends the connection: it sends EOF instead of closing.

    Closing with unread input resets the connection, and the response could be lost (RFC 9112, section 9.6).
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        else:
            self._transport.close()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which by itself has no deadlines and parses all input at once.

    Here each head is checked first (`heads`), and the parser gets one request at a time. Further input waits.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._deadline: asyncio.TimerHandle | None = None
        self._phase = Phase.HEAD
        self._unread = bytearray()
        self._seen = 0  # bytes of an incomplete head that were checked
        self._empty_lines = 0
        self._again: asyncio.Handle | None = None
        self._over = False  # whether input is ignored from now on
        self._backlog = 0  # bytes in the send buffer at the last check, while closing
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Reset the state of the previous request."""
        self._whole = True  # whether the request is complete
        self._headers_complete = False
        self._left: int | None = 0  # bytes of the body still to come; None if it is chunked
        self._head_size = self._fields = 0  # of the head and any trailers
        self._content = self._framing = 0  # bytes of a chunked body
        self._discarded = 0  # bytes received after the response
        self._heard_at = self._until = 0.0

    # --- deadlines ----------------------------------------------------------------------------------

    def _expect_within(self, seconds: float) -> None:
        self._relax()
        self._deadline = self.loop.call_later(seconds, self._overdue)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _enter(self, phase: Phase, seconds: float) -> None:
        self._phase = phase
        self._expect_within(seconds)

    def _overdue(self) -> None:
        """Close a connection that takes too long, with an error response if one can still be sent."""
        match self._phase:
            case Phase.BODY:
                due = min(self._heard_at + BODY_PAUSE_S, self._until) - self.loop.time()
                if due > 0:
                    self._expect_within(due)
                else:
                    self._refuse(heads.TOO_SLOW)
            case Phase.HEAD if self._unread:
                self._refuse(heads.TOO_SLOW)
            case Phase.HEAD | Phase.IDLE:
                self.transport.close()
                self._close_within()
            case Phase.CLOSING if not self._over and 0 < self._waiting_to_be_sent() < self._backlog:
                self._close_within()  # the response is being read, slowly
            case Phase.CLOSING | Phase.ANSWER:
                reset(self.transport, even_if_closing=True)
            case never:
                assert_never(never)

    def _close_within(self) -> None:
        self._backlog = self._waiting_to_be_sent()
        self._enter(Phase.CLOSING, CLOSING_S)

    def _waiting_to_be_sent(self) -> int:
        return self.transport.get_write_buffer_size()

    # --- the connection -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Start waiting for a request."""
        super().connection_made(transport)
        descriptors.look()  # this connection may have taken the last one
        self._enter(Phase.HEAD, HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline."""
        self._relax()
        if self._again is not None:
            self._again.cancel()
        self._unread.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Buffer input, and process it when it is its turn."""
        if self._over:
            self._discarded += len(data)
            if self._discarded > MAX_AFTER_REFUSAL:
                self.flow.pause_reading()
            return
        if self._phase is Phase.IDLE:
            self._enter(Phase.HEAD, HEAD_TIMEOUT_S)
        self._heard_at = self.loop.time()
        self._unread += data
        if self._again is None:
            self._advance()

    def shutdown(self) -> None:
        """Close once the request in flight is answered, or now."""
        super().shutdown()
        if self.transport.is_closing():
            self._close_within()

    # --- requests ----------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Process buffered input, a bounded amount at a time."""
        room = SLICE
        try:
            while self._unread and not self._over and not self.transport.is_closing():
                if self._whole and self.cycle is not None and not self.cycle.response_complete:
                    self.flow.pause_reading()  # one request at a time
                    return
                if room <= 0:
                    self.flow.pause_reading()
                    self._again = self.loop.call_soon(self._go_on)
                    return
                before = len(self._unread)
                if not (self._take_head() if self._whole else self._take_body()):
                    return
                room -= before - len(self._unread)
        except heads.Refused as refused:
            self._refuse(refused.refusal)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(heads.bad().refusal)

    def _go_on(self) -> None:
        self._again = None
        self.flow.resume_reading()
        self._advance()

    def _take_head(self) -> bool:
        """Process a head if it is complete."""
        self._empty_lines += heads.skip_empty_lines(self._unread)
        if self._empty_lines > heads.MAX_EMPTY_LINES:
            raise heads.bad()
        end = heads.end_of(self._unread, self._seen)
        if end is None:
            self._seen = len(self._unread)
            return False
        head = heads.Head.parse(bytes(self._unread[:end]))
        if head.is_handshake:
            head.check_handshake()
            self._shake_hands(head, end)
            return False
        del self._unread[:end]
        self._begin_anew()
        self._seen = self._empty_lines = 0
        self._whole, self._left = False, head.length
        self._head_size, self._fields = head.size, len(head.fields)
        self._heard_at = self.loop.time()
        self._until = self._heard_at + BODY_TIMEOUT_S
        self._enter(Phase.BODY, BODY_PAUSE_S)
        self.parser.feed_data(head.plain())
        self.scope["method"] = head.method.decode()  # the app's task starts in the event loop's next turn
        return True

    def _take_body(self) -> bool:
        """Process a part of a body."""
        size = SLICE if self._left is None else min(SLICE, self._left)
        piece = bytes(self._unread[:size])
        del self._unread[:size]
        if self._left is not None:
            self._left -= len(piece)
            self.parser.feed_data(piece)
            return True
        self._framing += len(piece)  # the content is subtracted again in on_body
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserError:
            if not self._whole:
                raise
            self._stop_listening()  # bytes after the last chunk are not a request
        if self._is_too_much_around_a_body():
            raise heads.too_large()
        return True

    def _is_too_much_around_a_body(self) -> bool:
        """Tell whether trailers or chunk framing are over a limit."""
        return (
            self._fields > heads.MAX_FIELDS
            or self._head_size > heads.MAX_HEAD
            or self._framing > heads.MAX_HEAD + MAX_FRAMING_PER_BYTE * self._content
        )

    def _stop_listening(self) -> None:
        """Answer this request and no other: it is unknown now where the chunked body ended in the input."""
        self._over = True
        self._unread.clear()
        self.cycle.keep_alive = False
        if self.cycle.response_complete:
            self.transport.close()
            self._close_within()

    def _shake_hands(self, head: heads.Head, end: int) -> None:
        """Hand the connection and any further input over to the WebSocket protocol."""
        self._relax()
        self.flow.resume_reading()
        self.connections.discard(self)
        early = bytes(self._unread[end:])
        self._unread.clear()
        self._over = True
        protocol: Any = self.ws_protocol_class(  # type: ignore[call-arg,misc]  # as uvicorn makes it
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.data_received(head.handshake())
        if early:
            protocol.data_received(early)

    def _refuse(self, refusal: heads.Refusal) -> None:
        """Send an error response unless one was started, and close."""
        self._over = True
        is_head_method = self._is_head_method()
        self._unread.clear()
        self._close_within()
        interrupted = self.cycle
        if interrupted is not None and not interrupted.response_complete:
            interrupted.disconnected = True
            interrupted.message_event.set()
            if interrupted.response_started:
                reset(self.transport)
                return
        elif self._headers_complete and not self._whole:  # it was answered; the rest of its body is discarded
            self.transport.close()
            return
        self.flow.resume_reading()
        self._start_asgi_task(self._refusing(refusal, "HEAD" if is_head_method else "GET"), self.app)

    def _is_head_method(self) -> bool:
        """Tell whether the refused request is a HEAD, whose response has no body."""
        return self._unread.startswith(b"HEAD ") if self._whole else self.scope.get("method") == "HEAD"

    def _refusing(self, refusal: heads.Refusal, method: str) -> RequestResponseCycle:
        """Return an exchange in which the app sends the refusal as a problem, logged and counted like any other."""
        super().on_message_begin()
        missing: dict[str, Any] = {  # what the parser has not set yet
            "method": method,
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "extensions": {heads.REFUSAL: refusal},
        }
        self.scope.update(missing)  # type: ignore[typeddict-item]  # ASGI lets a server add extensions of its own
        self.cycle = RequestResponseCycle(
            scope=self.scope,
            transport=_LastWords(self.transport),  # type: ignore[arg-type]  # the part of it that is used
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self._close_within,
        )
        self.cycle.more_body = False
        return self.cycle

    # --- parser callbacks ---------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request, unless it directly follows a chunked body."""
        if self._whole:
            self._stop_listening()
        else:
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Store the target."""
        if not self._over:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header field; trailers are only counted and ignored."""
        if self._over:
            return
        if self._left is None and self._headers_complete:
            size = len(name) + len(value) + 4
            self._fields += 1
            self._head_size += size if size <= heads.MAX_LINE else heads.MAX_HEAD
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the app."""
        if not self._over:
            self._headers_complete = True
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body; discard some of a refused one, so that the client gets to read the response."""
        if self._over:
            return
        self._content += len(body)
        self._framing -= len(body)
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > MAX_DISCARDED:
                reset(self.transport)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the response or, if it was sent already, for the next request."""
        if self._over:
            return
        super().on_message_complete()
        self._whole = True
        if self.cycle.response_complete:
            self._rest()
        else:
            self._enter(Phase.ANSWER, ANSWER_TIMEOUT_S)

    # --- responses ----------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """Continue with the next request if the connection is kept alive."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._close_within()
            return
        self.flow.resume_reading()
        if self._whole:
            self._rest()
        else:  # the rest of the body will not be read
            self._until = min(self._until, self.loop.time() + CLOSING_S)
            self._enter(Phase.BODY, CLOSING_S)

    def _rest(self) -> None:
        if not self._unread:
            self._enter(Phase.IDLE, self.timeout_keep_alive)
            return
        self._enter(Phase.HEAD, HEAD_TIMEOUT_S)
        if self._again is None:
            self._again = self.loop.call_soon(self._go_on)
