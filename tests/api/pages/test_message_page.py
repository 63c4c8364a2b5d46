"""GET /m/{id}: the board, opened at a message, for readers and for sites that show what a link leads to."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.board_client import act, http_client, post, start, until_status
from tests.support.documents import Element, opening_of, parse, shown
from tests.support.rows import opened, write_messages
from tests.support.served import Served, served_board
from tests.support.shapes import Json

TOKEN = {"Authorization": "Bearer of-the-tests-0123456789"}


@pytest.fixture
async def stage(tmp_path: Path, backend: str) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    """A board, and a client of it."""
    del backend
    settings = {"title": "Ink & Co", "admin_token": TOKEN["Authorization"].removeprefix("Bearer ")}
    with served_board(tmp_path, None, **settings) as served:
        async with http_client(served) as client:
            yield served, client


def meta(document: Element) -> dict[str, str]:
    """Return what a document says about itself to other sites."""
    found = {}
    for element in document.one("head").all("meta"):
        name = element.attributes.get("property") or element.attributes.get("name") or ""
        if name.startswith(("og:", "twitter:", "article:")) or name in {"description", "robots"}:
            assert name not in found, name
            found[name] = element.attributes["content"]
    return found


async def test_a_message_says_what_it_is_to_other_sites(stage: tuple[Served, httpx.AsyncClient]) -> None:
    """Title, description, canonical address, Open Graph and Twitter tags are the message's, from the public address."""
    served, client = stage
    text = 'Said "so" & <b>so</b>\n' + "word " * 60
    message = await post(client, text.strip(), author="Ann & <i>")
    path = f"/m/{message['id']}"
    address = f"{served.settings.public_url}{path}"
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    answer = await client.get(path, headers=evil)
    assert answer.status_code == 200
    document = parse(answer.text)
    tags = meta(document)
    assert tags["og:title"] == tags["twitter:title"] == "Ann & <i> on Ink & Co"
    assert document.one("title").text.startswith('Said "so" & <b>so</b> word word')
    assert document.one("title").text.endswith("… · Ink & Co")
    assert tags["description"].startswith('Said "so" & <b>so</b> word')
    assert 150 < len(tags["description"]) <= 200
    assert tags["description"] == tags["og:description"] == tags["twitter:description"] == tags["og:image:alt"]
    assert document.one("link", rel="canonical").attributes["href"] == tags["og:url"] == address
    assert tags["og:image"] == tags["twitter:image"] == f"{address}.png"
    assert (tags["og:image:width"], tags["og:image:height"]) == ("1200", "630")
    assert (tags["og:type"], tags["twitter:card"]) == ("article", "summary_large_image")
    assert tags["article:published_time"] == message["posted_at"]
    front = parse((await client.get("/", headers=evil)).text)
    assert (
        meta(front)["og:url"]
        == front.one("link", rel="canonical").attributes["href"]
        == f"{served.settings.public_url}/"
    )
    assert meta(front)["og:title"] == "Ink & Co"
    assert meta(front)["og:image"] == f"{served.settings.public_url}/board.png"
    assert front.one("link", rel="alternate").attributes["href"] == "/feed.atom"


async def test_it_opens_at_the_message(stage: tuple[Served, httpx.AsyncClient]) -> None:
    """The document has the message, marked, with its neighbours and the newest ones; the opening has them as pages."""
    served, client = stage
    async with opened(served.settings.database_url) as database:
        await write_messages(database, 130, "Number {}")
    everyone = await all_messages(client)
    ids = [message["id"] for message in everyone]
    for place, history, gaps in ((20, True, 1), (60, True, 0), (100, False, 0), (0, True, 1), (129, False, 0)):
        target = ids[place]
        document = parse((await client.get(f"/m/{target}")).text)
        board = document.one("ol", id="board")
        rows = [row["id"] for row in shown(board)]
        nearby = set(ids[max(0, place - 24) : place + 26]) if history else set()
        assert rows == sorted(nearby | set(ids[-50:])), place
        marked = [item.attributes["id"] for item in board.all("li", class_="target")]
        assert marked == [f"m{target}"]
        assert len(list(board.all("li", class_="gap"))) == gaps, place
        opening = opening_of(document)
        assert opening["target"] == target
        assert [message["id"] for message in opening["snapshot"]["messages"]] == ids[-50:]
        assert ("history" in opening) == history
        for page in opening.get("history", []):
            read = await client.get("/api/messages", params={**page["place"], "limit": 25})
            assert page["page"] == read.json()


async def all_messages(client: httpx.AsyncClient) -> list[Json]:
    """Read the whole board."""
    found: list[Json] = []
    has_more = True
    while has_more:
        last = found[-1]["id"] if found else 0
        page = (await client.get("/api/messages", params={"after": last, "limit": 100})).json()
        found += page["messages"]
        has_more = page["has_more"]
    return found


async def test_what_is_missing_leads_on(stage: tuple[Served, httpx.AsyncClient]) -> None:
    """Unknown and removed messages are pages of 404 and 410, never stored, without the text, and lead to the board.

    HEAD says the same. A message that is restored is there again.
    """
    _, client = stage
    removed = await post(client, "Removed by hand")
    payment = await start(client, "Refunded by Stripe")
    await act(client, payment, "pay")
    refunded = (await until_status(client, payment["id"], "fulfilled"))["message_id"]
    pages = {removed["id"]: "took it down", refunded: "was refunded"}
    for message_id in pages:
        assert (await client.get(f"/m/{message_id}")).status_code == 200
    assert (await client.delete(f"/api/admin/messages/{removed['id']}", headers=TOKEN)).status_code == 204
    await act(client, payment, "refund")
    await until_status(client, payment["id"], "refunded")
    asked = {f"/m/{message_id}": (410, why) for message_id, why in pages.items()}
    unknown = (
        "999999",
        "2147483648",
        "999999999999999999",
        "9" * 19,
        "0",
        "01",
        "-1",
        "1x",
        "%31%32%00",
        "%D9%A1",
        "1.5",
    )
    asked |= {f"/m/{name}": (404, "no such message") for name in unknown}
    for path, (status, why) in asked.items():
        answer = await client.get(path)
        head = await client.head(path)
        assert (answer.status_code, head.status_code, head.content) == (status, status, b""), path
        for each in (answer, head):
            assert (each.headers["cache-control"], each.headers.get("etag")) == ("no-store", None)
            assert each.headers["content-type"] == "text/html; charset=utf-8"
        document = parse(answer.text)
        assert why in document.one("main").text
        assert "by hand" not in answer.text
        assert "by Stripe" not in answer.text
        assert meta(document) == {"robots": "noindex"}
        assert "/" in {link.attributes["href"] for link in document.one("main").all("a")}
    restored = await client.post(f"/api/admin/messages/{removed['id']}/restore", headers=TOKEN)
    assert restored.status_code == 200
    assert "Removed by hand" in (await client.get(f"/m/{removed['id']}")).text
