"""How long documents are kept: until anything in them changes, and never for a payer who comes back."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from paidchat.pages.documents import MOST_KEPT
from tests.support.board_client import http_client, post, start
from tests.support.documents import opening_of, parse, shown
from tests.support.postgres import Postgres
from tests.support.rows import opened, write_messages
from tests.support.served import Served, databases, served_board

PINNED_S = 3
TOKEN = "token-of-the-administration"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def stage(tmp_path: Path, backend: str) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    """A board with a tier that is pinned for a moment, and a client of it."""
    del backend
    with served_board(tmp_path, tiers=f"1:0,2:{PINNED_S}", admin_token=TOKEN, reconcile_seconds=3600) as served:
        async with http_client(served) as client:
            yield served, client


async def etag_of(client: httpx.AsyncClient, path: str) -> str:
    """Return a document's ETag, after checking that it is revalidated on each use, and 304 for whoever has it."""
    for method in ("GET", "HEAD"):
        whole = await client.request(method, path)
        assert whole.status_code == 200
        had = {"If-None-Match": whole.headers["etag"]}
        again = await client.request(method, path, headers=had)
        assert (again.status_code, again.content) == (304, b"")
        for answer in (whole, again):
            assert answer.headers["cache-control"] == "no-cache"
            assert answer.headers["vary"] == "Accept-Language, Accept-Encoding"
            assert answer.headers["etag"].startswith('W/"')
    return str(whole.headers["etag"])


async def test_a_document_changes_with_the_board(stage: tuple[Served, httpx.AsyncClient]) -> None:
    """A document is 304 until something is posted, removed or restored; then it has another ETag."""
    _, client = stage
    first = await post(client, "First")
    seen: dict[str, list[str]] = {"/": [], f"/m/{first['id']}": []}

    async def expect_new(*texts: str) -> None:
        for path, tags in seen.items():
            answer = await client.get(path, headers={"If-None-Match": ", ".join(tags)} if tags else {})
            assert answer.status_code == 200, (path, texts)
            assert tuple(row["text"] for row in shown(parse(answer.text).one("ol", id="board"))) == texts
            tags.append(await etag_of(client, path))

    await expect_new("First")
    other = await post(client, "Second")
    await expect_new("First", "Second")
    await client.delete(f"/api/admin/messages/{other['id']}", headers=AUTHORIZED)
    await expect_new("First")
    await client.post(f"/api/admin/messages/{other['id']}/restore", headers=AUTHORIZED)
    await expect_new("First", "Second")


async def test_a_document_changes_when_a_pin_ends(stage: tuple[Served, httpx.AsyncClient]) -> None:
    """When a pin ends, a document is made anew, with another ETag, although nothing was written."""
    _, client = stage
    message = await post(client, "Pinned for a moment", amount=200)
    paths = ("/", f"/m/{message['id']}")
    tags = {(path, count): set[str]() for path in paths for count in (0, 1)}  # by how many are pinned
    deadline = time.monotonic() + PINNED_S + 5
    while not all(tags[path, 0] for path in paths):
        assert time.monotonic() < deadline
        for path in paths:
            answer = await client.get(path)
            document = parse(answer.text)
            snapshot = opening_of(document)["snapshot"]
            assert len(list(document.one("ol", id="pins").all("li"))) == len(snapshot["pinned"])
            assert snapshot["seq"] == message["id"]
            tags[path, len(snapshot["pinned"])].add(answer.headers["etag"])
        await asyncio.sleep(0.05)
    for path in paths:
        assert len(tags[path, 0] | tags[path, 1]) == 2
        assert not tags[path, 0] & tags[path, 1]


async def test_a_document_changes_with_the_settings(tmp_path: Path, backend: str) -> None:
    """Two boards on one database have another ETag for the same messages if anything about them differs."""
    del backend
    tags = []
    changes: list[dict[str, Any]] = [{}, {}, {"title": "Another"}, {"price_amount": 200}, {"tiers": "1:0,2:5"}]
    for change in changes:
        given: dict[str, Any] = {"title": "Board", "public_url": "http://board.example", **change}
        with served_board(tmp_path, **given) as served:
            async with http_client(served) as client:
                tags.append(await etag_of(client, "/"))
    assert tags[0] == tags[1]
    assert len(set(tags)) == 4


async def test_nothing_of_a_payment_is_in_a_document(stage: tuple[Served, httpx.AsyncClient]) -> None:
    """For a payer who comes back from checkout a document is not stored, and says nothing of the payment."""
    _, client = stage
    message = await post(client, "On the board")
    payment = await start(client, "Not yet paid for")
    for path in ("/", f"/m/{message['id']}", "/m/999999"):
        tag = (await client.get(path)).headers.get("etag", '"none"')
        for name in ("payment", "cancelled"):
            for method in ("GET", "HEAD"):
                answer = await client.request(
                    method, path, params={name: payment["id"]}, headers={"If-None-Match": tag}
                )
                assert answer.status_code == (404 if "999" in path else 200)
                assert (answer.headers["cache-control"], answer.headers.get("etag")) == ("no-store", None)
                assert payment["id"] not in answer.text
                assert "Not yet paid for" not in answer.text
    other = await client.get("/", params={"utm_source": "somewhere"})
    assert other.headers["cache-control"] == "no-cache"


async def test_documents_of_messages_are_forgotten(stage: tuple[Served, httpx.AsyncClient]) -> None:
    """However many messages are asked for, each document is right, also again after those in between."""
    served, client = stage
    async with opened(served.settings.database_url) as database:
        await write_messages(database, MOST_KEPT + 2, "Number {}")
    ids = [each["id"] for each in (await client.get("/api/messages?limit=100")).json()["messages"]]
    for message_id in (*ids, ids[0], ids[-1]):
        assert f'"target":{message_id}' in (await client.get(f"/m/{message_id}")).text


@pytest.mark.any_database
async def test_without_a_database_the_page_still_comes(tmp_path: Path, postgres: Postgres) -> None:
    """While the database can't be reached, documents come without messages, not stored; afterwards with them again."""
    with databases.on(postgres), served_board(tmp_path, database_url=postgres.create_migrated()) as served:
        async with http_client(served) as client:
            message = await post(client, "There before")
            name = served.settings.database_url.rpartition("/")[2].partition("?")[0]
            had = {"If-None-Match": (await client.get("/")).headers["etag"]}
            postgres.psql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            cut_off = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608
            postgres.psql(cut_off)
            with pytest.raises(AssertionError):
                await start(client, "Can't be stored")
            for path, status in (("/", 200), (f"/m/{message['id']}", 503)):
                answer = await client.get(path, headers=had)
                assert (answer.status_code, answer.headers["cache-control"]) == (status, "no-store")
                document = parse(answer.text)
                opening = opening_of(document)
                assert opening["snapshot"] is None
                assert opening["board"]["price"]["amount"] == 100
                assert opening.get("target") == (message["id"] if status > 200 else None)
                assert document.one("div", id="placeholder").text.lstrip().startswith("Opening the board")
                assert document.one("div", id="log").attributes["aria-busy"] == "true"
            postgres.psql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            assert (await client.get(f"/m/{message['id']}")).status_code == 200
            [row] = shown(parse((await client.get("/")).text).one("ol", id="board"))
            assert row["id"] == message["id"]
