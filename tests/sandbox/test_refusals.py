"""Refusals: the API's error objects, as Stripe's SDK raises them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import stripe

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench

PRICE = "line_items[0][price_data]"
FORM = {
    "mode": "payment",
    "success_url": "http://board.example/",
    f"{PRICE}[currency]": "usd",
    f"{PRICE}[unit_amount]": "100",
    f"{PRICE}[product_data][name]": "A message",
}


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"mode": None}, "mode", "parameter_missing"),
        ({"mode": "gift"}, "mode", None),
        ({"mode": "subscription"}, "mode", None),
        ({"mode": ""}, "mode", "parameter_invalid_empty"),
        ({"ui_mode": "embedded_page"}, "ui_mode", None),
        ({"success_url": None}, "success_url", "parameter_missing"),
        ({"success_url": "board.example"}, "success_url", "url_invalid"),
        ({"success_url": "http://[oops"}, "success_url", "url_invalid"),
        ({"cancel_url": "javascript:alert(1)"}, "cancel_url", "url_invalid"),
        ({"colour": "red"}, "colour", "parameter_unknown"),
        ({"payment_method_types[0]": "card"}, "payment_method_types", "parameter_unknown"),
        ({f"{PRICE}[colour]": "red"}, f"{PRICE}[colour]", "parameter_unknown"),
        ({f"{PRICE}[unit_amount]": "1.5"}, f"{PRICE}[unit_amount]", "parameter_invalid_integer"),
        ({f"{PRICE}[unit_amount]": "-1"}, f"{PRICE}[unit_amount]", "parameter_invalid_integer"),
        ({f"{PRICE}[unit_amount]": "9" * 40}, f"{PRICE}[unit_amount]", "parameter_invalid_integer"),
        ({f"{PRICE}[unit_amount]": None}, f"{PRICE}[unit_amount]", "parameter_missing"),
        ({f"{PRICE}[unit_amount]": "49"}, "line_items", "amount_too_small"),
        ({f"{PRICE}[unit_amount]": "99999999", "line_items[0][quantity]": "2"}, "line_items", "amount_too_large"),
        ({f"{PRICE}[currency]": "xyz"}, f"{PRICE}[currency]", None),
        ({f"{PRICE}[currency]": "kwd", f"{PRICE}[unit_amount]": "1005"}, f"{PRICE}[unit_amount]", None),
        ({f"{PRICE}[currency]": "ugx", f"{PRICE}[unit_amount]": "550"}, f"{PRICE}[unit_amount]", None),
        ({f"{PRICE}[currency]": "huf"}, "line_items", "amount_too_small"),
        ({f"{PRICE}[product_data][name]": None}, f"{PRICE}[product_data]", "parameter_missing"),
        ({"line_items[0][quantity]": "0"}, "line_items[0][quantity]", "parameter_invalid_integer"),
        ({"client_reference_id": "x" * 201}, "client_reference_id", None),
        ({"metadata[k]": "x" * 501}, "metadata[k]", None),
        ({f"metadata[{'k' * 41}]": "x"}, "metadata", None),
        ({f"metadata[k{n}]": "x" for n in range(51)}, "metadata", None),
        ({"expires_at": str(int(time.time()) + 600)}, "expires_at", None),
        ({"expires_at": str(int(time.time()) + 25 * 3600)}, "expires_at", None),
        ({"expires_at": "soon"}, "expires_at", "parameter_invalid_integer"),
        ({"automatic_tax[enabled]": "yes"}, "automatic_tax[enabled]", None),
        ({"automatic_tax[enabled]": "true"}, "automatic_tax", "stripe_tax_inactive"),
        ({"discounts[0][coupon]": "half"}, "discounts", None),
        ({"allowed_payment_method_types[0]": "klarna"}, "allowed_payment_method_types", None),
        ({"expand[0]": "customer"}, "expand[0]", None),
        ({"mode": None, "mode[x]": "payment"}, "mode", None),
    ],
)
async def test_parameters_are_checked_as_stripe_does(
    still_bench: Bench, changes: dict[str, str | None], param: str, code: str | None
) -> None:
    """A session with one wrong parameter is refused with 400, which names the parameter, and nothing is stored."""
    form = {name: value for name, value in {**FORM, **changes}.items() if value is not None}
    answer = await still_bench.raw("POST", "/checkout/sessions", data=form)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["type"], error["param"], error.get("code")) == ("invalid_request_error", param, code)
    assert error["message"]
    assert answer.headers["request-id"].startswith("req_")
    assert (await still_bench.ledger())["sessions"] == []


async def test_limits_are_inclusive(bench: Bench) -> None:
    """The longest reference, metadata and lifetime that Stripe allows are accepted."""
    created = await bench.create(
        client_reference_id="x" * 200,
        metadata={f"{n:02}" + "k" * 38: "v" * 500 for n in range(50)},
        expires_at=int(time.time()) + 24 * 3600,
    )
    assert created.metadata is not None
    assert len(created.metadata.to_dict()) == 50
    await bench.create(expires_at=int(time.time()) + 30 * 60)


async def test_the_sdk_raises_its_own_errors(still_bench: Bench) -> None:
    """Stripe's SDK turns the error objects into its exceptions, with code, param and request id."""
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await still_bench.create(line_items=None)
    assert (refused.value.code, refused.value.param, refused.value.http_status) == (
        "parameter_missing",
        "line_items",
        400,
    )
    assert str(refused.value.request_id).startswith("req_")
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        await still_bench.stripe.v1.payment_intents.retrieve_async("pi_unknown")
    assert (unknown.value.code, unknown.value.http_status) == ("resource_missing", 404)


