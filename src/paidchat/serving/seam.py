"""The seam to uvicorn and websockets: the only module that imports their non-public names.

Both are capped in `pyproject.toml`. All that we rely on is listed here, and `tests/project/test_seam.py` checks each
name on a real object, so an incompatible upgrade fails there first.
"""

from typing import Final

from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from paidchat.companions import left_out

# It watches files to reload a program under development: 2 ms and 0.7 MiB at every start.
with left_out("watchfiles"):
    from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
    from uvicorn.supervisors import Multiprocess
    from uvicorn.supervisors import multiprocess as supervisors

__all__ = [
    "STATUS_LINE",
    "Close",
    "Frame",
    "HttpToolsProtocol",
    "Multiprocess",
    "Opcode",
    "Request",
    "RequestResponseCycle",
    "ServerProtocol",
    "State",
    "WebSocketsSansIOProtocol",
    "supervisors",
]

# What `serving` uses or overrides, besides asyncio's own protocol methods.
OF_HTTP: Final = frozenset(
    {
        "_start_asgi_task",
        "access_log",
        "access_logger",
        "app",
        "app_state",
        "asgi_version",
        "client",
        "config",
        "connections",
        "cycle",
        "flow",
        "logger",
        "loop",
        "on_response_complete",
        "scheme",
        "scope",
        "server",
        "server_state",
        "shutdown",
        "tasks",
        "timeout_keep_alive",
        "transport",
        "ws_protocol_class",
    }
)
OF_EXCHANGES: Final = frozenset(
    {
        "default_headers",
        "disconnected",
        "flow",
        "keep_alive",
        "message_event",
        "on_response",
        "response_complete",
        "response_started",
        "scope",
        "send",
        "transport",
        "waiting_for_100_continue",
    }
)
OF_WEBSOCKETS: Final = frozenset(
    {
        "close_sent",
        "connections",
        "handle_connect",
        "handshake_complete",
        "handshake_initiated",
        "loop",
        "send",
        "shutdown",
        "transport",
    }
)
OF_PARSER: Final = frozenset(
    {
        "close_rcvd",
        "data_to_send",
        "events_received",
        "parser_exc",
        "receive_data",
        "send_close",
        "state",
    }
)
OF_SERVER: Final = frozenset(
    {
        "capture_signals",
        "handle_exit",
        "main_loop",
        "on_tick",
        "server_state",
        "should_exit",
        "shutdown",
        "started",
        "startup",
    }
)
OF_WORKER: Final = frozenset({"_server", "config", "target"})
OF_WORKERS: Final = frozenset({"init_processes", "processes", "should_exit"})
