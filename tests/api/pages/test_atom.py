"""/feed.atom: the newest messages for feed readers, well-formed whatever they say, and what was removed among them."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import httpx
import pytest

from tests.support.board_client import act, http_client, post, start, until_status
from tests.support.following import following
from tests.support.rows import opened, payment_row, write_messages
from tests.support.rows import write as write_rows
from tests.support.served import Served, free_port, served_board
from tests.support.shapes import Json
from tests.support.text_cases import text_cases

ATOM, TOMBSTONES = "{http://www.w3.org/2005/Atom}", "{http://purl.org/atompub/tombstones/1.0}"
TOKEN = "token-of-the-administration"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
SITE = "https://chat.example.com:8443"
TITLE = 'Ada & "Grace" <chat>\x07'
HOSTILE = "]]> </content></feed> <!-- &lt; &#0; <script>alert('1')</script> \"é\" 👩‍👩‍👧\nsecond line"


@pytest.fixture
def served(tmp_path: Path, backend: str) -> Iterator[Served]:
    """A board whose public address is another one than it is reached at."""
    del backend
    with served_board(tmp_path, public_url=SITE, title=TITLE, admin_token=TOKEN) as board:
        yield board


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that board."""
    async with http_client(served) as http:
        yield http


async def feed_of(client: httpx.AsyncClient) -> Element:
    """Read the feed, which must be well-formed."""
    answer = await client.get("/feed.atom")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
    return fromstring(answer.content)  # noqa: S314 - from our own server


def texts_of(feed: Element, name: str) -> list[str]:
    """Return the text of this element of each entry."""
    return [entry.findtext(ATOM + name, "") for entry in feed.iter(f"{ATOM}entry")]


def deleted_in(feed: Element) -> dict[str, datetime]:
    """Return when each entry was deleted, by id."""
    found = feed.iter(f"{TOMBSTONES}deleted-entry")
    return {deleted.attrib["ref"]: datetime.fromisoformat(deleted.attrib["when"]) for deleted in found}


def updated_in(element: Element) -> datetime:
    """Return when a feed or an entry was updated."""
    return datetime.fromisoformat(element.findtext(f"{ATOM}updated", ""))


async def tag_of(client: httpx.AsyncClient, message: Json) -> str:
    """Return the id that a message's entry has to have."""
    epoch = (await client.get("/api/messages")).json()["epoch"]
    return f"tag:chat.example.com,{message['posted_at'][:4]}:{epoch}/{message['id']}"


async def remove(client: httpx.AsyncClient, message: Json) -> None:
    """Take a message off the board."""
    answer = await client.delete(f"/api/admin/messages/{message['id']}", headers=AUTHORIZED)
    assert answer.status_code == 204


async def restore(client: httpx.AsyncClient, message: Json) -> None:
    """Put a message back on the board."""
    answer = await client.post(f"/api/admin/messages/{message['id']}/restore", headers=AUTHORIZED)
    assert answer.status_code == 200


async def test_a_message_is_an_entry(client: httpx.AsyncClient) -> None:
    """An entry has all that RFC 4287 asks for, below the public URL and not the request's Host; the newest is first."""
    empty = await feed_of(client)
    assert updated_in(empty) < datetime.now(UTC)
    first, second = await post(client, "First", author="Ada"), await post(client, HOSTILE)
    feed = await feed_of(client)
    assert feed.findtext(f"{ATOM}title") == TITLE.replace("\x07", "\ufffd")
    assert feed.findtext(f"{ATOM}id") == f"{SITE}/feed.atom"
    links = {link.attrib["rel"]: link.attrib["href"] for link in feed.findall(f"{ATOM}link")}
    assert links == {"self": f"{SITE}/feed.atom", "alternate": f"{SITE}/"}
    assert updated_in(feed) == datetime.fromisoformat(second["posted_at"])
    assert texts_of(feed, "content") == [HOSTILE, "First"]
    assert texts_of(feed, "title") == [HOSTILE.replace("\n", " ")[:79] + "…", "First"]
    assert texts_of(feed, f"author/{ATOM}name") == ["Anonymous", "Ada"]
    assert texts_of(feed, "id") == [await tag_of(client, second), await tag_of(client, first)]
    assert texts_of(feed, "published") == texts_of(feed, "updated") == [second["posted_at"], first["posted_at"]]
    hrefs = [entry.find(f"{ATOM}link").attrib["href"] for entry in feed.iter(f"{ATOM}entry")]  # type: ignore[union-attr]
    assert hrefs == [f"{SITE}/m/{second['id']}", f"{SITE}/m/{first['id']}"]


