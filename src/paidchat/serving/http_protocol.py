"""HTTP connections: uvicorn's protocol, with one request at a time and a deadline in every phase."""

import asyncio
import enum
from typing import Any, Final, assert_never
from urllib.parse import unquote

from paidchat.serving import descriptors, heads
from paidchat.serving.chunks import ChunkedBody
from paidchat.serving.deadline import Deadline
from paidchat.serving.exchange import (
    PREPARED,
    RECEIVES,
    Exchange,
    Handover,
    Prepare,
    Prepared,
    Receive,
    Respond,
)
from paidchat.serving.seam import HttpToolsProtocol
from paidchat.serving.transports import LastWords, reset

HEAD_TIMEOUT_S: Final = 10  # from connecting, or a head's first byte, to its end
BODY_PAUSE_S: Final = 10
BODY_TIMEOUT_S: Final = 20
ANSWER_TIMEOUT_S: Final = 60  # from the end of a request until the response has been read
CLOSING_S: Final = 4  # from the last byte sent to the end; the contract says within five
MAX_DISCARDED: Final = 8 * 1024 * 1024  # bytes of a body read after the response, so that it is received
MAX_AFTER_REFUSAL: Final = 1024 * 1024  # bytes that are read after a refusal; the rest stays in the kernel
SLICE: Final = 16 * 1024  # bytes processed for one connection before others get a turn on the event loop
MAX_BUFFERED: Final = 64 * 1024  # bytes of a body that the app has not asked for


