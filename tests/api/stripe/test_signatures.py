"""Stripe-Signature: anything that Stripe did not sign just now is 400 and posts nothing, in whatever form."""

import json
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import httpx
import pytest
import stripe

from tests.support.board_client import http_client, look_up, start, stripe_session
from tests.support.served import SECRET, Served, served_board
from tests.support.shapes import Json
from tests.support.webhooks import completed, deliver, digest, paid, signature

pytestmark = pytest.mark.any_database

OTHER = "whsec_of_somebody_else"
Header = Callable[[bytes, int], str]


class Case(NamedTuple):
    """A way to make a header for a body at a given time."""

    name: str
    header: Header


def v1(payload: bytes, stamp: int | str, secret: str = SECRET) -> str:
    """Return one v1 element."""
    return f"v1={digest(payload, secret, stamp)}"


def by_the_library(body: bytes, now: int) -> str:
    """Return a header made by Stripe's own library."""
    made: str = stripe.WebhookSignature.generate_signature_header(body.decode(), SECRET, now)
    return made


VALID = [
    Case("as Stripe writes it", lambda body, now: f"t={now},{v1(body, now)}"),
    Case("as its library writes it", by_the_library),
    Case("almost five minutes old", lambda body, now: f"t={now - 297},{v1(body, now - 297)}"),
    Case("a clock almost five minutes ahead", lambda body, now: f"t={now + 299},{v1(body, now + 299)}"),
    Case("elements the other way round", lambda body, now: f"{v1(body, now)},t={now}"),
    Case("with the old scheme beside it", lambda body, now: f"t={now},{v1(body, now)},v0={'0' * 64}"),
    Case("with an unknown scheme before it", lambda body, now: f"t={now},v9=abc,{v1(body, now)}"),
    Case("a rotated secret's signature first", lambda body, now: f"t={now},{v1(body, now, OTHER)},{v1(body, now)}"),
    Case("a rotated secret's signature last", lambda body, now: f"t={now},{v1(body, now)},{v1(body, now, OTHER)}"),
]

INVALID = [
    Case("empty", lambda _body, _now: ""),
    Case("no meaning", lambda _body, _now: "hello"),
    Case("only commas", lambda _body, _now: ",,,,"),
    Case("only equals signs", lambda _body, _now: "====,=="),
    Case("five minutes and more old", lambda body, now: f"t={now - 301},{v1(body, now - 301)}"),
    Case("a year old", lambda body, now: f"t={now - 31536000},{v1(body, now - 31536000)}"),
    Case("five minutes and more ahead", lambda body, now: f"t={now + 304},{v1(body, now + 304)}"),
    Case("a year ahead", lambda body, now: f"t={now + 31536000},{v1(body, now + 31536000)}"),
    Case("in milliseconds", lambda body, now: f"t={now * 1000},{v1(body, now * 1000)}"),
    Case("with another secret", lambda body, now: f"t={now},{v1(body, now, OTHER)}"),
    Case("with an empty secret", lambda body, now: f"t={now},{v1(body, now, '')}"),
    Case("over another body", lambda body, now: f"t={now},{v1(body + b' ', now)}"),
    Case("over another time", lambda body, now: f"t={now},{v1(body, now - 1)}"),
    Case("a time moved up", lambda body, now: f"t={now},{v1(body, now - 400)}"),
    Case("no time", v1),
    Case("an empty time", lambda body, _now: f"t=,{v1(body, '')}"),
    Case("a time of words", lambda body, _now: f"t=now,{v1(body, 'now')}"),
    Case("a negative time", lambda body, now: f"t=-{now},{v1(body, -now)}"),
    Case("a time with a sign", lambda body, now: f"t=+{now},{v1(body, f'+{now}')}"),
    Case("a time with a fraction", lambda body, now: f"t={now}.0,{v1(body, f'{now}.0')}"),
    Case("a time with an exponent", lambda body, _now: f"t=1e9,{v1(body, '1e9')}"),
    Case("a time with underscores", lambda body, now: f"t={now:_},{v1(body, f'{now:_}')}"),
    Case("a time in hexadecimal", lambda body, now: f"t={now:#x},{v1(body, f'{now:#x}')}"),
    Case("a time that is not a number", lambda body, _now: f"t=nan,{v1(body, 'nan')}"),
    Case("a time without end", lambda body, _now: f"t={'9' * 5000},{v1(body, '9' * 5000)}"),
    Case("two times, the second signed", lambda body, now: f"t={now - 900},t={now},{v1(body, now)}"),
    Case("two times, the first signed", lambda body, now: f"t={now},t={now - 900},{v1(body, now - 900)}"),
    Case("no signature", lambda _body, now: f"t={now}"),
    Case("an empty signature", lambda _body, now: f"t={now},v1="),
    Case("the old scheme alone", lambda body, now: f"t={now},v0={digest(body, SECRET, now)}"),
    Case("a scheme in capitals", lambda body, now: f"t={now},V1={digest(body, SECRET, now)}"),
    Case("a signature in capitals", lambda body, now: f"t={now},v1={digest(body, SECRET, now).upper()}"),
    Case("a signature cut short", lambda body, now: f"t={now},{v1(body, now)[:-1]}"),
    Case("a signature with more behind it", lambda body, now: f"t={now},{v1(body, now)}0"),
    Case("the beginning of a signature", lambda body, now: f"t={now},{v1(body, now)[:11]}"),
    Case("letters beyond ASCII in the signature", lambda _body, now: f"t={now},v1=\u00e9\u00ff"),
    Case("letters beyond ASCII in the time", lambda body, now: f"t=\u00b2{now},{v1(body, now)}"),
    Case("letters beyond ASCII all over", lambda _body, _now: "\u00e9=\u00e9,\u00ff"),
    Case("separated by semicolons", lambda body, now: f"t={now};{v1(body, now)}"),
    Case("as JSON", lambda body, now: json.dumps({"t": now, "v1": digest(body, SECRET, now)})),
    Case("very many signatures", lambda _body, now: f"t={now}" + f",v1={'0' * 64}" * 100),
]


