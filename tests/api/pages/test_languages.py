"""Documents in the reader's language: what is chosen by Accept-Language, and what stays as it was written."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from paidchat.pages.languages import words_in
from tests.support.board_client import http_client, post
from tests.support.documents import Element, opening_of, parse, shown
from tests.support.served import served_board

TOKEN = {"Authorization": "Bearer of-the-tests-0123456789"}
GERMAN = {"Accept-Language": "de-CH, de;q=0.9, en;q=0.8"}
TITLE = "Ink & <Co>"

pytestmark = pytest.mark.any_database


@pytest.fixture
async def client(tmp_path: Path, backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a board."""
    del backend
    settings = {"title": TITLE, "admin_token": TOKEN["Authorization"].removeprefix("Bearer "), "tiers": "1:0,5:300"}
    with served_board(tmp_path, None, **settings) as served:
        async with http_client(served) as http:
            yield http


def words(element: Element) -> Iterator[str]:
    """Yield what people read in a document: texts, labels and placeholders."""
    for name in ("aria-label", "placeholder"):
        if name in element.attributes:
            yield element.attributes[name]
    for child in element.children if element.name not in {"script", "style"} else []:
        if isinstance(child, Element):
            yield from words(child)
        elif child.strip():
            yield " ".join(child.split())


async def test_a_document_is_in_the_language_that_is_asked_for(client: httpx.AsyncClient) -> None:
    """Words, prices and days are in that language, and no English is left; messages stay as they were written."""
    message = await post(client, "Display name, Show it & <b>", amount=500)
    for path in ("/", "/?", f"/m/{message['id']}"):
        answer = await client.get(path, headers=GERMAN)
        assert answer.headers["content-language"] == "de"
        assert answer.headers["vary"] == "Accept-Language, Accept-Encoding"
        document = parse(answer.text)
        assert document.one("html").attributes["lang"] == "de"
        table = words_in("de")
        read = list(words(document))
        translated = set(table.values())
        assert [text for text in read if text in table and text not in translated] == []
        assert {"1 $ zahlen und senden", "Angezeigter Name", "Nachricht", "wird veröffentlicht…"} <= set(read)
        assert shown(document.one("ol", id="board"))[0] | {"price": None} == {
            **{name: message[name] for name in ("id", "text", "author", "posted_at")},
            "price": None,
            "link": f"/m/{message['id']}",
        }
        assert (
            document.one("p", id="promise").text.split()
            == (
                "Deine Nachricht ist öffentlich und bleibt hier. "
                f"Du zahlst an {TITLE} über Stripe; was nicht veröffentlicht werden kann, wird erstattet."
            ).split()
        )
        assert parse(answer.text).one("script", id="words")
        assert opening_of(document)["snapshot"]["messages"] == [message]


async def test_each_language_is_another_document(client: httpx.AsyncClient) -> None:
    """Its ETag names the language, so that nobody gets 304 for a document in another one; both are kept."""
    await post(client, "Hello")
    tags = {}
    for path in ("/", "/?", "/m/1"):
        for asked, language in ((GERMAN, "de"), ({"Accept-Language": "fr"}, "en"), ({}, "en")):
            answer = await client.get(path, headers=asked)
            assert answer.headers["content-language"] == language
            tags[path, language] = answer.headers["etag"]
            again = await client.get(path, headers={**asked, "If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.headers["etag"]) == (304, answer.headers["etag"])
        other = await client.get(path, headers={**GERMAN, "If-None-Match": tags[path, "en"]})
        assert other.status_code == 200
    assert tags["/", "de"] != tags["/", "en"]
    assert tags["/", "de"] == tags["/?", "de"]


async def test_english_documents_bring_no_table(client: httpx.AsyncClient) -> None:
    """The scripts have the English words already."""
    document = parse((await client.get("/")).text)
    assert document.one("html").attributes["lang"] == "en"
    assert list(document.all("script", id="words")) == []


async def test_what_is_not_there_is_said_in_the_language(client: httpx.AsyncClient) -> None:
    """Pages of unknown and removed messages are in the language, too."""
    message = await post(client, "Away")
    assert (await client.delete(f"/api/admin/messages/{message['id']}", headers=TOKEN)).status_code == 204
    for path, status, heading, why in (
        ("/m/999", 404, "Diese Nachricht gibt es nicht.", "Vielleicht ist ihre Adresse unvollständig."),
        ("/m/x", 404, "Diese Nachricht gibt es nicht.", "Vielleicht ist ihre Adresse unvollständig."),
        (
            f"/m/{message['id']}",
            410,
            "Diese Nachricht wurde von der Tafel genommen.",
            "Die Betreiber der Tafel haben sie heruntergenommen.",
        ),
    ):
        answer = await client.get(path, headers=GERMAN)
        document = parse(answer.text)
        assert (answer.status_code, answer.headers["content-language"]) == (status, "de")
        assert document.one("html").attributes["lang"] == "de"
        assert document.one("h1").text == heading
        assert why in set(words(document))
        assert "Die neuesten Nachrichten lesen" in set(words(document))
