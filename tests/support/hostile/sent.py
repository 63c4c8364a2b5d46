"""The worst that strangers can send to a board over its sockets, without using any of its code."""

import contextlib
import json
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from tests.support.webhooks import signature

ADMIN_TOKEN: Final = "a-token-of-the-tests-that-is-long-enough"
ORIGIN: Final = "https://pages.example"
HEAD: Final = 6 * 1024  # bytes; four times as much is still accepted, as of those that follow
HANDSHAKE: Final = 1_500
BODY: Final = 15 * 1024
EVENT: Final = 120 * 1024
FRAME: Final = 200
FRAMES: Final = 12  # within the burst that a subscriber may send
FLOOD: Final = 250  # frames
TIMEOUT_S: Final = 20
TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0  # RFC 6455, section 5.2
CLOSE_FRAME: Final = bytes([0x80 | CLOSE])
AUTHORIZED: Final = f"Authorization: Bearer {ADMIN_TOKEN}"

Words = Callable[[int], str]
LETTERS: Final[Words] = lambda n: "x" * n  # noqa: E731 - one of several like it
DIGITS: Final[Words] = lambda n: "9" * n  # noqa: E731
COMMAS: Final[Words] = lambda n: "a, " * (n // 3)  # noqa: E731
TAGS: Final[Words] = lambda n: 'W/"a-1",' * (n // 8)  # noqa: E731
PARAMETERS: Final[Words] = lambda n: "after=1&" * (n // 8)  # noqa: E731
OTHERS: Final[Words] = lambda n: "".join(f"&{number:x}=" for number in range(n // 5))  # noqa: E731
ESCAPES: Final[Words] = lambda n: "%C3" * (n // 3)  # noqa: E731


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What is sent in one connection, as bytes of a given size, and how it is sent."""

    make: Callable[[int], bytes]
    size: int
    covers: frozenset[str] = frozenset()
    send: "Callable[[int, bytes], None]"


# --- how it is sent ---------------------------------------------------------------------------------


def exchange(port: int, sent: bytes) -> None:
    """Send a request, and read until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(sent)
        _drain(connection)


def follow(port: int, sent: bytes) -> None:
    """Do a handshake with the feed, send frames and a close frame, and read until the server closes the connection."""
    _shake_hands(port, handshake(), sent)


def shake_hands(port: int, sent: bytes) -> None:
    """Send a handshake, then a close frame if it was accepted, and read until the server closes the connection."""
    _shake_hands(port, sent, b"")


def _shake_hands(port: int, shake: bytes, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(shake)
        answer = b""
        while b"\r\n\r\n" not in answer and (received := connection.recv(65_536)):
            answer += received
        if answer.startswith(b"HTTP/1.1 101 "):
            connection.sendall(sent + frame(CLOSE, struct.pack("!H", 1000)))
            while (received := connection.recv(65_536)) and CLOSE_FRAME not in received:
                pass  # after misuse the server sends a close frame and waits for us to leave
            return
        _drain(connection)


def _drain(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


# --- what is sent -----------------------------------------------------------------------------------


def request(line: str, *fields: str, body: bytes | None = None) -> bytes:
    """A request that closes its connection; Content-Length is added unless the fields announce a body themselves."""
    length = () if body is None else (f"Content-Length: {len(body)}",)
    head = [f"{line} HTTP/1.1", "Host: x", "Connection: close", *length, *fields, "", ""]
    return "\r\n".join(head).encode("latin-1") + (body or b"")


def handshake(*fields: str, query: str = "") -> bytes:
    """A handshake with the feed; given fields replace the usual ones."""
    usual = {
        "Host": "x",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    given = {field.partition(":")[0] for field in fields}
    kept = [f"{name}: {value}" for name, value in usual.items() if name not in given]
    return "\r\n".join([f"GET /api/feed{query} HTTP/1.1", *kept, *fields, "", ""]).encode("latin-1")


def frame(opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """A frame with a mask of zeros, so that the payload is sent unchanged."""
    size = len(payload)
    length = struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BH", 0x80 | 126, size)
    return bytes([0x80 * final | opcode]) + length + bytes(4) + payload


def watch(payment_id: str) -> bytes:
    """The only frame that a subscriber may send."""
    return frame(TEXT, json.dumps({"type": "watch", "payment_id": payment_id}).encode())


def _head(line: str, *fields: str) -> Callable[[Words], Callable[[int], bytes]]:
    """Make requests with text of the given size in place of `{}` in the request line and fields."""

    def of(words: Words) -> Callable[[int], bytes]:
        def make(size: int) -> bytes:
            text = words(size)
            return request(line.replace("{}", text), *(field.replace("{}", text) for field in fields))

        return make

    return of


# --- the lists --------------------------------------------------------------------------------------

# Each route by its path, with text of the given size in place of `{}`.
ADDRESSED: Final[dict[str, tuple[str, tuple[Words, ...]]]] = {
    "GET /": ("/?{}", (LETTERS, PARAMETERS)),
    "GET /m/{message_id}": ("/m/{}", (DIGITS, LETTERS, ESCAPES)),
    "GET /assets/": ("/assets/{}", (LETTERS, ESCAPES, lambda n: "0123456789abcdef/" + "../" * (n // 3))),
    "GET /favicon.ico": ("/favicon.ico?{}", (LETTERS,)),
    "GET /manifest.webmanifest": ("/manifest.webmanifest?{}", (LETTERS,)),
    "GET /robots.txt": ("/robots.txt?{}", (LETTERS,)),
    "GET /api/board": ("/api/board?{}", (LETTERS,)),
    "GET /api/messages": ("/api/messages?after={}", (DIGITS, LETTERS, PARAMETERS, OTHERS, ESCAPES)),
    "GET /api/messages/{message_id}": ("/api/messages/{}", (DIGITS, LETTERS)),
    "GET /api/pinned": ("/api/pinned?{}", (LETTERS,)),
    "GET /api/payments/{payment_id}": ("/api/payments/{}", (LETTERS, ESCAPES)),
    "DELETE /api/admin/messages/{message_id}": ("/api/admin/messages/1?refund={}", (LETTERS, PARAMETERS)),
    "POST /api/admin/messages/{message_id}/restore": ("/api/admin/messages/{}/restore", (DIGITS, LETTERS)),
    "GET /api/feed": ("/api/feed?after={}", (LETTERS, DIGITS)),
    "GET /feed.atom": ("/feed.atom?{}", (LETTERS,)),
    "GET /m/{message_id}.png": ("/m/{}.png", (DIGITS, LETTERS, ESCAPES, lambda n: ".png" * (n // 4))),
    "GET /board.png": ("/board.png?{}", (LETTERS,)),
    "GET /overlay": ("/overlay?delay={}", (LETTERS, DIGITS)),
    "GET /healthz": ("/healthz?{}", (LETTERS,)),
    "GET /readyz": ("/readyz?{}", (LETTERS,)),
    "GET /metrics": ("/metrics?name[]={}", (LETTERS,)),
    "GET /docs": ("/docs?{}", (LETTERS,)),
    "GET /docs/init.js": ("/docs/init.js?{}", (LETTERS,)),
    "GET /docs/assets/": ("/docs/assets/{}", (LETTERS, ESCAPES, lambda n: "../" * (n // 3))),
    "GET /openapi.json": ("/openapi.json?{}", (LETTERS,)),
    "GET /asyncapi.json": ("/asyncapi.json?{}", (LETTERS,)),
    "GET (no route)": ("/{}", (LETTERS, ESCAPES, lambda n: "/" * n)),
}
# Each header of a request or handshake, and the request in which it is read.
HEADERS: Final[dict[str, tuple[str, tuple[Words, ...]]]] = {
    "accept-encoding": ("GET /", (LETTERS, COMMAS, lambda n: "gzip" + ";q=" * (n // 3), lambda n: ";" * n)),
    "accept-language": ("GET /", (LETTERS, COMMAS, lambda n: "de" + ";q=" * (n // 3), lambda n: "de-" * (n // 3))),
    "authorization": ("DELETE /api/admin/messages/1", (LETTERS, lambda n: "\xff" * n)),
    "connection": ("GET /healthz", (LETTERS, COMMAS)),
    "content-encoding": ("POST /api/payments", (LETTERS, COMMAS)),
    "content-length": ("POST /api/payments", (DIGITS, lambda n: "0" * n)),
    "content-type": ("POST /api/payments", (LETTERS, lambda n: "application/json" + " ;" * (n // 2))),
    "expect": ("POST /api/payments", (LETTERS, COMMAS)),
    "host": ("GET /healthz", (LETTERS,)),
    "idempotency-key": ("POST /api/payments", (LETTERS, lambda n: "\xff" * n)),
    "if-none-match": ("GET /", (LETTERS, COMMAS, TAGS, lambda n: '"' * n)),
    "origin": ("GET /api/messages", (LETTERS, lambda n: "https://" * (n // 8))),
    "stripe-signature": ("POST /stripe/webhook", (lambda n: "t=1" + ",v1=" * (n // 4),)),
    "transfer-encoding": ("POST /api/payments", (LETTERS, COMMAS)),
    "upgrade": ("GET /healthz", (LETTERS, COMMAS)),
    "x-forwarded-for": ("GET /healthz", (LETTERS, COMMAS, lambda n: "127.0.0.1," * (n // 10))),
    "x-forwarded-proto": ("GET /healthz", (LETTERS, COMMAS)),
}
HANDSHAKE_HEADERS: Final[dict[str, tuple[Words, ...]]] = {
    "Origin": (LETTERS,),
    "Sec-WebSocket-Extensions": (COMMAS, lambda n: "permessage-deflate; " * (n // 20), lambda n: 'a; b="' + "\\" * n),
    "Sec-WebSocket-Key": (LETTERS,),
    "Sec-WebSocket-Protocol": (COMMAS,),
    "Sec-WebSocket-Version": (DIGITS,),
}
BODIES: Final[dict[str, Callable[[int], bytes]]] = {
    "letters": lambda n: b"x" * n,
    "nesting": lambda n: b'{"text": ' + b"[" * n,
    "a long number": lambda n: b'{"text": %s}' % (b"9" * n),
    "unknown fields": lambda n: b'{"text": "a", %s}' % b",".join(b'"%x": 1' % number for number in range(n // 9)),
    "an unknown long field": lambda n: b'{"text": "a", "%s": 1}' % (b"x" * n),
    "one field many times": lambda n: b"{%s}" % b",".join([b'"text":1'] * (n // 9)),
    "marks": lambda n: json.dumps(
        {"text": "a" + "\u0300" * (n // 4) + "\u0316" * (n // 4)}, ensure_ascii=False
    ).encode(),
    "an author's marks": lambda n: json.dumps({"text": "a", "author": "\u0300\u0316" * (n // 12)}).encode(),
    "escapes": lambda n: b'{"text": "%s"}' % (b"\\ud800" * (n // 6)),
    "not UTF-8": lambda n: b'{"text": "%s"}' % (b"\xff" * n),
}
FRAMES_SENT: Final[dict[str, tuple[str, int, Callable[[int], bytes]]]] = {
    "watch: a long id": ("watch", FRAME, lambda n: watch("x" * n)),
    "watch: many": ("watch", FRAMES, lambda n: b"".join(watch(f"{number:x}") for number in range(n))),
    "watch: nesting": ("watch", FRAME, lambda n: frame(TEXT, b'{"type": ' + b"[" * n)),
    "watch: not UTF-8": ("watch", FRAME, lambda n: frame(TEXT, b"\xff" * n)),
    "watch: too long": ("watch", BODY, lambda n: frame(TEXT, b"x" * n)),
    "binary": ("binary", FRAME, lambda n: frame(BINARY, b"x" * n)),
    "empty frames": ("watch", FLOOD, lambda n: frame(TEXT) * n),
    "empty fragments": ("fragment", FLOOD, lambda n: frame(TEXT, final=False) + frame(CONTINUATION, final=False) * n),
    "fragments": ("fragment", FLOOD, lambda n: frame(TEXT, final=False) + frame(CONTINUATION, b"x", final=False) * n),
    "pings": ("ping", FLOOD, lambda n: frame(PING) * n),
    "full pings": ("ping", FLOOD, lambda n: frame(PING, b"x" * 125) * n),
    "pongs": ("pong", FLOOD, lambda n: frame(PONG) * n),
    "closes": ("close", FLOOD, lambda n: frame(CLOSE) * n),
    "a long close": ("close", 25, lambda n: frame(CLOSE, struct.pack("!H", 1000) + b"x" * n)),
    "frames after a close": ("close", FLOOD, lambda n: frame(CLOSE) + watch("x") * n),
}


def _addressed() -> Iterator[tuple[str, Sent]]:
    for route, (address, kinds) in ADDRESSED.items():
        for number, words in enumerate(kinds):
            make = _head(f"{route.split()[0]} {address}", AUTHORIZED)(words)
            yield f"{route}: {number}", Sent(make=make, size=HEAD, covers=frozenset({route}), send=exchange)


def _headed() -> Iterator[tuple[str, Sent]]:
    for name, (line, kinds) in HEADERS.items():
        for number, words in enumerate(kinds):
            others = ("Content-Type: application/json",) if name == "content-encoding" else ()
            make = _head(line, f"{name}: {{}}", *others)(words)
            yield (
                f"header {name}: {number}",
                Sent(make=make, size=HEAD, covers=frozenset({f"header {name}"}), send=exchange),
            )
    many = Sent(make=lambda n: request("GET /healthz", *["x: y"] * (n // 6)), size=HEAD, send=exchange)
    yield "many headers", many
    yield "method", Sent(make=lambda n: request("X" * n + " /healthz"), size=HEAD, send=exchange)


def _posted() -> Iterator[tuple[str, Sent]]:
    def to_payments(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
        return lambda size: request("POST /api/payments", "Content-Type: application/json", body=make(size))

    def signed(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
        def of(size: int) -> bytes:
            body = make(size)
            return request("POST /stripe/webhook", f"Stripe-Signature: {signature(body)}", body=body)

        return of

    def chunked(size: int) -> bytes:
        chunks = b"1\r\n \r\n" * (size // 6) + b"0\r\n\r\n"
        return request("POST /api/payments", "Transfer-Encoding: chunked", "Content-Type: application/json") + chunks

    def trailers(size: int) -> bytes:
        fields = b"x: y\r\n" * (size // 6)
        head = request("POST /api/payments", "Transfer-Encoding: chunked", "Content-Type: application/json")
        return head + b"0\r\n" + fields + b"\r\n"

    for name, make in BODIES.items():
        yield (
            f"payment: {name}",
            Sent(make=to_payments(make), size=BODY, covers=frozenset({"POST /api/payments"}), send=exchange),
        )
        yield (
            f"webhook: {name}",
            Sent(make=signed(make), size=EVENT, covers=frozenset({"POST /stripe/webhook"}), send=exchange),
        )
    yield "chunks", Sent(make=chunked, size=HEAD, send=exchange)
    yield "trailers", Sent(make=trailers, size=HEAD, send=exchange)


def _shake(words: Words, *, field: str = "X: y", query: str = "") -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        text = words(size)
        return handshake(field.replace("{}", text), query=query.replace("{}", text))

    return make


def _followed() -> Iterator[tuple[str, Sent]]:
    feed = frozenset({"WS /api/feed"})
    for name, words in {"after": DIGITS, "epoch": LETTERS, "x": PARAMETERS}.items():
        yield (
            f"feed: {name}",
            Sent(
                make=_shake(words, query=f"?{name}={{}}"),
                size=HANDSHAKE,
                covers=feed,
                send=shake_hands,
            ),
        )
    for name, kinds in HANDSHAKE_HEADERS.items():
        for number, words in enumerate(kinds):
            yield (
                f"handshake {name}: {number}",
                Sent(
                    make=_shake(words, field=f"{name}: {{}}"),
                    size=HANDSHAKE,
                    covers=feed | {f"header {name.lower()}"},
                    send=shake_hands,
                ),
            )
    for name, (kind, size, make) in FRAMES_SENT.items():
        yield f"frame {name}", Sent(make=make, size=size, covers=frozenset({f"frame {kind}"}), send=follow)


REQUESTS: Final[dict[str, Sent]] = dict(chain(_addressed(), _headed(), _posted(), _followed()))
