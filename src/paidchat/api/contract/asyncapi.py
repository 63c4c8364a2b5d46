"""The AsyncAPI document: the feed's frames, limits, timing and close codes."""

from functools import cache
from importlib.metadata import version
from typing import Final, get_args
from urllib.parse import urlsplit

from paidchat import wire
from paidchat.api import feed as endpoint
from paidchat.api.contract import responses as contract
from paidchat.api.contract.examples import EPOCH, FRAMES, Json
from paidchat.api.contract.openapi import schemas_of, tidy
from paidchat.feed.audience import BEAT_S
from paidchat.feed.feed import MAX_WATCHES
from paidchat.feed.newest import SNAPSHOT_MESSAGES
from paidchat.feed.reading import REPLAY_ENTRIES
from paidchat.feed.subscriber import HEARTBEAT_S, MAX_BACKLOG, STALL_S
from paidchat.serving.heads import FEED_PATH
from paidchat.serving.incoming import FRAME_BURST, FRAMES_PER_S, MAX_FRAME
from paidchat.serving.open_connection import PING_INTERVAL_S, PING_TIMEOUT_S

SILENCE_S: Final = 45  # after which a client should consider the connection lost: two heartbeats and a margin
CLOSE_CODES: Final = {
    "1007": "A text frame was not UTF-8 (RFC 6455).",
    "1008": "Misuse: three messages that are no watch, or too many frames of any kind. Don't reconnect automatically.",
    "1009": f"A message was over {MAX_FRAME} bytes (RFC 6455).",
    "1012": "The board restarts. Reconnect with the cursor, after a random delay.",
    "1013": "Too many viewers, in all or from this address (an IPv4 address, or a /64 of IPv6). The connection is "
    "accepted and closed at once, without a frame. Reconnect later.",
}
LIMITS: Final = {
    "snapshotMessages": SNAPSHOT_MESSAGES,
    "resumeEntries": REPLAY_ENTRIES,
    "watches": MAX_WATCHES,
    "frameBytes": MAX_FRAME,
    "frameBurst": FRAME_BURST,
    "framesPerSecond": FRAMES_PER_S,
    "badFrames": endpoint.MAX_BAD_FRAMES,
    "unreadBytes": MAX_BACKLOG,
}
TIMING: Final = {
    "heartbeatSeconds": HEARTBEAT_S,
    "viewersSeconds": BEAT_S,
    "pingSeconds": PING_INTERVAL_S,
    "pongSeconds": PING_TIMEOUT_S,
    "silenceSeconds": SILENCE_S,
    "stallSeconds": STALL_S,
}
_NAMES: Final = {  # of the document's messages: title, and when it comes
    "Snapshot": ("Snapshot", "First frame of a plain connect, and of a resume that can't be served."),
    "Resumed": ("Resumed", "First frame of a resume: every missed entry follows."),
    "MessagePosted": ("Message posted", "A log entry: a message came onto the board."),
    "MessageRemoved": ("Message removed", "A log entry: a message left the board."),
    "MessageRestored": ("Message restored", "A log entry: a message came back."),
    "MessageWithheld": ("Message withheld", "A log entry of a resume whose message is off the board by now."),
    "PaymentUpdated": ("Payment updated", "Sent only to subscribers that watch the payment; it has no `seq`."),
    "Heartbeat": ("Heartbeat", f"After {HEARTBEAT_S} s without another frame."),
    "Viewers": (
        "Viewers",
        f"How many watch, without `seq`: once after the first frame, then at most every {BEAT_S} s, when it changed.",
    ),
    "FeedError": ("Error", "About a frame of the client's."),
    "Watch": ("Watch a payment", "The one frame that a client may send."),
}
_CLOSING: Final = "\n".join(f"- {code}: {meaning}" for code, meaning in CLOSE_CODES.items())
_DESCRIPTION: Final = f"""\
Follow the board live. After a `snapshot` or `resumed` at n come the entries n + 1, n + 2, …: in order, none missing,
none twice, on every connection, across reconnects, processes and restarts, within an epoch. A client that sees a gap
has found a bug. The contract grows compatibly: ignore frames and fields that you don't know.

**Resuming.** Keep the `epoch` and the last `seq`, and reconnect with `?after=SEQ&epoch=EPOCH`. At most
{REPLAY_ENTRIES:,} entries are replayed. A cursor that is further behind, of another epoch, ahead of the board or
malformed gets a snapshot.

**Timing.** A heartbeat comes after {HEARTBEAT_S} s without another frame; browsers can't see pings, so take
{SILENCE_S} s of silence for a lost connection and reconnect. The server pings every {PING_INTERVAL_S} s and drops a
connection that does not answer within {PING_TIMEOUT_S} s. A reader that takes nothing for {STALL_S} s, or leaves more
than 1 MiB unread, is dropped without a close frame: reconnect with the cursor.

**Sending.** Messages of at most {MAX_FRAME:,} bytes. Of all frames, pings, pongs and fragments included,
{FRAME_BURST} may come at once and {FRAMES_PER_S} a second after that. The third text or binary message that is no
`watch` ends the connection. A {MAX_WATCHES + 1}th watch drops the oldest; watches end with the connection.

**Closing.** After any code but 1008, and after a drop, reconnect with the cursor and a growing, jittered delay.

{_CLOSING}

**Refused handshakes** are HTTP problems, as openapi.json says for `open_feed`: 400, 403 (an `Origin` that is neither
the board's own nor a configured one; none at all is welcome), 404, 426 and 431.
"""


