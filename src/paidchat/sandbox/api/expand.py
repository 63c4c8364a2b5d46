"""Expansion: replaces ids by the objects they name, on request (docs.stripe.com/api/expanding_objects)."""

from paidchat.sandbox import errors
from paidchat.sandbox.api.lists import list_object
from paidchat.sandbox.shapes import Json
from paidchat.sandbox.store import Store

_DEEPEST = 4

_NAMED = {
    ("checkout.session", "payment_intent"): "payment_intent",
    ("payment_intent", "latest_charge"): "charge",
    ("charge", "payment_intent"): "payment_intent",
    ("price", "product"): "product",
    ("refund", "charge"): "charge",
    ("refund", "payment_intent"): "payment_intent",
    ("dispute", "charge"): "charge",
    ("dispute", "payment_intent"): "payment_intent",
}
"""Fields that hold the id of another object, and that object's kind."""


def expand(store: Store, body: Json, paths: list[str]) -> None:
    """Expand an object or a list in place, along paths such as `data.payment_intent.latest_charge`.

    Raises:
        ApiError: A path is too deep, or goes through a field that cannot be expanded.
    """
    for index, path in enumerate(paths):
        fields = path.split(".")
        if len(fields) > _DEEPEST:
            raise errors.invalid(f"expand[{index}]", f"You cannot expand more than {_DEEPEST} levels of a property.")
        _expand(store, body, fields, f"expand[{index}]")


def _expand(store: Store, body: Json, fields: list[str], param: str) -> None:
    if not fields:
        return
    field, rest = fields[0], fields[1:]
    if body["object"] == "list" and field == "data":
        for item in body["data"]:
            _expand(store, item, rest, param)
        return
    if (body["object"], field) == ("checkout.session", "line_items"):
        body[field] = list_object(store.private(body["id"])["lines"], f"/v1/checkout/sessions/{body['id']}/line_items")
    elif (body["object"], field) == ("charge", "refunds"):
        body[field] = _refunds(store, body["id"])
    elif (body["object"], field) == ("item", "price"):
        pass  # always the whole object, with fields of its own to expand
    elif (body["object"], field) in _NAMED:
        _replace(store, body, field, _NAMED[body["object"], field])
    else:
        raise errors.invalid(param, f"This property cannot be expanded ({field}).")
    if isinstance(body[field], dict):
        _expand(store, body[field], rest, param)


def _replace(store: Store, body: Json, field: str, kind: str) -> None:
    if isinstance(body[field], str):
        body[field] = store.get(kind, body[field]) or body[field]


def _refunds(store: Store, charge_id: str) -> Json:
    session_id = store.session_of(charge_id)
    refunds = store.of_session(session_id or "", "refund")
    return list_object([item for item in refunds if item["charge"] == charge_id], f"/v1/charges/{charge_id}/refunds")