async def paid_event(client: httpx.AsyncClient) -> tuple[str, Json]:
    """Start a payment; return its id and the event that would post it."""
    payment = await start(client)
    return payment["id"], completed(paid(await stripe_session(client, payment)))


@pytest.mark.parametrize("case", VALID, ids=[case.name for case in VALID])
async def test_what_stripe_signed_is_taken(client: httpx.AsyncClient, case: Case) -> None:
    """A signature over these bytes with our secret, made in the last five minutes, is accepted."""
    payment_id, sent = await paid_event(client)
    body = json.dumps(sent).encode()
    answer = await deliver(client, body, case.header(body, int(time.time())))
    assert answer.status_code == 200, answer.text
    assert (await look_up(client, payment_id))["status"] == "fulfilled"


async def test_what_stripe_did_not_sign_is_refused(client: httpx.AsyncClient) -> None:
    """Every other header is 400 `invalid_signature`, is never echoed, and posts nothing."""
    payment_id, sent = await paid_event(client)
    body = json.dumps(sent).encode()
    for case in INVALID:
        header = case.header(body, int(time.time()))
        answer = await deliver(client, body, header)
        assert answer.status_code == 400, case.name
        assert answer.headers["content-type"] == "application/problem+json", case.name
        assert answer.json()["code"] == "invalid_signature", case.name
        assert len(header) < 3 or header not in answer.text, case.name
    assert (await look_up(client, payment_id))["status"] == "pending"


async def test_without_a_header_it_is_refused(client: httpx.AsyncClient) -> None:
    """A body without any signature is 400 too."""
    answer = await client.post("/stripe/webhook", json={})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{}", b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 50_000, b"NaN", b"0" * 200_000]
)
async def test_the_signature_comes_before_the_body(client: httpx.AsyncClient, body: bytes) -> None:
    """Whatever the body is, without a signature it is 400 before it is parsed."""
    for header in ("", "t=1,v1=00", f"t={int(time.time())},v1={'0' * 64}", "\u00e9"):
        assert (await deliver(client, body, header)).status_code == 400


async def test_every_changed_byte_breaks_the_signature(client: httpx.AsyncClient) -> None:
    """A body with any one byte changed is 400."""
    payment_id, sent = await paid_event(client)
    body = json.dumps(sent).encode()
    header = signature(body)
    for position in range(0, len(body), len(body) // 100):
        changed = bytearray(body)
        changed[position] ^= 1
        assert (await deliver(client, bytes(changed), header)).status_code == 400
    for changed_length in (body[:-1], body + b"\n", b" " + body, body + body):
        assert (await deliver(client, changed_length, header)).status_code == 400
    assert (await look_up(client, payment_id))["status"] == "pending"


@pytest.fixture(scope="module")
def rotating(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board in the middle of a rotation: the old secret is valid beside the new one."""
    secrets = f"whsec_new_one,{SECRET}"
    with served_board(tmp_path_factory.mktemp(backend), stripe_webhook_secrets=secrets) as served:
        yield served


@pytest.mark.parametrize("secret", ["whsec_new_one", SECRET])
async def test_each_of_several_secrets_counts(rotating: Served, secret: str) -> None:
    """While secrets are rotated, signatures of either one are accepted."""
    async with http_client(rotating) as client:
        payment_id, sent = await paid_event(client)
        body = json.dumps(sent).encode()
        assert (await deliver(client, body, signature(body, secret))).status_code == 200
        assert (await look_up(client, payment_id))["status"] == "fulfilled"


async def test_a_secret_that_is_no_more_does_not_count(rotating: Served) -> None:
    """A signature with a secret that is not configured, or with all of them joined, is 400."""
    async with http_client(rotating) as client:
        payment_id, sent = await paid_event(client)
        body = json.dumps(sent).encode()
        for secret in (OTHER, f"whsec_new_one,{SECRET}", ""):
            assert (await deliver(client, body, signature(body, secret))).status_code == 400
        assert (await look_up(client, payment_id))["status"] == "pending"
