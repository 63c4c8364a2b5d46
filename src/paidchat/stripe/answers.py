"""What Stripe answers: read as the few fields that decide anything, and made safe for its SDK. Needs no SDK."""

import json
import re
from http import HTTPStatus
from typing import Any, Final

import msgspec

from paidchat.stripe.events import Id

DEEPEST: Final = 64  # levels of lists and objects
# A string that doesn't end is one token too: looking for its end again from each quote in it takes quadratic time.
_TOKENS: Final = re.compile(rb'"(?:[^"\\]++|\\.?+)*+"?+|[\[\]{}]|[^"\[\]{}]++', re.DOTALL)


class Made(msgspec.Struct):
    """What Stripe made, such as a refund."""

    id: Id


class WithStatus(msgspec.Struct):
    """What is asked for its status alone, such as a dispute."""

    status: str


class Page(msgspec.Struct):
    """One page of a list. Its items are read one by one, so that a bad one does not cost us the others."""

    data: list[Any]
    has_more: bool = False


def id_in(item: object) -> str | None:
    """Return the id of a listed item, whatever it is, if it has one."""
    found = item.get("id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else None


def created_at(item: object) -> int | None:
    """Return when a listed item was made, in seconds since the epoch, if it says so."""
    found = item.get("created") if isinstance(item, dict) else None
    return found if type(found) is int else None  # a boolean is an int too


def digestible(body: bytes, status: int) -> bytes:
    """Return a body that the SDK copes with.

    It stumbles over bytes that are not UTF-8 and over odd errors, and one item that is nested too deeply would cost us
    its whole page.
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
    """Put null in the place of whatever lies deeper than anything of Stripe's."""
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
