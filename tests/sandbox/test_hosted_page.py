"""The hosted page, in a browser without scripts."""

from __future__ import annotations

import time
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.sandbox.conftest import Bench, Receiver


class Page(HTMLParser):
    """The content of a page: its inputs, links, alerts and text."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.inputs: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.tags: list[str] = []
        self.inline = 0
        self.text = ""
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element."""
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.inline += "style" in given or any(name.startswith("on") for name in given)
        self.inline += tag == "style" or (tag == "script" and "src" not in given)
        if tag == "input" and (given.get("type") != "radio" or "checked" in given):
            self.inputs[given["name"]] = given.get("value", "")
        if tag == "a":
            self.links[given.get("id", "")] = given["href"]

    def handle_data(self, data: str) -> None:
        """Record text."""
        self.text += " " + data.strip()


async def test_paying_redirects_to_the_success_url(bench: Bench, receiver: Receiver) -> None:
    """Submitting the unchanged form pays: 303 to the success URL with the session id filled in."""
    created = await bench.create()
    page = Page(await bench.http.get(f"/pay/{created.id}"))
    assert page.inputs == {"card": "4242 4242 4242 4242", "email": "buyer@example.com", "method": "card"}
    assert page.links["cancel"] == "http://board.example/?cancelled=p1"
    assert "A message" in page.text
    assert "$1.00" in page.text
    assert "No money moves here" in page.text
    answer = await bench.http.post(f"/pay/{created.id}", data=page.inputs | {"email": "ann@example.com"})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"http://board.example/?payment=p1&cs={created.id}"
    assert receiver.types() == ["checkout.session.completed"]
    session = await bench.session(created.id)
    assert session["customer_details"]["email"] == "ann@example.com"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"card": "4000 0000 0000 0002"}, "declined"),
        ({"card": "4000-0000-0000-9995"}, "insufficient funds"),
        ({"card": "4000000000000069"}, "expired"),
        ({"card": "4111 1111 1111 1111"}, "only test cards"),
        ({"card": "4242 4242 4242 4241"}, "card number is invalid"),
        ({"card": "<script>alert(1)</script>"}, "card number is invalid"),
        ({"email": "nobody"}, "e-mail"),
        ({"method": "gold"}, "Choose a payment method"),
    ],
)
async def test_what_goes_wrong_is_said_and_the_form_stays(
    bench: Bench, receiver: Receiver, fields: dict[str, str], words: str
) -> None:
    """A failed attempt shows the form again with the reason in an alert, escaped, and the session stays open."""
    created = await bench.create()
    answer = await bench.http.post(f"/pay/{created.id}", data={"card": "4242424242424242"} | fields)
    page = Page(answer)
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert words in page.text
    assert page.inputs["card"] == fields.get("card", "4242424242424242")
    assert "<script>alert" not in answer.text
    assert (await bench.session(created.id))["status"] == "open"
    assert receiver.arrivals == []
    paid = await bench.http.post(f"/pay/{created.id}", data={"card": "4242424242424242"})
    assert paid.status_code == 303


async def test_bank_debit(bench: Bench, receiver: Receiver) -> None:
    """Choosing bank debit completes the session unpaid and returns to the shop."""
    created = await bench.create()
    answer = await bench.http.post(f"/pay/{created.id}", data={"method": "bank_debit"})
    assert answer.status_code == 303
    assert receiver.wait_for("checkout.session.completed")[0].event["data"]["object"]["payment_status"] == "unpaid"


async def test_only_what_the_session_takes_is_offered(bench: Bench) -> None:
    """A session for cards only shows no bank debit and refuses one."""
    created = await bench.create(allowed_payment_method_types=["card"])
    assert created.payment_method_types == ["card"]
    assert "Bank debit" not in (await bench.http.get(f"/pay/{created.id}")).text
    answer = await bench.http.post(f"/pay/{created.id}", data={"method": "bank_debit"})
    assert answer.status_code == 200
    assert (await bench.session(created.id))["status"] == "open"


async def test_paying_twice_pays_once(bench: Bench, receiver: Receiver) -> None:
    """A second click also goes to the success URL, and there is one charge."""
    created = await bench.create()
    for _ in range(2):
        assert (await bench.http.post(f"/pay/{created.id}")).status_code == 303
    assert len((await bench.stripe.v1.charges.list_async()).data) == 1
    assert receiver.types() == ["checkout.session.completed"]


