"""Ideas about the content: the signature is genuine, but the signed event must not change anything."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from tests.support.shapes import Json
from tests.support.webhooks import completed, event, paid
from tests.torture.checks.forgery import IGNORED, NOT_OURS_YET, TURNED_AWAY, Scene, idea

Cases = Iterator[tuple[str, bytes]]

BOARD, PAYMENT = "paidchat_board", "paidchat_payment"
WRONG_TYPES: dict[str, Any] = {
    "null": None,
    "true": True,
    "a number": 7,
    "a float": 1.5,
    "an empty list": [],
    "a list": ["paid"],
    "an object": {"paid": True},
    "empty": "",
}


def _about(scene: Scene, **changes: Any) -> bytes:
    """Return a request that says the victim's session is paid, with these changes; `...` removes a member."""
    session = {name: value for name, value in paid(scene.victim, **changes).items() if value is not ...}
    return scene.genuine(completed(session))


def _tagged(scene: Scene, **tags: Any) -> bytes:
    return _about(scene, metadata={**scene.victim["metadata"], **tags})


def _raw(scene: Scene, text: str) -> bytes:
    return scene.genuine(text.encode())


@idea("no event", "The signed bytes are JSON, but not an event.", IGNORED)
def _no_event(scene: Scene) -> Cases:
    for text in ("[]", "null", "true", "0", "-1", '"x"', "{}", '""', "[[]]", "[{}]", '{"object": "event"}', "1e999"):
        yield text, _raw(scene, text)
    yield "a list of events", _raw(scene, json.dumps([scene.event]))
    yield "an event in an event", _raw(scene, json.dumps({"event": scene.event}))


