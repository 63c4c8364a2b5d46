"""Request heads: where they end, what follows, and which ones are unsafe to serve (RFC 9112).

Parsers are more lenient, and may differ from a proxy in front of us. So heads are parsed here, and only unambiguous
ones are served.
"""

import re
from collections.abc import Sequence
from typing import Final, Self
from urllib.parse import unquote_to_bytes

from msgspec import Struct, field

MAX_HEAD: Final = 32 * 1024  # bytes
MAX_LINE: Final = 8 * 1024  # bytes, including its end
MAX_FIELDS: Final = 100
MAX_EMPTY_LINES: Final = 4  # before a request; RFC 9112, section 2.2, says to ignore at least one
FEED_PATH: Final = "/api/feed"
REFUSAL: Final = "paidchat.refusal"  # key in the ASGI scope's extensions: the refusal of a request

END: Final = b"\r\n\r\n"
CR: Final = b"\r"[0]
_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.([01])")
# All lines are checked by one pattern and read by another: a head of three takes 15 µs, and line by line it took 17.5.
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+")
_FIELD = re.compile(rb"([^:]++):([^\r]*+)\r\n")
_LENGTH = re.compile(rb"[0-9]{1,19}")
_KEY = re.compile(rb"[0-9A-Za-z+/]{22}==")  # 16 bytes (RFC 6455, section 4.1)
_ABSOLUTE = re.compile(rb"[A-Za-z][0-9A-Za-z+.-]*://[^/?#]*")
# uri-host [":" port] of RFC 3986, section 3.2.2; brackets hold an IPv6 address
_HOST = re.compile(rb"(?:\[[0-9A-Za-z:.%~_-]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(?::[0-9]*)?")
_TARGET = re.compile(rb"(?:/|[A-Za-z][0-9A-Za-z+.-]*://)[^#]*\Z")  # RFC 9112, section 3.2
_OF_BODIES = frozenset({b"content-length", b"transfer-encoding"})
_UPGRADES = frozenset({b"upgrade", b"http2-settings"})
# No subprotocols, no extensions, no body; the other two headers are rewritten.
_NOT_FOR_THE_FEED = _UPGRADES | {
    b"connection",
    b"content-length",
    b"sec-websocket-extensions",
    b"sec-websocket-protocol",
}


class Refusal(Struct, frozen=True):
    """An error response that closes the connection."""

    status: int
    code: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The input must be refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


def bad(what: str = "This is not a request that can be read safely.") -> Refused:
    """Return the error for bytes that are not a valid request."""
    return Refused(Refusal(400, "bad_request", what))


def too_large() -> Refused:
    """Return the error for a head or trailers over a limit."""
    return Refused(Refusal(431, "headers_too_large", "The request's headers are too large."))


TOO_SLOW: Final = Refusal(408, "request_timeout", "The request took too long to arrive.")


def end_of(unread: bytearray, seen: int) -> int | None:
    """Return the length of the head at the beginning, or None while it is incomplete.

    `seen` is how much was checked before. The work is linear in what is new, plus one line's length.

    Raises:
        Refused: it is too large, or incomplete and malformed whatever follows.
    """
    end = unread.find(END, max(0, seen - len(END) + 1))
    if end >= 0:
        if end + len(END) > MAX_HEAD:
            raise too_large()
        return end + len(END)
    start = seen - 1 if seen and unread[seen - 1] == CR else seen
    if _is_broken(unread[start:]):
        raise bad()
    if len(unread) > MAX_HEAD or len(unread) - unread.rfind(b"\n") > MAX_LINE:
        raise too_large()
    return None


def _is_broken(part: bytearray) -> bool:
    """Tell whether a line ends in a lone CR or LF; the last one's LF may not have arrived yet."""
    ends = part.count(b"\r\n")
    halves = (part.count(b"\n"), part.count(b"\r") - part.endswith(b"\r"))
    return halves != (ends, ends) or b"\0" in part


def skip_empty_lines(unread: bytearray) -> int:
    """Remove empty lines from the beginning; returns how many there were."""
    count = 0
    while unread.startswith(b"\r\n"):
        del unread[:2]
        count += 1
    return count


