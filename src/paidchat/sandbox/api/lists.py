"""Lists: Stripe's list objects, newest first, with cursors and filters (docs.stripe.com/api/pagination)."""

from typing import Any

from paidchat.sandbox import errors
from paidchat.sandbox.api.parameters import Array, Boolean, Integer, Kind, Record, Text
from paidchat.sandbox.shapes import Json
from paidchat.sandbox.store import Store

_DEFAULT_LIMIT = 10
_RANGE = Record(dict.fromkeys(("gt", "gte", "lt", "lte"), Integer()))
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_FIELDS = ("status", "payment_intent", "charge")


class _Created:
    """A moment, or a range of moments with any of `gt`, `gte`, `lt`, `lte`."""

    def read(self, value: Any, param: str) -> Json:
        """Return the range as comparisons; a single moment is a range of one second."""
        if isinstance(value, str):
            moment = Integer().read(value, param)
            return {"gte": moment, "lte": moment}
        return _RANGE.read(value, param)


_PAGING: dict[str, Kind] = {
    "created": _Created(),
    "ending_before": Text(),
    "expand": Array(of=Text(), most=20),
    "limit": Integer(least=1, most=100),
    "starting_after": Text(),
}
_FILTERS: dict[str, tuple[str, ...]] = {
    "checkout.session": ("payment_intent", "status"),
    "payment_intent": (),
    "charge": ("payment_intent",),
    "refund": ("payment_intent", "charge"),
    "dispute": ("payment_intent", "charge"),
    "event": ("type", "types", "delivery_success"),
}
_KINDS: dict[str, Kind] = {
    "charge": Text(),
    "delivery_success": Boolean(),
    "payment_intent": Text(),
    "status": Text(choices=("open", "complete", "expired")),
    "type": Text(),
    "types": Array(of=Text(), most=20),
}


def list_object(data: list[Json], url: str, *, has_more: bool = False) -> Json:
    """Wrap objects in Stripe's list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def list_page(store: Store, kind: str, params: Json, url: str) -> Json:
    """Return the page of objects of one kind for decoded query parameters.

    Raises:
        ApiError: Unknown parameters, bad values, or a cursor that names no object of this kind.
    """
    given = Record(_PAGING | {name: _KINDS[name] for name in _FILTERS[kind]}).read(params)
    conditions, values = _conditions(kind, given)
    backwards = "ending_before" in given
    cursor = given.get("ending_before") or given.get("starting_after")
    if cursor is not None:
        conditions.append("seq > ?" if backwards else "seq < ?")
        values.append(_position(store, kind, cursor, "ending_before" if backwards else "starting_after"))
    limit = given.get("limit", _DEFAULT_LIMIT)
    order = "ASC" if backwards else "DESC"
    where = " AND ".join(conditions)
    sql = f"SELECT id FROM objects WHERE {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608 - our own SQL; values are bound
    rows = store.rows(sql, [*values, limit + 1])
    ids = [row["id"] for row in rows[:limit]]
    if backwards:
        ids.reverse()
    data = [found for found in (store.get(kind, object_id) for object_id in ids) if found is not None]
    return list_object(data, url, has_more=len(rows) > limit)


def _conditions(kind: str, given: Json) -> tuple[list[str], list[Any]]:
    """Return SQL conditions and their values."""
    conditions, values = ["kind = ?"], [kind]
    for comparison, moment in given.get("created", {}).items():
        conditions.append(f"created {_COMPARISONS[comparison]} ?")
        values.append(moment)
    for field in _FIELDS:
        if field in given:
            conditions.append(f"json_extract(body, '$.{field}') = ?")
            values.append(given[field])
    types = given.get("types", []) + ([given["type"]] if "type" in given else [])
    if types:
        conditions.append("(" + " OR ".join(["json_extract(body, '$.type') GLOB ?"] * len(types)) + ")")
        values.extend(_glob(wanted) for wanted in types)
    if "delivery_success" in given:
        undelivered = "EXISTS (SELECT 1 FROM deliveries WHERE event = objects.id AND state != 'delivered')"
        conditions.append(f"NOT {undelivered}" if given["delivery_success"] else undelivered)
    return conditions, values


def _glob(wanted: str) -> str:
    """Return a GLOB pattern in which only `*` is special: `charge.*` matches all events about charges."""
    return wanted.replace("[", "[[]").replace("?", "[?]")


def _position(store: Store, kind: str, object_id: str, param: str) -> int:
    row = store.row("SELECT seq FROM objects WHERE id = ? AND kind = ?", (object_id, kind))
    if row is None:
        raise errors.no_such(kind, object_id, param)
    return int(row["seq"])
