"""The worst inputs that strangers can pass to our functions, and the functions that process them."""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

import structlog

from paidchat.clients import client_id
from paidchat.domain import InvalidText
from paidchat.pages.formats import xml_text
from paidchat.pages.layout import fit
from paidchat.redaction import redact_event
from paidchat.serving.heads import Head, Refused, end_of
from paidchat.stripe.answers import digestible
from paidchat.stripe.events import UnreadableEvent, read_event, read_listed_event
from paidchat.stripe.signatures import InvalidSignature, verify_signature
from paidchat.text import clean_author, clean_text
from tests.support.hostile.growth import Entry

HEAD: Final = 6 * 1024  # characters of a header; four times as much is still accepted
EVENT: Final = 120 * 1024  # bytes of an event; four times as much is still accepted
ANSWER: Final = 15 * 1024
CUT, NOT_CUT = 30_000, 500  # characters of a logged string; four times as much is over its limit, and within it
REFUSED, LET_IN = 8_000, 480  # code points of a text, likewise


TEXTS: Final[dict[str, Callable[[int], str]]] = {
    "letters": lambda n: "a" * n,
    "marks of two classes": lambda n: "a" + "\u0300" * (n // 2) + "\u0316" * (n // 2),
    "marks with joiners": lambda n: ("a" + "\u0316\u0300" * 9 + "\u200d") * (n // 20),
    "white space": lambda n: "\u2003" * n + "a" + "\u2003" * n,
    "carriage returns": lambda n: "\r" * n,
    "invisible": lambda n: "\u00ad" * n,
    "flags without an end": lambda n: ("\U0001f3f4" + "\U000e0061" * 7) * (n // 8),
    "jamo": lambda n: "\u1100\u1161\u11a8" * (n // 3),
}
HEADS: Final[dict[str, Callable[[int], bytes]]] = {
    "one long line": lambda n: b"GET /" + b"a" * n + b" HTTP/1.1\r\nHost: h\r\n\r\n",
    "one long field": lambda n: b"GET / HTTP/1.1\r\nHost: h\r\nx: " + b"a " * (n // 2) + b"\r\n\r\n",
    "many fields": lambda n: b"GET / HTTP/1.1\r\nHost: h\r\n" + b"x: y\r\n" * (n // 6) + b"\r\n",
    "many lengths": lambda n: b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"5," * (n // 2) + b"\r\n\r\n",
    "zeros": lambda n: b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"0" * n + b"5\r\n\r\n",
    "line ends": lambda n: b"GET / HTTP/1.1\r\n" + b"\r" * n + b"\r\n\r\n",
    "no end": lambda n: b"GET / HTTP/1.1\r\nHost: " + b"\n" * n,
}
WORDS: Final[dict[str, Callable[[int], str]]] = {
    "a long word": lambda n: "x" * n,
    "dots and dashes": lambda n: ".-+" * (n // 3),
    "ats": lambda n: "a@" * (n // 2),
    "an address without an end": lambda n: "a@" + "b" * n,
    "an address of many parts": lambda n: "a@" + "b." * (n // 2),
    "prefixes": lambda n: "sk_test_" * (n // 8),
    "bearers": lambda n: "Bearer " * (n // 7),
    "spaces": lambda n: "bearer" + " " * n,
    "lines": lambda n: "x\n" * (n // 2),
    "percents": lambda n: "%40" * (n // 3),
}
EVENTS: Final[dict[str, Callable[[int], bytes]]] = {
    "a long id": lambda n: b'{"id": "%s"}' % (b"x" * n),
    "a long number": lambda n: b'{"id": 1%s}' % (b"0" * n),
    "nesting": lambda n: b'{"data": ' + b"[" * n,
    "many fields": lambda n: b"{%s}" % b",".join(b'"%x":1' % number for number in range(n // 8)),
    "one field many times": lambda n: b"{%s}" % b",".join([b'"data":{}'] * (n // 10)),
    "not UTF-8": lambda n: b'{"id": "%s"}' % (b"\xff" * n),
    "much metadata": lambda n: about_a_session({"metadata": {f"{number:x}": "v" for number in range(n // 10)}}),
    "an intent's long id": lambda n: about_a_session({"payment_intent": "!" * n}),
}
ANSWERS: Final[dict[str, Callable[[int], bytes]]] = {
    "letters": lambda n: b"x" * n,
    "nesting": lambda n: b"[" * n,
    "a string without an end": lambda n: b"[" * 5000 + b'"' + b'\\"' * (n // 2),
    "backslashes": lambda n: b"[" * 5000 + b'"\\' * (n // 2),
    "not UTF-8": lambda n: b"\xff" * n,
    "an odd error": lambda n: json.dumps({"error": {f"{number}": "x" for number in range(n // 8)}}).encode(),
}
SIGNATURES: Final[dict[str, Callable[[int], str]]] = {
    "many signatures": lambda n: "t=1" + ",v1=" * (n // 4),
    "many whole signatures": lambda n: "t=1" + f",v1={'0' * 64}" * (n // 68),
    "a long signature": lambda n: "t=1,v1=" + "0" * n,
    "a long stamp": lambda n: "t=" + "1" * n,
    "many stamps": lambda n: "t=1," * (n // 4),
    "commas and spaces": lambda n: ", " * (n // 2),
    "odd letters": lambda n: "t=1,v1=" + "\xff" * n,
}
ADDRESSES: Final[dict[str, Callable[[int], str]]] = {
    "letters": lambda n: "x" * n,
    "colons": lambda n: ":" * n,
    "dots": lambda n: "1." * (n // 2),
}
# What our log entries contain. A field named `**` is covered by those of any other entry.
FIELDS: Final = frozenset(
    {
        *("after", "detail", "ends", "error", "event_id", "event_type", "fact", "failed", "failures", "how", "limit"),
        *("max_viewers", "method", "ms", "origin", "remedy"),
        *(
            "path",
            "payment_id",
            "payment_intent",
            "problem",
            "request_id",
            "requests",
            "restart_in_s",
            "session_id",
            "skew_s",
            "status",
        ),
        *("stripe_minus_ours_s", "task", "verdict", "warning", "was", "what", "**"),
    }
)
LISTED: Final = ("a long id", "many fields", "one field many times", "much metadata", "an intent's long id")


def about_a_session(fields: dict[str, Any]) -> bytes:
    """An event about a session with these fields."""
    session = {"id": "cs_1", "status": None, "payment_status": "paid", "livemode": False, **fields}
    kind = "checkout.session.completed"
    event = {"id": "evt_1", "object": "event", "type": kind, "livemode": False, "data": {"object": session}}
    return json.dumps(event).encode()


def log_entry(word: Callable[[int], str]) -> Callable[[int], dict[str, Any]]:
    """A log entry with a long value in each of its fields, a long key, and both in lists and objects."""

    def make(size: int) -> dict[str, Any]:
        value = word(size)
        nested = {"list": [value] * 9, "object": {value: {value: value}}, "bytes": value.encode(), "set": {value}}
        return {**dict.fromkeys(FIELDS, value), value: value, "nested": nested, "exception": value}

    return make


def deep_and_wide(size: int) -> dict[str, Any]:
    """A log entry with many items, deep and wide."""
    deep: Any = []
    for _ in range(size):
        deep = [deep]
    return {"deep": deep, "wide": [{str(number): number} for number in range(size)], "number": 1 << size}


def listed(make: Callable[[int], bytes]) -> Callable[[int], Any]:
    """The same event, as an item in a list from Stripe."""
    return lambda size: json.loads(make(size))


def chained(size: int) -> Exception:
    """An error with a long text, and many causes."""
    error = ValueError("x" * size)
    for number in range(size // 100):
        error, cause = ValueError(f"number {number}"), error
        error.__cause__ = cause
    return error


def log_error(error: Exception) -> None:
    """Log an error, with the board's own log configuration."""
    structlog.get_logger("test").error("event", exc_info=error)


def verify(payload: bytes, header: str) -> None:
    """Check a signature against two secrets."""
    verify_signature(payload, header, (b"one", b"two"), 1)


def allowing(*refusals: type[Exception]) -> Callable[[Callable[..., object]], Callable[..., None]]:
    """Make a function return normally when it refuses its input."""

    def wrap(work: Callable[..., object]) -> Callable[..., None]:
        @functools.wraps(work)
        def tried(*given: Any) -> None:
            with contextlib.suppress(*refusals):
                work(*given)

        return tried

    return wrap


_clean_text = allowing(InvalidText)(clean_text)
_clean_author = allowing(InvalidText)(clean_author)
_read_event = allowing(UnreadableEvent)(read_event)
_read_listed_event = allowing(UnreadableEvent)(read_listed_event)
_verify = allowing(InvalidSignature)(verify)


def _texts() -> Iterator[tuple[str, Entry]]:
    for name, make in TEXTS.items():
        yield f"text: {name}", Entry(make=make, work=_clean_text, size=REFUSED)
        yield f"text let in: {name}", Entry(make=make, work=_clean_text, size=LET_IN)
        yield f"author: {name}", Entry(make=make, work=_clean_author, size=REFUSED)


def _laid_out() -> Iterator[tuple[str, Entry]]:
    for name, make in {**TEXTS, "words": lambda n: "ab " * (n // 3), "lines": lambda n: "a\n" * (n // 2)}.items():
        yield f"laid out: {name}", Entry(make=make, work=_lay_out, size=LET_IN)
        yield f"in XML: {name}", Entry(make=make, work=xml_text, size=REFUSED)


def _lay_out(text: str) -> None:
    fit(text, 1_040, 320, lambda part, size: len(part) * size / 2)


def _logged() -> Iterator[tuple[str, Entry]]:
    covers = frozenset(f"field {name}" for name in FIELDS)
    for name, make in WORDS.items():
        yield f"logged: {name}", Entry(make=log_entry(make), work=redact_event, size=CUT, covers=covers)
        yield f"logged whole: {name}", Entry(make=log_entry(make), work=redact_event, size=NOT_CUT)
    yield "logged: deep and wide", Entry(make=deep_and_wide, work=redact_event, size=10_000)
    yield "logged: an error", Entry(make=chained, work=log_error, size=4_000, covers=frozenset({"field exc_info"}))


def _events() -> Iterator[tuple[str, Entry]]:
    for name, make in EVENTS.items():
        yield f"event: {name}", Entry(make=make, work=_read_event, size=EVENT)
    for name in LISTED:
        yield f"listed event: {name}", Entry(make=listed(EVENTS[name]), work=_read_listed_event, size=EVENT)
    for name, header in SIGNATURES.items():
        yield f"signature: {name}", Entry(make=header, work=lambda given: _verify(b"{}", given), size=HEAD)
    whole = Entry(make=lambda n: b"x" * n, work=lambda payload: _verify(payload, "t=1,v1=0"), size=EVENT)
    yield "signature: of a long body", whole


def _answers() -> Iterator[tuple[str, Entry]]:
    for name, make in ANSWERS.items():
        yield f"answer: {name}", Entry(make=make, work=lambda body: digestible(body, 200), size=ANSWER)
        yield f"refusal: {name}", Entry(make=make, work=lambda body: digestible(body, 400), size=ANSWER)


def _addresses() -> Iterator[tuple[str, Entry]]:
    for name, make in ADDRESSES.items():
        yield f"client: {name}", Entry(make=make, work=lambda address: client_id(address, "secret"), size=HEAD)


def find_end(head: bytes) -> None:
    """Look for the end of the headers as the bytes arrive in small pieces."""
    unread, seen = bytearray(), 0
    for start in range(0, len(head), 64):
        unread += head[start : start + 64]
        end_of(unread, seen)
        seen = len(unread)


_find_end = allowing(Refused)(find_end)
_parse_head = allowing(Refused)(Head.parse)


def _heads() -> Iterator[tuple[str, Entry]]:
    for name, make in HEADS.items():
        yield f"head: {name}", Entry(make=make, work=_parse_head, size=HEAD)
        yield f"end of a head: {name}", Entry(make=make, work=_find_end, size=HEAD)


FUNCTIONS: Final[dict[str, Entry]] = dict(
    chain(_texts(), _laid_out(), _logged(), _events(), _answers(), _addresses(), _heads())
)