async def test_every_text_that_the_board_takes_is_well_formed(served: Served, client: httpx.AsyncClient) -> None:
    """The feed is XML with exactly the texts and names of the messages, for every case of the rules, and worse ones."""
    fields = {
        field: [case.stored or "" for case in text_cases() if case.field == field and case.is_accepted and case.stored]
        for field in ("text", "author")
    }
    fields["text"] += ["not a character: \uffff, not even \x0b", "\U0001ffff", HOSTILE]
    async with opened(served.settings.database_url) as database, following(served) as follower:
        for first in range(0, max(map(len, fields.values())), 50):
            texts, authors = ([*values[first : first + 50], *["Hello"] * 50][:50] for values in fields.values())
            rows = [
                payment_row(status="fulfilled", paid=True, text=text, author=author)
                for text, author in zip(texts, authors, strict=True)
            ]
            await write_rows(rows, database)
            await follower.receive_all(50)
            feed = await feed_of(client)
            assert texts_of(feed, "content")[::-1] == [clean(text) for text in texts]
            assert texts_of(feed, f"author/{ATOM}name")[::-1] == authors


def clean(text: str) -> str:
    """Return a text as XML can have it."""
    return text.replace("\uffff", "\ufffd").replace("\x0b", "\ufffd")


async def test_a_removal_is_told_of_at_once(client: httpx.AsyncClient) -> None:
    """A removed entry is a tombstone without its text, later than all before; a restored one is newer."""
    message, _ = await post(client, "Goes and comes back"), await post(client, "Stays")
    tag = await tag_of(client, message)
    last = await feed_of(client)
    for _ in range(2):
        await remove(client, message)
        answer = await client.get("/feed.atom")
        feed = await feed_of(client)
        assert b"comes back" not in answer.content
        assert texts_of(feed, "content") == ["Stays"]
        assert list(deleted_in(feed)) == [tag]
        assert updated_in(last) < updated_in(feed) == deleted_in(feed)[tag]
        await restore(client, message)
        restored = await feed_of(client)
        assert deleted_in(restored) == {}
        assert texts_of(restored, "id")[1] == tag
        assert texts_of(restored, "published")[1] == message["posted_at"]
        assert updated_in(feed) < updated_in(restored) == updated_in(list(restored.iter(f"{ATOM}entry"))[1])
        last = restored
    refunded = await start(client, "Refunded")
    await act(client, refunded, "pay")
    message_id = (await until_status(client, refunded["id"], "fulfilled"))["message_id"]
    await act(client, refunded, "refund")
    await until_status(client, refunded["id"], "refunded")
    feed = await feed_of(client)
    assert [ref.rpartition("/")[2] for ref in deleted_in(feed)] == [str(message_id)]
    assert updated_in(feed) - updated_in(last) < timedelta(minutes=1)


async def test_the_newest_fifty(served: Served, client: httpx.AsyncClient) -> None:
    """Of many messages the newest fifty are in the feed, and only what was removed among them."""
    async with opened(served.settings.database_url) as database, following(served) as follower:
        ids = await write_messages(database, 53)
        await follower.receive_all(53)
    feed = await feed_of(client)
    assert [tag.rpartition("/")[2] for tag in texts_of(feed, "id")] == [str(id_) for id_ in ids[:-51:-1]]
    await remove(client, {"id": ids[0]})
    await remove(client, {"id": ids[-1]})
    feed = await feed_of(client)
    assert [tag.rpartition("/")[2] for tag in texts_of(feed, "id")] == [str(id_) for id_ in ids[-2:-52:-1]]
    assert [ref.rpartition("/")[2] for ref in deleted_in(feed)] == [str(ids[-1])]


async def test_it_is_revalidated(client: httpx.AsyncClient) -> None:
    """The feed has an ETag that holds until it changes, for GET and HEAD, plain and compressed; its ids outlive all."""
    message = await post(client, "Hello")
    first = await client.get("/feed.atom", headers={"Accept-Encoding": "identity"})
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for headers in ({"If-None-Match": etag}, {"If-None-Match": etag, "Accept-Encoding": "gzip"}):
        unchanged = await client.get("/feed.atom", headers=headers)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
    head = await client.head("/feed.atom", headers={"Accept-Encoding": "identity"})
    assert (head.status_code, head.headers["etag"]) == (200, etag)
    assert head.headers["content-length"] == first.headers["content-length"]
    gzipped = await client.get("/feed.atom", headers={"Accept-Encoding": "gzip"})
    assert gzipped.headers["content-encoding"] == "gzip"
    assert gzipped.content == first.content
    await remove(client, message)
    assert (await client.get("/feed.atom", headers={"If-None-Match": etag})).status_code == 200
    assert (await client.post("/feed.atom")).status_code == 405


async def test_ids_outlive_a_restart(tmp_path: Path) -> None:
    """After a restart with other settings the entries' ids and times are the same; the ETag follows the title."""
    port = free_port()
    found: list[tuple[str, list[str], list[str]]] = []
    for title in ("Before", "After"):
        with served_board(tmp_path, port, public_url=SITE, title=title) as served:
            async with http_client(served) as client:
                if not found:
                    await post(client, "Hello")
                feed, answer = await feed_of(client), await client.get("/feed.atom")
                found.append((answer.headers["etag"], texts_of(feed, "id"), texts_of(feed, "updated")))
    assert found[0][0] != found[1][0]
    assert found[0][1:] == found[1][1:]