@cache
def asyncapi(public_url: str | None) -> Json:
    """Return the feed's contract as an AsyncAPI 3.0 document (asyncapi.com/docs/reference/specification/v3.0.0)."""
    frames = [shape.__name__ for shape in get_args(wire.Frame)]
    return {
        "asyncapi": "3.0.0",
        "id": "urn:paidchat:feed",
        "info": {
            "title": "paidchat feed",
            "version": version("paidchat"),
            "description": _DESCRIPTION,
            "contact": contract.contact(public_url),
            "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
            "tags": [{"name": "feed", "description": "Following the board live."}],
        },
        "defaultContentType": "application/json",
        "servers": {"board": _server(public_url)},
        "channels": {"feed": _channel([*frames, "Watch"])},
        "operations": {
            "follow": {
                "action": "send",
                "channel": {"$ref": "#/channels/feed"},
                "title": "Follow the board",
                "summary": "What the server sends.",
                "description": "First a snapshot or resumed, then every log entry in order. In between, updates of "
                "watched payments, heartbeats, the number of viewers, and errors about the client's own frames.",
                "messages": _references(frames),
            },
            "watch": {
                "action": "receive",
                "channel": {"$ref": "#/channels/feed"},
                "title": "Watch a payment",
                "summary": "What a client may send.",
                "description": "Asks for payment.updated frames: one at once, then one at each change. `fulfilled` "
                f"comes only after the message's entry. At most {MAX_WATCHES} payments; one more drops the oldest.",
                "messages": _references(["Watch"]),
            },
        },
        "components": {
            "messages": {name: _message(name) for name in [*frames, "Watch"]},
            "schemas": _schemas(),
        },
    }


def _server(public_url: str | None) -> Json:
    if public_url is None:
        host = {"default": "chat.example.com", "description": "Where the board is."}
        return {"host": "{host}", "protocol": "wss", "description": "A board.", "variables": {"host": host}}
    parts = urlsplit(public_url)
    return {"host": parts.netloc, "protocol": "wss" if parts.scheme == "https" else "ws", "description": "This board."}


def _channel(names: list[str]) -> Json:
    query = {
        "type": "object",
        "description": "Both to resume; neither for a snapshot.",
        "properties": {
            "after": {
                "type": "string",
                "pattern": f"^[0-9]{{1,{endpoint.MAX_CURSOR_DIGITS}}}$",
                "description": "The cursor: the last `seq` that you have.",
                "examples": ["1020"],
            },
            "epoch": {"type": "string", "description": "The epoch that the cursor is of.", "examples": [EPOCH]},
        },
    }
    headers = {
        "type": "object",
        "properties": {
            "Origin": {
                "type": "string",
                "description": "If there is one, it must be the board's own or a configured one.",
            }
        },
    }
    return {
        "address": FEED_PATH,
        "title": "The feed",
        "summary": "A WebSocket that follows the board.",
        "description": "Connect plain for a snapshot, or with `?after=SEQ&epoch=EPOCH` to resume.",
        "servers": [{"$ref": "#/servers/board"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"ws": {"method": "GET", "query": query, "headers": headers, "bindingVersion": "0.1.0"}},
        "x-close-codes": CLOSE_CODES,
        "x-limits": LIMITS,
        "x-timing": TIMING,
    }


def _references(names: list[str]) -> list[Json]:
    return [{"$ref": f"#/channels/feed/messages/{name}"} for name in names]


def _message(name: str) -> Json:
    title, summary = _NAMES[name]
    kind = str(FRAMES[name][0]["type"])
    return {
        "name": kind,
        "title": title,
        "summary": summary,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "examples": [
            {"name": f"{name}{number}", "summary": title, "payload": payload}
            for number, payload in enumerate(FRAMES[name], start=1)
        ],
    }


def _schemas() -> Json:
    schemas: Json = {}
    for shape in get_args(wire.Frame):
        schemas |= schemas_of(shape)
    for schema in schemas.values():
        tidy(schema)
    schemas["Watch"] = {
        "type": "object",
        "title": "Watch",
        "description": "Tell me how this payment stands, now and at each change.",
        "properties": {
            "type": {"type": "string", "const": "watch"},
            "payment_id": {"type": "string", "description": "The payment's `id`."},
        },
        "required": ["type", "payment_id"],
        "additionalProperties": False,
    }
    return schemas
