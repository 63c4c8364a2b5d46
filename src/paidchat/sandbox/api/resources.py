"""Resources: what each call of the API does, as functions from a call to the JSON of its response."""

from collections.abc import Callable

from paidchat.sandbox import errors
from paidchat.sandbox.api.calls import Call
from paidchat.sandbox.api.expand import expand
from paidchat.sandbox.api.lists import list_object, list_page
from paidchat.sandbox.api.parameters import Array, Integer, Record, Text
from paidchat.sandbox.errors import ExecutionError, StateError, UnknownObjectError
from paidchat.sandbox.lifecycle.refunds import create_refund
from paidchat.sandbox.lifecycle.sessions import create_session, expire_session
from paidchat.sandbox.objects.account import account, tax_settings, webhook_endpoint
from paidchat.sandbox.parts import Parts
from paidchat.sandbox.shapes import Json
from paidchat.sandbox.tax import load_tax

Resource = Callable[[Parts, Call], Json]

_EXPAND = Array(of=Text(), most=20)
_RETRIEVE = Record({"expand": _EXPAND})
_ALL_OF_THEM = Record(
    {
        "expand": _EXPAND,
        "ending_before": Text(),
        "limit": Integer(least=1, most=100),
        "starting_after": Text(),
    }
)


def _expire_session(parts: Parts, call: Call) -> Json:
    _RETRIEVE.read(call.params)
    try:
        return expire_session(parts, call.ids["id"], call.cause)
    except UnknownObjectError:
        raise errors.no_such("checkout.session", call.ids["id"], "session") from None


def _line_items(parts: Parts, call: Call) -> Json:
    _ALL_OF_THEM.read(call.params)
    if parts.store.get("checkout.session", call.ids["id"]) is None:
        raise errors.no_such("checkout.session", call.ids["id"], "session")
    return list_object(parts.store.private(call.ids["id"])["lines"], call.path)


def _webhook_endpoints(parts: Parts, call: Call) -> Json:
    _ALL_OF_THEM.read(call.params)
    return list_object([webhook_endpoint(parts.settings.webhook_url)], call.path)


def _tax_settings(parts: Parts, call: Call) -> Json:
    _RETRIEVE.read(call.params)
    return tax_settings(head_office=load_tax(parts.store).head_office)


def _account(_parts: Parts, call: Call) -> Json:
    _RETRIEVE.read(call.params)
    return account()


def _retrieve(kind: str) -> Resource:
    def resource(parts: Parts, call: Call) -> Json:
        _RETRIEVE.read(call.params)
        found = parts.store.get(kind, call.ids["id"])
        if found is None:
            raise errors.no_such(kind, call.ids["id"])
        return _delivered(parts, found)

    return resource


def _list(kind: str) -> Resource:
    def resource(parts: Parts, call: Call) -> Json:
        page = list_page(parts.store, kind, call.params, call.path)
        page["data"] = [_delivered(parts, item) for item in page["data"]]
        return page

    return resource


def _delivered(parts: Parts, found: Json) -> Json:
    """Update an event's `pending_webhooks`."""
    if found["object"] == "event":
        row = parts.store.row("SELECT state FROM deliveries WHERE event = ?", (found["id"],))
        found["pending_webhooks"] = int(row is not None and row["state"] != "delivered")
    return found


RESOURCES: tuple[tuple[str, str, Resource], ...] = (
    ("POST", "/checkout/sessions", lambda parts, call: create_session(parts, call.params, call.api_version)),
    ("GET", "/checkout/sessions", _list("checkout.session")),
    ("GET", "/checkout/sessions/{id}", _retrieve("checkout.session")),
    ("POST", "/checkout/sessions/{id}/expire", _expire_session),
    ("GET", "/checkout/sessions/{id}/line_items", _line_items),
    ("GET", "/payment_intents", _list("payment_intent")),
    ("GET", "/payment_intents/{id}", _retrieve("payment_intent")),
    ("GET", "/charges", _list("charge")),
    ("GET", "/charges/{id}", _retrieve("charge")),
    ("POST", "/refunds", lambda parts, call: create_refund(parts, call.params, call.cause)),
    ("GET", "/refunds", _list("refund")),
    ("GET", "/refunds/{id}", _retrieve("refund")),
    ("GET", "/disputes", _list("dispute")),
    ("GET", "/disputes/{id}", _retrieve("dispute")),
    ("GET", "/events", _list("event")),
    ("GET", "/events/{id}", _retrieve("event")),
    ("GET", "/webhook_endpoints", _webhook_endpoints),
    ("GET", "/tax/settings", _tax_settings),
    ("GET", "/account", _account),
)
"""Method, path below `/v1`, and the function that handles it."""


def act(parts: Parts, call: Call, resource: Resource) -> Json:
    """Make a call in the caller's transaction, and return the response with its expansions.

    Raises:
        ApiError: Stripe would refuse it.
    """
    try:
        answer = resource(parts, call)
    except StateError as error:
        raise ExecutionError(str(error), code=error.code) from None
    expand(parts.store, answer, call.params.get("expand", []))
    return answer
