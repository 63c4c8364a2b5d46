"""Stripe's responses: the few fields that we decide by, and making bodies safe for the SDK. Doesn't import the SDK."""

import json
import re
from http import HTTPStatus
from typing import Any, Final

import msgspec

from paidchat.stripe.events import Id

DEEPEST: Final = 64  # nesting levels of lists and objects
# An unterminated string is one token too: searching for its end again from every quote would take quadratic time.
_TOKENS: Final = re.compile(rb'"(?:[^"\\]++|\\.?+)*+"?+|[\[\]{}]|[^"\[\]{}]++', re.DOTALL)


class Made(msgspec.Struct):
    """An object that Stripe created, such as a refund."""

    id: Id


class WithStatus(msgspec.Struct):
    """An object of which only the status matters, such as a dispute."""

    status: str


class Page(msgspec.Struct):
    """One page of a list. Items are decoded one by one, so that a bad one doesn't lose the others."""

    data: list[Any]
    has_more: bool = False


def id_in(item: object) -> str | None:
    """Return the id of a listed item of any shape, or None if it has none."""
    found = item.get("id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else None


def created_at(item: object) -> int | None:
    """Return when a listed item was created, in seconds since the epoch, or None if it doesn't say."""
    found = item.get("created") if isinstance(item, dict) else None
    return found if type(found) is int else None  # bool is a subclass of int


def digestible(body: bytes, status: int) -> bytes:
    """Return a body that the SDK can parse.

    It fails on bytes that are not UTF-8 and on unusual errors, and one item that is nested too deeply would lose the
    whole page.
    """
    body = body.decode(errors="replace").encode()
    try:
        answer = json.loads(body)
    except RecursionError:
        body = _shallow(body)
        return body if _is_success(status) else b"null"
    except ValueError:
        return body  # which the SDK expects
    if _is_success(status):
        return body
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return b"null"
    return json.dumps({"error": {name: value for name, value in error.items() if isinstance(value, str)}}).encode()


def _is_success(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _shallow(body: bytes) -> bytes:
    """Replace whatever is nested deeper than any object of Stripe's with null."""
    kept: list[bytes] = []
    depth = 0
    for token in (found[0] for found in _TOKENS.finditer(body)):
        if token in (b"[", b"{"):
            depth += 1
            if depth == DEEPEST:
                kept.append(b"null")
        if depth < DEEPEST:
            kept.append(token)
        if token in (b"]", b"}"):
            depth -= 1
    return b"".join(kept)
