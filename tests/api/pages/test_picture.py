"""/m/{id}.png and /board.png: the pictures of link previews, drawn one at a time, only of what is on the board."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image, features

from paidchat.pages import gallery
from paidchat.pages.layout import SIZES, fit
from paidchat.pages.picture import Artist, Card, Sign
from tests.support.board_client import http_client, post
from tests.support.following import following
from tests.support.rows import opened, write_messages
from tests.support.served import Served, served_board

TOKEN = "token-of-the-administration"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
SHOWN = ["Hello", "Grüße, žluťoučký", "Привет", "Γειά", "שלום", "مرحبا", "Բարեւ", "გამარჯობა", "a\u200db ❤️ ₹ →", "ẹ́"]
NOT_SHOWN = ["漢字", "नमस्ते", "한글", "สวัสดี", "👨\u200d👩\u200d👧", "🇫🇷", "👍🏽", "🫨"]
NO_GLYPHS = "漢字 and 👩‍👩‍👧"


@pytest.fixture
def served(tmp_path: Path, backend: str) -> Iterator[Served]:
    """A board with tiers."""
    del backend
    with served_board(tmp_path, tiers="1:0,5:300,20:1800", admin_token=TOKEN) as board:
        yield board


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that board."""
    async with http_client(served) as http:
        yield http


def pixels(answer: httpx.Response) -> Image.Image:
    """Return a response's picture, after checking its headers."""
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    with Image.open(BytesIO(answer.content)) as image:
        assert image.format == "PNG"
        assert image.size == (1200, 630)
        return image.convert("RGB")


async def test_a_message_has_a_picture(client: httpx.AsyncClient) -> None:
    """Each message has a picture of its own, which is revalidated; HEAD has its headers and draws nothing."""
    path = f"/m/{(await post(client, 'Hello, world!', author='Ada'))['id']}.png"
    head = await client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert "content-length" not in head.headers  # nothing was drawn
    first = await client.get(path)
    pixels(first)
    assert first.headers["cache-control"] == "no-cache"
    assert {name: first.headers[name] for name in ("etag", "cache-control", "content-type")} == {
        name: head.headers[name] for name in ("etag", "cache-control", "content-type")
    }
    assert (await client.head(path)).headers["content-length"] == str(len(first.content))
    assert (await client.get(path)).content == first.content
    unchanged = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["cross-origin-resource-policy"] == "cross-origin"
    others = [await post(client, "Another"), await post(client, "Hello, world!", author="Ada", amount=2000)]
    for other in others:
        answer = await client.get(f"/m/{other['id']}.png", headers={"If-None-Match": first.headers["etag"]})
        assert pixels(answer).tobytes() != pixels(first).tobytes()


async def test_only_what_is_on_the_board(client: httpx.AsyncClient) -> None:
    """A removed message's picture is 410 whoever has seen it, without a word of it; unknown ones are 404."""
    message = await post(client, "Goes and comes back")
    path = f"/m/{message['id']}.png"
    seen = await client.get(path)
    await client.delete(f"/api/admin/messages/{message['id']}", headers=AUTHORIZED)
    for headers in ({}, {"If-None-Match": seen.headers["etag"]}, {"If-None-Match": "*"}):
        for method in ("GET", "HEAD"):
            gone = await client.request(method, path, headers=headers)
            assert gone.status_code == 410
            assert gone.headers["cache-control"] == "no-store"
            assert "etag" not in gone.headers
            assert "Goes" not in gone.text
    assert (await client.get(path)).json()["reason"] == "moderated"
    await client.post(f"/api/admin/messages/{message['id']}/restore", headers=AUTHORIZED)
    assert (await client.get(path, headers={"If-None-Match": seen.headers["etag"]})).status_code == 304
    for unknown in ("999999", "9" * 18, "9" * 19, "0", f"0{message['id']}", "+1", "%D9%A1", "1.5", "x", " "):
        answer = await client.get(f"/m/{unknown}.png")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), unknown


async def test_without_letters_it_is_the_boards(client: httpx.AsyncClient) -> None:
    """A message whose script the fonts lack has the board's picture, under its ETag; so has the board itself."""
    board = await client.get("/board.png")
    pixels(board)
    for text, author in ((NO_GLYPHS, "Ada"), ("Hello", NO_GLYPHS)):
        path = f"/m/{(await post(client, text, author=author))['id']}.png"
        answer = await client.get(path)
        assert (answer.content, answer.headers["etag"]) == (board.content, board.headers["etag"])
        assert answer.headers["cache-control"] == "no-cache"
        assert (await client.head(path)).headers["etag"] == board.headers["etag"]
    head = await client.head("/board.png")
    assert (head.headers["etag"], head.headers["content-length"]) == (board.headers["etag"], str(len(board.content)))


