"""Forgeries: cases, the scene that they are sent to, and the decorator that registers ideas."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.served import SECRET
from tests.support.shapes import Json
from tests.support.webhooks import completed, digest, paid

WEBHOOK = "/stripe/webhook"
CLOSED = 0  # the connection was closed, or timed out, without a response
REFUSED = frozenset({400})  # `invalid_signature`
TURNED_AWAY = frozenset({400, 404, 405, 411, 413, 414, 415, 417, 426, 431, CLOSED})
IGNORED = frozenset({200, 400})
NOT_OURS_YET = frozenset({200, 503})  # 503 if it carries our tag but names an unknown payment


@dataclass(frozen=True)
class Forgery:
    """One case: the name of its idea and its own, the bytes to send, and the allowed responses."""

    idea: str
    name: str
    request: bytes
    allowed: frozenset[int]


@dataclass(frozen=True)
class Idea:
    """A way to impersonate Stripe, described in one sentence, and the function that makes its cases."""

    name: str
    sentence: str
    cases: Callable[["Scene"], Iterable[tuple[str, bytes]]]
    allowed: frozenset[int]

    def forgeries(self, scene: "Scene") -> Iterator[Forgery]:
        """Make the idea's cases for a scene."""
        for name, request in self.cases(scene):
            yield Forgery(self.name, name, request, self.allowed)


IDEAS: list[Idea] = []


def idea(
    name: str, sentence: str, allowed: frozenset[int] = REFUSED
) -> Callable[[Callable[["Scene"], Iterable[tuple[str, bytes]]]], Callable[["Scene"], Iterable[tuple[str, bytes]]]]:
    """Register a function as an idea: from a scene it makes the names and requests of its cases."""

    def write_down(
        cases: Callable[["Scene"], Iterable[tuple[str, bytes]]],
    ) -> Callable[["Scene"], Iterable[tuple[str, bytes]]]:
        IDEAS.append(Idea(name, sentence, cases, allowed))
        return cases

    return write_down


@dataclass(frozen=True)
class Scene:
    """What a forger knows, and also the secret, so that the board must refuse each case for the right reason.

    Attributes:
        host: the board's `host:port`.
        victim: an open session as Stripe's API returns it; accepting a forgery posts its message.
        posted: a paid session whose message is on the board.
        seen: the bytes of an event that was acknowledged.
    """

    host: str
    victim: Json
    posted: Json
    seen: Json

    @property
    def now(self) -> int:
        """Whole seconds since the epoch."""
        return int(time.time())

    @property
    def event(self) -> Json:
        """The event Stripe would send if the victim had been paid; accepting it posts the message."""
        return completed(paid(self.victim))

    @property
    def payload(self) -> bytes:
        """The bytes of that event."""
        return json.dumps(self.event).encode()

    @property
    def harmless(self) -> bytes:
        """An event that Stripe might really send, and that has no effect here."""
        event = completed({"id": f"cus_{uuid.uuid4().hex}", "object": "customer"})
        return json.dumps(event | {"type": "customer.created"}).encode()

    def signed(self, payload: bytes, *, secret: str = SECRET, t: int | str | None = None, scheme: str = "v1") -> str:
        """Return a signature header for these bytes, genuine by default."""
        stamp = self.now if t is None else t
        return f"t={stamp},{scheme}={digest(payload, secret, stamp)}"

    def post(self, payload: bytes, *signatures: str | bytes, **more: Any) -> bytes:
        """Return a request with these bytes and `Stripe-Signature` headers; `more` is passed to `request`."""
        named = [("Stripe-Signature", signature) for signature in signatures]
        return self.request(payload, [*named, *more.pop("headers", [])], **more)

    def genuine(self, payload: bytes | Json, **more: Any) -> bytes:
        """Return a request that needs the secret."""
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.post(raw, self.signed(raw), **more)

    def request(
        self,
        body: bytes,
        headers: Iterable[tuple[str, str | bytes]] = (),
        *,
        method: str = "POST",
        target: str = WEBHOOK,
        version: str = "HTTP/1.1",
        length: bool = True,
        host: str | None = None,
        content_type: str | None = "application/json",
    ) -> bytes:
        """Return the bytes of a request."""
        fields: list[tuple[str, str | bytes]] = [("Host", self.host if host is None else host), ("Connection", "close")]
        if content_type is not None:
            fields.append(("Content-Type", content_type))
        if length:
            fields.append(("Content-Length", str(len(body))))
        lines = [name.encode() + b": " + _bytes(value) for name, value in (*fields, *headers)]
        return b"\r\n".join([f"{method} {target} {version}".encode(), *lines, b"", b""]) + body


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