class Head(Struct, frozen=True):
    """An unambiguous head.

    Attributes:
        method, target, version: of the request line; the version is the digit after `HTTP/1.`.
        fields: names in lower case, and values.
        names: those of the fields.
        size: in bytes, as received.
        length: of the body that follows, in bytes; None if it is chunked.
    """

    method: bytes
    target: bytes
    version: int
    fields: Sequence[tuple[bytes, bytes]]
    names: frozenset[bytes]
    size: int
    length: int | None

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """Parse a complete head, including its end.

        Raises:
            Refused: it is over a limit, or other servers might parse it differently.
        """
        if head.count(b"\r\n") - 2 > MAX_FIELDS or (len(head) > MAX_LINE and _longest_line(head) > MAX_LINE):
            raise too_large()
        request, _, rest = head.partition(b"\r\n")
        first, lines = _REQUEST.fullmatch(request), rest[:-2]
        if first is None or first[1] == b"CONNECT" or not _FIELDS.fullmatch(lines):
            raise bad()
        fields = [(name.lower(), value.strip(b" \t")) for name, value in _FIELD.findall(lines)]
        if not _TARGET.match(first[2]) and first.group(1, 2) != (b"OPTIONS", b"*"):
            raise bad("A target is a path, or a whole address, without a fragment.")
        version = int(first[3])
        hosts = [value for name, value in fields if name == b"host"]
        if len(hosts) not in ((1,) if version else (0, 1)):
            raise bad("A request names its host, once.")
        if hosts and not _HOST.fullmatch(hosts[0]):
            raise bad("A host is a name or an address, and perhaps a port.")
        names = frozenset(name for name, _ in fields)
        length = _body_length(fields, version) if names & _OF_BODIES else 0
        return cls(first[1], first[2], version, fields, names, len(head), length)

    def values(self, name: bytes) -> list[bytes]:
        """Return every value of a field."""
        return [value for other, value in self.fields if other == name] if name in self.names else []

    def _tokens(self, name: bytes) -> set[bytes]:
        return {token.strip(b" \t").lower() for value in self.values(name) for token in value.split(b",")}

    @property
    def is_handshake(self) -> bool:
        """Whether it is a WebSocket handshake; any other upgrade is ignored.

        See RFC 9110, section 7.8, which requires that for HTTP/1.0.
        """
        return (
            self.method == b"GET"
            and self.version == 1
            and b"websocket" in self._tokens(b"upgrade")
            and b"upgrade" in self._tokens(b"connection")
        )

    @property
    def keeps_alive(self) -> bool:
        """Whether the client may send another request after this one (RFC 9112, section 9.3)."""
        return self.version == 1 and b"close" not in self._tokens(b"connection")

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits before it sends the body; HTTP/1.0 can't (RFC 9110, section 10.1.1)."""
        return self.version == 1 and any(value.lower() == b"100-continue" for value in self.values(b"expect"))

    def address(self) -> tuple[bytes, bytes]:
        """Return the path, still percent-encoded, and the query."""
        path, _, query = self._origin_form().partition(b"?")
        return path if path.startswith(b"/") else b"/", query  # an absolute target may lack one; `*` has none

    def served_fields(self) -> list[tuple[bytes, bytes]]:
        """Return the fields for the app, without the upgrade, which is ignored."""
        return [one for one in self.fields if one[0] not in _UPGRADES]

    def handshake(self) -> bytes:
        """Return the head for the WebSocket protocol."""
        asked = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")]
        lines = [b"GET %s HTTP/1.1" % (self._origin_form() or b"/")]
        lines += [b"%s: %s" % one for one in self.fields if one[0] not in _NOT_FOR_THE_FEED]
        lines += [b"%s: %s" % one for one in asked]
        return b"\r\n".join(lines) + END

    def _origin_form(self) -> bytes:
        """Return the target without a scheme and host (RFC 9112, section 3.2.2)."""
        absolute = _ABSOLUTE.match(self.target)  # anchored at the start: a search would be quadratic
        return self.target[absolute.end() :] if absolute else self.target

    def check_handshake(self) -> None:
        """Check that a handshake can be answered with 101. The app checks the origin.

        Raises:
            Refused: it has a body, another path or another version (RFC 6455, sections 4.2.1 and 4.4).
        """
        if self.length != 0:
            raise bad("A WebSocket handshake has no body.")
        path, _, _ = self._origin_form().partition(b"?")
        if unquote_to_bytes(path) != FEED_PATH.encode():
            raise Refused(Refusal(404, "not_found", "There is no WebSocket at this address."))
        if self.values(b"sec-websocket-version") != [b"13"]:
            upgrade = {"Upgrade": "websocket", "Connection": "Upgrade, close", "Sec-WebSocket-Version": "13"}
            raise Refused(Refusal(426, "upgrade_required", "Please speak version 13 of the protocol.", upgrade))
        keys = self.values(b"sec-websocket-key")
        if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
            raise bad("A WebSocket handshake has one key, of 16 bytes in base64.")
        if len(self.values(b"origin")) > 1:
            raise Refused(Refusal(403, "forbidden", "A page has one origin."))


def _longest_line(head: bytes) -> int:
    """Return the length of the longest line, including its end."""
    return max(map(len, head.split(b"\r\n"))) + 2


def _body_length(fields: Sequence[tuple[bytes, bytes]], version: int) -> int | None:
    """Return the length of the body, or None if it is chunked (RFC 9112, section 6.3).

    Raises:
        Refused: it is given twice, or in a way that servers parse differently, which allows request smuggling.
    """
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    if codings:
        if lengths or codings != [b"chunked"] or version == 0:
            raise bad("A body is either chunked or has a length, and has no other coding.")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise bad("A body has one length, in digits.")
    return int(lengths[0])
