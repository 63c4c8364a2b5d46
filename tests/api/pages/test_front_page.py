"""GET /: the board as people, crawlers and the page's script get it."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.board_client import http_client, post
from tests.support.documents import Element, opening_of, parse, shown
from tests.support.following import following, untimed
from tests.support.served import Served, served_board
from tests.support.shapes import Json

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "a \u2028 and \u2029, then & &amp; \"both\" 'quotes'",
    "{{ 7 * 7 }} {% raw %}",
    "two\nlines,  and   spaces",
    "مرحبا",
]


@pytest.fixture
async def tiered(tmp_path: Path, backend: str) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    """A board with tiers, taxed, and a client of it."""
    del backend
    with served_board(tmp_path, tiers="1:0,5:300,20:600", title='Board of <Ink> & "Co"') as served:
        async with http_client(served) as client:
            yield served, client


async def opened(client: httpx.AsyncClient, path: str = "/") -> Element:
    """Return a document, after checking that nothing in it runs or is styled inline."""
    answer = await client.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    document = parse(answer.text)
    scripts = [script.attributes for script in document.all("script") if "src" not in script.attributes]
    assert scripts == [{"type": "application/json", "id": "opening"}]
    assert not list(document.all("style"))
    assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", answer.text)
    return document


def as_drawn(message: Json, price: str) -> Json:
    """Return how a message of the API is drawn."""
    return {
        **{name: message[name] for name in ("id", "text", "author", "posted_at")},
        "price": price,
        "link": f"/m/{message['id']}",
    }


async def test_the_board_is_in_the_document(tiered: tuple[Served, httpx.AsyncClient]) -> None:
    """The newest messages, what is pinned, title, price and button are in the document, whatever is written."""
    _, client = tiered
    posted = [await post(client, text, author="<b>Ann</b>") for text in HOSTILE]
    anonymous = await post(client, "Pinned <a>", amount=500)
    highest = await post(client, "On top", amount=2000)
    document = await opened(client)
    drawn = [as_drawn(message, "$1") for message in posted]
    drawn += [as_drawn(anonymous, "$5"), as_drawn(highest, "$20")]
    assert shown(document.one("ol", id="board")) == drawn
    pins = [
        (pin.attributes["data-weight"], pin.one("a").attributes["href"], pin.one("span", class_="amount").text)
        for pin in document.one("ol", id="pins").all("li")
    ]
    assert pins == [("2", drawn[-1]["link"], "$20"), ("1", drawn[-2]["link"], "$5")]
    rows = [row for row in document.all("li", class_="message") if "id" in row.attributes]
    assert [row.attributes["id"] for row in rows] == [f"m{row['id']}" for row in drawn]
    assert [row.attributes["data-weight"] for row in rows] == ["0"] * len(posted) + ["1", "2"]
    assert all("hidden" not in row.one("span", class_="amount").attributes for row in rows)
    assert document.one("title").text == document.one("h1").text == 'Board of <Ink> & "Co"'
    assert document.one("button", id="pay").text == "Pay $1 and send"
    time = document.one("ol", id="board").one("li", id=f"m{highest['id']}").one("time")
    assert re.fullmatch(r"\d\d:\d\d UTC", time.text)
    days = [item.text for item in document.one("ol", id="board").all("li", class_="day")]
    assert days
    assert all(re.fullmatch(r"[A-Z][a-z]{2} \d{1,2}, \d{4}", day) for day in days)
    assert "hidden" in document.one("div", id="placeholder").attributes


async def test_the_script_goes_on_from_the_opening(tiered: tuple[Served, httpx.AsyncClient]) -> None:
    """The opening is the board's settings and a snapshot as the feed sends it, and the feed resumes from there."""
    served, client = tiered
    for text in HOSTILE:
        await post(client, text, author="<!--", amount=500)
    opening = opening_of(await opened(client))
    async with following(served) as follower:
        assert list(opening) == ["board", "snapshot"]
        assert opening["board"] == (await client.get("/api/board")).json()
        assert untimed(opening["snapshot"]) == untimed(follower.first)
        assert list(opening["snapshot"]) == list(follower.first)
    cursor = {"after": opening["snapshot"]["seq"], "epoch": opening["snapshot"]["epoch"]}
    missed = await post(client, "Posted since")
    async with following(served, **cursor) as follower:
        assert follower.first["type"] == "resumed"
        assert (await follower.receive_entry())["message"] == missed


async def test_an_empty_board_invites(tmp_path: Path, backend: str) -> None:
    """Without messages the document says what a message costs, in the board's currency and with the tax."""
    del backend
    with served_board(tmp_path, price_amount=500, price_currency="jpy", automatic_tax="exclusive") as served:
        async with http_client(served) as client:
            document = await opened(client)
    placeholder = document.one("div", id="placeholder")
    assert "hidden" not in placeholder.attributes
    assert "¥500 puts your words on the board" in placeholder.text
    assert "¥500" in document.one("p", id="tagline").text
    assert document.one("button", id="pay").text == "Pay ¥500 and send + tax"
    assert opening_of(document)["snapshot"]["messages"] == []


async def test_no_text_can_end_the_opening(tiered: tuple[Served, httpx.AsyncClient]) -> None:
    """The opening has no character of markup in it, nor a line end that JavaScript knows and JSON doesn't."""
    _, client = tiered
    for text in HOSTILE:
        await post(client, text)
    html = (await client.get("/")).text
    [data] = re.findall(r'<script type="application/json" id="opening">(.*?)</script>', html, re.DOTALL)
    assert not set("<>&\u2028\u2029") & set(data)
    assert [message["text"] for message in json.loads(data)["snapshot"]["messages"]] == HOSTILE