async def test_closed_sessions_show_the_way_back(bench: Bench) -> None:
    """Paid, processing and expired sessions show a page with a link back; unknown ones are 404."""
    for verbs, words, back in (
        ("pay", "already been paid", "payment=p1"),
        ("pay_later", "takes days", "payment=p1"),
        ("pay_later settle_fail", "refused the debit", "payment=p1"),
        ("expire", "expired", "cancelled=p1"),
    ):
        created = await bench.create()
        for verb in verbs.split():
            await bench.do(created.id, verb)
        answer = await bench.http.get(f"/pay/{created.id}")
        page = Page(answer)
        assert answer.status_code == 200
        assert words in page.text
        assert back in page.links["back"]
        assert "form" not in page.tags
    for method in ("GET", "POST"):
        assert (await bench.http.request(method, "/pay/cs_test_unknown")).status_code == 404


async def test_paying_an_expired_session(bench: Bench) -> None:
    """Submitting the form of a session that has expired meanwhile pays nothing and says so."""
    created = await bench.create()
    await bench.do(created.id, "expire")
    answer = await bench.http.post(f"/pay/{created.id}")
    assert "expired" in Page(answer).text
    assert (await bench.session(created.id))["payment_status"] == "unpaid"


async def test_hostile_names_are_text(bench: Bench) -> None:
    """A product's name, its description and the URLs are escaped; nothing on the page is inline."""
    name = "<img src=x onerror=alert(1)>\"'{total}"
    described = {"name": name, "description": "</small><script>alert(2)</script>"}
    line = {"price_data": {"currency": "usd", "unit_amount": 100, "product_data": described}}
    created = await bench.create(line_items=[line], cancel_url='http://board.example/"><script>')
    answer = await bench.http.get(f"/pay/{created.id}")
    page = Page(answer)
    assert "img" not in page.tags
    assert name in page.text
    assert described["description"] in page.text
    assert page.links["cancel"] == 'http://board.example/"><script>'
    assert page.inline == 0
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert "form-action" not in policy, "Chromium would block the redirect to the shop"


async def test_assets_are_served(bench: Bench) -> None:
    """The page's style and script are files of the sandbox."""
    for path, kind in (("checkout.css", "text/css"), ("pay.js", "text/javascript"), ("icon.svg", "image/svg")):
        answer = await bench.http.get(f"/static/{path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)


async def test_tax_is_shown_before_paying(bench: Bench) -> None:
    """With automatic tax the page shows subtotal, tax and total, and the button says the total."""
    await bench.http.put("/test/tax", json={"head_office": True, "rate_percent": 20})
    created = await bench.create(automatic_tax={"enabled": True})
    text = Page(await bench.http.get(f"/pay/{created.id}")).text
    assert "Tax $0.20" in text
    assert "Pay $1.20" in text
    assert (await bench.session(created.id))["amount_total"] == 100, "looking changes nothing"


async def test_a_delayed_delivery_does_not_hold_the_redirect(bench: Bench, receiver: Receiver) -> None:
    """With deliveries delayed or dropped the buyer is redirected at once, and a delayed one arrives later."""
    await bench.faults(webhook={"delay_s": 4})
    created = await bench.create()
    begun = time.monotonic()
    assert (await bench.http.post(f"/pay/{created.id}")).status_code == 303
    assert time.monotonic() - begun < 3.5
    assert receiver.arrivals == []
    arrival = receiver.wait_for("checkout.session.completed")[0]
    assert arrival.at - begun > 3.9
    await bench.faults(webhook={"drop": "all"})
    created = await bench.create()
    begun = time.monotonic()
    assert (await bench.http.post(f"/pay/{created.id}")).status_code == 303
    assert time.monotonic() - begun < 8


async def test_a_sandbox_that_runs_alone_has_its_icon(still_bench: Bench) -> None:
    """The icon that browsers request by default, and the one that the pages link, exist."""
    for path in ("/favicon.ico", "/static/icon.svg"):
        answer = await still_bench.http.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("image/")