@idea("no JSON", "The signed bytes are not quite JSON, or not at all.", IGNORED)
def _no_json(scene: Scene) -> Cases:
    text = json.dumps(scene.event)
    yield "nothing", scene.genuine(b"")
    yield "blanks", scene.genuine(b" \n\t ")
    yield "cut off", _raw(scene, text[:-1])
    yield "half", _raw(scene, text[: len(text) // 2])
    yield "comma at the end", _raw(scene, text[:-1] + ",}")
    yield "single quotes", _raw(scene, text.replace('"', "'"))
    yield "a comment", _raw(scene, f"/* paid */ {text}")
    yield "two documents", _raw(scene, text + text)
    yield "NaN", _raw(scene, text.replace('"amount_total": 100', '"amount_total": NaN'))
    yield "Infinity", _raw(scene, text.replace('"amount_total": 100', '"amount_total": Infinity'))
    yield "XML", _raw(scene, "<event/>")
    yield "a form", _raw(scene, "type=checkout.session.completed&paid=true")
    yield "a NUL at the end", scene.genuine(text.encode() + b"\0")


@idea("other encoding", "The signed bytes are not UTF-8.", IGNORED)
def _other_encoding(scene: Scene) -> Cases:
    text = json.dumps(scene.event)
    for encoding in ("utf-16", "utf-16-be", "utf-32", "cp037"):
        yield encoding, scene.genuine(text.encode(encoding))
    yield "a byte order mark", scene.genuine(text.encode("utf-8-sig"))
    yield "bytes that are none", scene.genuine(text.encode().replace(b"checkout.session.completed", b"\xff\xfe\xfd"))
    yield "overlong", scene.genuine(text.encode().replace(b"usd", b"u\xc1\xb3d"))
    yield "a lone surrogate", _raw(scene, text.replace('"type": "', '"type": "\\ud800'))
    yield "a surrogate in the id", _raw(scene, text.replace('"id": "evt_', '"id": "\\udfff', 1).replace("paid", "?"))


@idea("deep nesting", "The signed JSON is nested too deeply for a parser.", IGNORED | TURNED_AWAY)
def _deep(scene: Scene) -> Cases:
    for depth in (100, 1_000, 10_000, 100_000):
        yield f"{depth} lists", _raw(scene, "[" * depth + "]" * depth)
        yield f"{depth} objects", _raw(scene, '{"a":' * depth + "1" + "}" * depth)
        yield f"{depth} lists, open", _raw(scene, "[" * depth)
    deep = "[" * 50_000 + "]" * 50_000
    yield "in the session", _raw(scene, json.dumps(_marked(scene)).replace('"@"', deep))


def _marked(scene: Scene) -> Json:
    return completed(paid(scene.victim, metadata="@"))


@idea("members of wrong types", "The event's own members have types that Stripe never sends.", IGNORED)
def _wrong_types(scene: Scene) -> Cases:
    for member in ("id", "type", "object", "data"):
        for name, value in WRONG_TYPES.items():
            if (member, name) != ("id", "empty"):
                yield f"{member} is {name}", scene.genuine(scene.event | {member: value})
    for name, value in WRONG_TYPES.items():
        yield f"data.object is {name}", scene.genuine(scene.event | {"data": {"object": value}})


@idea("members missing", "The event lacks required members.", IGNORED)
def _missing(scene: Scene) -> Cases:
    for member in ("id", "type", "object", "data"):
        yield member, scene.genuine({name: value for name, value in scene.event.items() if name != member})
    for member in ("id", "payment_status", "livemode", "metadata", "amount_subtotal", "amount_total", "currency"):
        yield f"session.{member}", _about(scene, **{member: ...})


@idea("thin event", "It is an event of the kind that carries only a reference.", IGNORED)
def _thin(scene: Scene) -> Cases:
    reference = {
        "id": scene.victim["id"],
        "type": "checkout.session",
        "url": f"/v1/checkout/sessions/{scene.victim['id']}",
    }
    thin = {"id": f"evt_{uuid.uuid4().hex}", "object": "v2.core.event", "related_object": reference, "livemode": False}
    for kind in ("v2.core.event_destination.ping", "checkout.session.completed", "v1.billing.meter.error"):
        yield kind, scene.genuine(thin | {"type": kind})


@idea("other type", "The event is of a type that does not say that anything was paid.", IGNORED)
def _other_type(scene: Scene) -> Cases:
    kinds = ("payment_intent.succeeded", "charge.succeeded", "invoice.paid", "checkout.session.completed.v2", "ping")
    spelled = (
        "CHECKOUT.SESSION.COMPLETED",
        " checkout.session.completed",
        "checkout.session.completed\0",
        "checkout.*",
    )
    for kind in (*kinds, *spelled, "x" * 10_000):
        yield repr(kind[:30]), scene.genuine(scene.event | {"type": kind})


@idea("not quite paid", "The session's payment_status is not one of the words that mean paid.", IGNORED)
def _not_paid(scene: Scene) -> Cases:
    for word in (
        "no_payment_required",
        "PAID",
        "Paid",
        "paid ",
        " paid",
        "paid\n",
        "p\u0430id",
        "succeeded",
        "unknown",
    ):
        yield repr(word), _about(scene, payment_status=word)
    for name, value in WRONG_TYPES.items():
        yield name, _about(scene, payment_status=value)


@idea("other amount", "The session's amount is not the board's price.", IGNORED)
def _other_amount(scene: Scene) -> Cases:
    amounts = (0, 1, 99, 101, -100, 10**9, 2**31, 2**63, 2**64, 10**400, 100.5, "100", "1e2", None, True, [100])
    for amount in amounts:
        yield f"{str(amount)[:12]!r}", _about(scene, amount_subtotal=amount, amount_total=amount)
    yield "less in all", _about(scene, amount_total=1)
    yield "more in all, no tax", _about(scene, amount_total=108)
    yield "less before tax", _about(scene, amount_subtotal=50)


@idea("other currency", "The session's amount is right, but in another currency.", IGNORED)
def _other_currency(scene: Scene) -> Cases:
    for currency in ("eur", "jpy", "USD", "usd ", "us", "usdt", "", "xxx", "u\u0455d", None, 840, ["usd"], {"usd": 1}):
        yield repr(currency), _about(scene, currency=currency)


@idea("other board", "The session has the tag of another board, or none.", IGNORED)
def _other_board(scene: Scene) -> Cases:
    tag = scene.victim["metadata"][BOARD]
    tags: Json = {"other": uuid.uuid4().hex, "half": tag[:16], "longer": f"{tag}0", "blank": f" {tag}", "empty": ""}
    wrong_types = {"null": None, "list": [tag], "number": 1}
    for name, value in (tags | wrong_types).items():
        yield name, _tagged(scene, **{BOARD: value})
    yield "no metadata", _about(scene, metadata=None)
    yield "metadata a list", _about(scene, metadata=[tag])
    yield "metadata a string", _about(scene, metadata=tag)
    yield "only the reference", _about(scene, metadata={}, client_reference_id=scene.victim["client_reference_id"])
    yield "tag under another name", _about(scene, metadata={"board": tag, **_without(scene, BOARD)})


def _without(scene: Scene, name: str) -> Json:
    return {key: value for key, value in scene.victim["metadata"].items() if key != name}


@idea("nobody's payment", "The tag is ours, but there is no such payment.", NOT_OURS_YET | IGNORED)
def _nobodys_payment(scene: Scene) -> Cases:
    id_ = scene.victim["metadata"][PAYMENT]
    unknown = {
        "another": str(uuid.uuid4()),
        "upper-case": id_.upper() + "X",
        "braces": f"{{{id_}}}",
        "blank": f" {id_}",
    }
    wild = {"per cent": "%", "underscores": "_" * 36, "star": "*", "quote": f"{id_}' OR '1'='1", "comment": f"{id_}--"}
    odd = {"empty": "", "a NUL": f"{id_}\0", "long": "0" * 10_000, "half": id_[:18], "two": f"{id_},{id_}"}
    wrong_types = {"null": None, "list": [id_], "object": {"id": id_}, "number": 1}
    for name, value in (unknown | wild | odd | wrong_types).items():
        yield name, _tagged(scene, **{PAYMENT: value})
    yield "under another name", _about(scene, metadata={"payment": id_, **_without(scene, PAYMENT)})


@idea("other mode", "The event is from live mode, or mixes both modes.", IGNORED)
def _other_mode(scene: Scene) -> Cases:
    values: tuple[Any, ...] = (True, "false", "true", None, 0, 1, [], "test")
    for value in values:
        yield repr(value), _about(scene, livemode=value)


@idea("event that was seen", "The event has the id of one that was handled, with new content.", IGNORED)
def _seen(scene: Scene) -> Cases:
    seen = scene.seen["id"]
    yield "about the victim", scene.genuine(completed(paid(scene.victim), event_id=seen))
    yield "as it was", scene.genuine(scene.seen)
    yield "expired now", scene.genuine(event("checkout.session.expired", scene.victim, event_id=seen))
    yield (
        "other type",
        scene.genuine(event("checkout.session.async_payment_succeeded", paid(scene.victim), event_id=seen)),
    )


@idea("members twice", "A member appears twice, so that two parsers might disagree; neither value is paid.", IGNORED)
def _twice(scene: Scene) -> Cases:
    text = json.dumps(completed(paid(scene.victim, amount_subtotal=1, amount_total=1)))
    yield "amount", _raw(scene, text.replace('"amount_total": 1', '"amount_total": 2, "amount_total": 3'))
    yield "currency", _raw(scene, text.replace('"currency": "usd"', '"currency": "usd", "currency": "eur"'))
    yield "type", _raw(scene, text.replace('"type": ', '"type": "customer.created", "type": '))
    yield "data", _raw(scene, text.replace('"data": ', '"data": null, "data": '))


@idea("huge content", "The signed event has the largest size allowed, or a larger one.", IGNORED | TURNED_AWAY)
def _huge(scene: Scene) -> Cases:
    harmless = completed({"id": "cus_1", "object": "customer"}) | {"type": "customer.created"}
    yield "a string of 1 MB", scene.genuine(harmless | {"filler": "x" * 1_000_000})
    yield "a string of 400 KB", scene.genuine(harmless | {"filler": "x" * 400_000})
    yield "20,000 members", scene.genuine(harmless | {f"m{number}": number for number in range(20_000)})
    yield "a number of 100,000 digits", _raw(scene, json.dumps(harmless)[:-1] + f', "n": {"9" * 100_000}}}')
    yield "an id of 100 KB", scene.genuine(harmless | {"id": "evt_" + "0" * 100_000})
    yield "a name of 100 KB", scene.genuine(harmless | {"n" * 100_000: 1})
    yield "400 KB of blanks", _raw(scene, json.dumps(harmless) + " " * 400_000)
    yield "escapes", _raw(scene, json.dumps(harmless)[:-1] + ', "e": "' + "\\u0041" * 60_000 + '"}')


@idea("money that did not move", "The event reports a refund or dispute that Stripe's API does not know.", NOT_OURS_YET)
def _money(scene: Scene) -> Cases:
    intent = scene.posted["payment_intent"]
    refund: Json = {"id": "re_1", "object": "refund", "status": "succeeded", "amount": 100, "payment_intent": intent}
    dispute: Json = {"id": "dp_1", "object": "dispute", "status": "lost", "amount": 100, "payment_intent": intent}
    charge: Json = {"id": "ch_1", "object": "charge", "refunded": True, "disputed": True, "payment_intent": intent}
    for kind in ("refund.created", "refund.updated", "refund.failed"):
        yield kind, scene.genuine(event(kind, refund))
    for kind in ("created", "updated", "funds_withdrawn", "funds_reinstated", "closed"):
        yield f"dispute {kind}", scene.genuine(event(f"charge.dispute.{kind}", dispute))
    yield "charge.refunded", scene.genuine(event("charge.refunded", charge))


@idea("an intent that is none", "A refund names an intent that does not exist, or that is a URL.", NOT_OURS_YET)
def _odd_intents(scene: Scene) -> Cases:
    intent = scene.posted["payment_intent"]
    named = (
        "pi_unknown",
        "",
        ".",
        "..",
        "../charges",
        f"{intent}/cancel",
        f"{intent}?expand[]=x",
        f"{intent}#",
        "%2e%2e",
    )
    more = (f" {intent}", f"{intent}\n", "pi_\0", "\u00e9", "http://127.0.0.1:1/", "x" * 10_000, None, 1, [intent])
    for value in (*named, *more):
        refund = {"id": "re_1", "object": "refund", "status": "succeeded", "payment_intent": value}
        yield repr(value)[:30], scene.genuine(event("refund.created", refund))


@idea(
    "an end before the last",
    "The event reports the end of another application's session, or of one that was paid before.",
    IGNORED | NOT_OURS_YET,
)
def _ends(scene: Scene) -> Cases:
    for kind in ("checkout.session.expired", "checkout.session.async_payment_failed"):
        yield f"{kind} of another session", scene.genuine(event(kind, {**scene.victim, "id": "cs_test_another"}))
        yield f"{kind} of what is posted", scene.genuine(event(kind, scene.posted))
        yield f"{kind} without a tag", scene.genuine(event(kind, {**scene.victim, "metadata": {}}))