class Phase(enum.Enum):
    """What a connection is waiting for."""

    HEAD = enum.auto()
    BODY = enum.auto()
    ANSWER = enum.auto()
    IDLE = enum.auto()
    CLOSING = enum.auto()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which by itself has no deadlines and parses all input at once.

    Here heads are parsed by `heads`, which is stricter, and one request is served at a time. Further input waits. The
    app answers each in a task of its own, unless it has the response prepared.

    Without ASGI, 32 webhooks at a time take a quarter less CPU.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._deadline = Deadline(self.loop, self._overdue)
        self._prepare: Prepare | None = self.app_state.get(PREPARED)
        self._receive: Receive | None = self.app_state.get(RECEIVES)
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
        self._left = 0  # bytes of the body still to come, unless it is chunked
        self._chunks: ChunkedBody | None = None
        self._discarded = 0  # bytes received after the response
        self._heard_at = self._until = 0.0

    # --- deadlines ----------------------------------------------------------------------------------

    def _enter(self, phase: Phase, seconds: float) -> None:
        self._phase = phase
        self._deadline.set(seconds)

    def _overdue(self) -> None:
        """Close a connection that takes too long, with an error response if one can still be sent."""
        match self._phase:
            case Phase.BODY:
                due = min(self._heard_at + BODY_PAUSE_S, self._until) - self.loop.time()
                if due > 0:
                    self._deadline.set(due)
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
        self._deadline.cancel()
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
        if head.length == 0 and self._answer_at_once(head):
            return False
        if head.length and self._hand_over(head, head.length):
            return True
        self._start_app(head)
        self._heard_at = self.loop.time()
        self._until = self._heard_at + BODY_TIMEOUT_S
        if head.length == 0:
            self._finish_request()
            return True
        self._whole = False
        self._enter(Phase.BODY, BODY_PAUSE_S)
        if head.length is None:
            self._chunks = ChunkedBody(head)
        else:
            self._left = head.length
        return True

    def _answer_at_once(self, head: heads.Head) -> bool:
        """Send the response if the app has it prepared and the client reads what it is sent.

        It takes 95 µs in all; with a task, an ASGI cycle and the app's layers it took 290 (`./dev bench reads`).
        """
        answer = self._prepare(head) if self._prepare and not self.flow.write_paused else None
        if answer is None:
            return False
        self._send(answer, b"" if head.method == b"HEAD" else answer.body, keep_alive=head.keeps_alive)
        return True

    def _hand_over(self, head: heads.Head, length: int) -> bool:
        """Have the app answer without ASGI, if the whole request is here and the client reads what it is sent."""
        is_whole = length <= min(SLICE, len(self._unread))
        respond = self._receive(head) if self._receive and is_whole and not self.flow.write_paused else None
        if respond is None:
            return False
        body = bytes(self._unread[:length])
        del self._unread[:length]
        handover = Handover(keep_alive=head.keeps_alive)
        self.cycle = handover  # type: ignore[assignment]  # it has what is asked of a cycle
        self._enter(Phase.ANSWER, ANSWER_TIMEOUT_S)
        task = self.loop.create_task(self._answer_later(handover, respond, body))
        self.tasks.add(task)  # shutting down waits for it
        task.add_done_callback(self.tasks.discard)
        return True

    async def _answer_later(self, handover: Handover, respond: Respond, body: bytes) -> None:
        try:
            answer = await respond(body)
        except BaseException:
            reset(self.transport)
            raise
        finally:
            handover.response_complete = True
        if handover.disconnected:
            answer.on_sent()
        else:
            self._send(answer, answer.body, keep_alive=handover.keep_alive)

    def _send(self, answer: Prepared, body: bytes, *, keep_alive: bool) -> None:
        added = [b"%s: %s\r\n" % field for field in self.server_state.default_headers]
        end = b"\r\n" if keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((answer.head, *added, end, body)))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()
        answer.on_sent()

    def _start_app(self, head: heads.Head) -> None:
        """Begin the exchange in which the app answers."""
        raw_path, query = head.address()
        path = raw_path.decode("ascii")
        self._begin_exchange(
            {
                "http_version": f"1.{head.version}",
                "method": head.method.decode("ascii"),
                "path": unquote(path) if "%" in path else path,
                "raw_path": raw_path,
                "query_string": query,
                "headers": head.served_fields(),
            },
            keep_alive=head.keeps_alive,
            expect_100_continue=head.expects_continue,
            on_response=self.on_response_complete,
        )

    def _begin_exchange(self, request: dict[str, Any], transport: Any = None, **more: Any) -> None:
        scope: Any = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": "",
            "state": self.app_state.copy(),
            **request,
        }
        self.scope = scope
        self.cycle = Exchange(
            scope=self.scope,
            transport=transport or self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            **more,
        )
        self._start_asgi_task(self.cycle, self.app)

    def _take_body(self) -> bool:
        """Process a part of a body."""
        size = SLICE if self._chunks else min(SLICE, self._left)
        piece = bytes(self._unread[:size])
        del self._unread[:size]
        if self._chunks is None:
            self._left -= len(piece)
            self._take_content(piece)
            if self._left == 0:
                self._finish_request()
            return True
        self._take_content(self._chunks.feed(piece))
        if self._chunks.is_whole:
            self._finish_request()
        if self._chunks.is_followed:
            self._stop_listening()
        return True

    def _take_content(self, content: bytes) -> None:
        """Pass on a part of the body; discard some of a refused one, so that the client gets to read the response."""
        if self.cycle.response_complete:
            self._discarded += len(content)
            if self._discarded > MAX_DISCARDED:
                reset(self.transport)
            return
        self.cycle.body += content
        if len(self.cycle.body) > MAX_BUFFERED:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def _finish_request(self) -> None:
        """Wait for the response or, if it was sent already, for the next request."""
        self._whole = True
        if self.cycle.response_complete:
            self._rest()
            return
        self.cycle.more_body = False
        self.cycle.message_event.set()
        self._enter(Phase.ANSWER, ANSWER_TIMEOUT_S)

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
        self._deadline.cancel()
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
        elif not self._whole:  # it was answered; the rest of its body is discarded
            self.transport.close()
            return
        self.flow.resume_reading()
        self._begin_exchange(
            {
                "http_version": "1.1",
                "method": "HEAD" if is_head_method else "GET",
                "path": "/",
                "raw_path": b"/",
                "query_string": b"",
                "headers": [],
                "extensions": {heads.REFUSAL: refusal},  # the app sends it as a problem, logged and counted like any
            },
            LastWords(self.transport),
            keep_alive=False,
            expect_100_continue=False,
            on_response=self._close_within,
        )
        self.cycle.more_body = False

    def _is_head_method(self) -> bool:
        """Tell whether the refused request is a HEAD, whose response has no body."""
        return self._unread.startswith(b"HEAD ") if self._whole else self.scope.get("method") == "HEAD"

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
            self.flow.pause_reading()  # until then: what is unread must not grow
            self._again = self.loop.call_soon(self._go_on)