async def test_too_many_at_once(served: Served, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is drawn at a time; those beyond the queue are the board's, not to be kept; the loop goes on meanwhile."""
    drawing, most, gate, draw = 0, 0, threading.Event(), Artist.draw

    def slowly(artist: Artist, subject: Card | Sign) -> bytes:
        nonlocal drawing, most
        drawing += 1
        most = max(most, drawing)
        if isinstance(subject, Card):
            gate.wait(10)
        body = draw(artist, subject)
        drawing -= 1
        return body

    monkeypatch.setattr(Artist, "draw", slowly)
    async with opened(served.settings.database_url) as database, following(served) as follower:
        ids = [(await write_messages(database, 1, f"Number {number}"))[0] for number in range(gallery.MOST_WAITING + 4)]
        await follower.receive_all(len(ids))
    board = await client.get("/board.png")
    asked = [asyncio.create_task(client.get(f"/m/{id_}.png")) for id_ in (*ids, ids[0])]
    done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    assert (await client.get("/healthz")).status_code == 200
    gate.set()
    answers = await asyncio.gather(*asked)
    busy = [answer for answer in answers if answer.headers["cache-control"] == "no-store"]
    assert len(done) <= len(busy) <= 4 < len(waiting)
    assert {answer.content for answer in busy} == {board.content}
    assert {answer.headers["etag"] for answer in busy} == {board.headers["etag"]}
    assert answers[0].content == answers[-1].content
    assert most == 1
    for id_ in ids:  # afterwards everyone's can be drawn
        assert (await client.get(f"/m/{id_}.png")).headers["cache-control"] == "no-cache"


async def test_removed_while_it_is_drawn(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is removed between the question and the picture is 410."""
    begun, gate, draw = threading.Event(), threading.Event(), Artist.draw

    def slowly(artist: Artist, subject: Card | Sign) -> bytes:
        begun.set()
        gate.wait(10)
        return draw(artist, subject)

    monkeypatch.setattr(Artist, "draw", slowly)
    message = await post(client, "Goes")
    asked = asyncio.create_task(client.get(f"/m/{message['id']}.png"))
    await asyncio.to_thread(begun.wait, 10)
    await client.delete(f"/api/admin/messages/{message['id']}", headers=AUTHORIZED)
    gate.set()
    assert (await asked).status_code == 410


def glyphs(text: str, size: int) -> float:
    """Measure a text in a font whose letters are half as wide as high."""
    return len(text) * size / 2


@pytest.mark.any_database
@pytest.mark.parametrize(
    "text",
    ["gm", "Hello, world!", "W" * 500, "word " * 100, "\n".join("abcdefghijklmnopqrst"), "a\n\n\nb", "e\u0301" * 200],
    ids=["short", "a line", "a word", "words", "lines", "paragraphs", "accents"],
)
def test_a_text_fits(text: str) -> None:
    """A text is as large as it fits in, whole if it can be, and else cut with an ellipsis, within the rectangle."""
    width, height = 1040, 320
    size, lines = fit(text, width, height, glyphs)
    assert lines
    assert all(glyphs(line.text, size) <= width for line in lines)
    assert len(lines) * size * 1.3 <= height
    written = "".join("".join(line.text for line in lines).split())
    wanted = "".join(text.split())
    if written != wanted:
        assert size == SIZES[-1]
        assert wanted.startswith(written.removesuffix("…"))
        assert len(written.removesuffix("…")) % 2 == 0 or "\u0301" not in text
    assert written == wanted or len(text) > 30


@pytest.mark.any_database
def test_what_the_fonts_can_show() -> None:
    """The fonts have the letters of many scripts; what they lack is told, and drawing anything else never fails."""
    artist = Artist()
    for text in SHOWN:
        card = Card("A board", f"{text}\n{text}", text, "$1", 0.5)
        assert artist.shows(card), text
        assert len(artist.draw(card)) > 3_000
    for text in NOT_SHOWN:
        assert not artist.can_write(text), text
    assert len(artist.draw(Sign(NO_GLYPHS, "A live board"))) > 2_000


@pytest.mark.any_database
def test_without_fribidi_letters_from_right_to_left_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine on which Pillow can't order them, their messages have the board's picture; all others are drawn."""
    monkeypatch.setattr(features, "check", lambda _: False)
    artist = Artist()
    assert not any(artist.can_write(text) for text in ("שלום", "مرحبا", "Hello שלום"))
    card = Card("שלום", "Hello, Привет, é\u0323", "Ada", "$1", 0)
    assert artist.shows(card)
    assert len(artist.draw(card)) > 3_000