@pytest.mark.parametrize(
    ("authorization", "words"),
    [
        ({}, "did not provide"),
        ({"Authorization": "Basic c2s6"}, "did not provide"),
        ({"Authorization": "Bearer pk_test_x"}, "Invalid API Key"),
        ({"Authorization": "Bearer sk_test_"}, "Invalid API Key"),
        ({"Authorization": "Bearer sk_live_abc"}, "live key"),
        ({"Authorization": "Bearer rk_live_abc"}, "live key"),
    ],
)
async def test_only_test_keys_are_taken(still_bench: Bench, authorization: dict[str, str], words: str) -> None:
    """A call without a test key is 401 with Stripe's error object, and the key is not echoed."""
    answer = await still_bench.http.get("/v1/account", headers=authorization)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert words in answer.json()["error"]["message"]
    assert "abc" not in answer.text


async def test_restricted_test_keys_work(still_bench: Bench) -> None:
    """A restricted test key works like a secret one."""
    answer = await still_bench.http.get("/v1/account", headers={"Authorization": "Bearer rk_test_x"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nowhere"),
        ("DELETE", "/checkout/sessions"),
        ("POST", "/account"),
        ("GET", "/checkout/sessions/x/y/z"),
    ],
)
async def test_unknown_urls(still_bench: Bench, method: str, path: str) -> None:
    """An unknown URL of the API is 404 with an error object that names it."""
    answer = await still_bench.raw(method, path)
    assert answer.status_code == 404
    assert f"{method}: /v1{path}" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"mode=payment&mode[x]=1",
        b"mode[=payment",
        b"[]=1",
        b"a" + b"[b]" * 40 + b"=1",
        b"mode=%ff",
        b"mode=\xff",
        b"&".join(b"k%d=1" % n for n in range(1500)),
    ],
)
async def test_unreadable_forms(still_bench: Bench, body: bytes) -> None:
    """A body that is not a valid form is 400, never a 5xx."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await still_bench.raw("POST", "/checkout/sessions", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_json_bodies_are_refused(still_bench: Bench) -> None:
    """The API takes forms, and says so in response to JSON."""
    answer = await still_bench.raw("POST", "/checkout/sessions", json={"mode": "payment"})
    assert answer.status_code == 400
    assert "form" in answer.json()["error"]["message"]


async def test_versions(still_bench: Bench) -> None:
    """The version in a call is returned; an invalid version is refused."""
    answer = await still_bench.raw("GET", "/account", headers={"Stripe-Version": "2025-03-31.basil"})
    assert answer.headers["stripe-version"] == "2025-03-31.basil"
    assert (await still_bench.raw("GET", "/account")).headers["stripe-version"] == "2026-10-28.endive"
    answer = await still_bench.raw("GET", "/account", headers={"Stripe-Version": "yesterday"})
    assert answer.status_code == 400
