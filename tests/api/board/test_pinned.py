"""Pins: a higher tier's message is on top for its time, across removal and restarts, and gone when its time is over."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.support.board_client import act, http_client, post, start, until_status
from tests.support.following import following
from tests.support.rows import opened, write_pinned
from tests.support.served import Served, free_port, served_board
from tests.support.shapes import Json
from tests.support.tiered import AUTHORIZED, LONG, MIDDLE, SHORT, TIERS, tiered_board, undisturbed


@pytest.fixture
def tiered(tmp_path: Path, backend: str) -> Iterator[Served]:
    """A board with tiers, one of them short."""
    del backend
    with tiered_board(tmp_path) as served:
        yield served


@pytest.fixture
async def client(tiered: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that board."""
    async with undisturbed(tiered) as http:
        yield http


async def pinned(client: httpx.AsyncClient) -> Json:
    """Return the pinned page."""
    answer = await client.get("/api/pinned")
    assert answer.status_code == 200
    page: Json = answer.json()
    return page


async def texts(client: httpx.AsyncClient) -> list[str]:
    """Return the texts of what is pinned, in order."""
    return [message["text"] for message in (await pinned(client))["messages"]]


async def etag_of(client: httpx.AsyncClient) -> str:
    """Return the pinned page's ETag."""
    return str((await client.get("/api/pinned")).headers["etag"])


async def remove(client: httpx.AsyncClient, message: Json, **query: bool) -> None:
    """Take a message off the board."""
    answer = await client.delete(f"/api/admin/messages/{message['id']}", params=query, headers=AUTHORIZED)
    assert answer.status_code == 204


async def restore(client: httpx.AsyncClient, message: Json) -> Json:
    """Restore a message and return it as it was answered."""
    answer = await client.post(f"/api/admin/messages/{message['id']}/restore", headers=AUTHORIZED)
    assert answer.status_code == 200
    restored: Json = answer.json()
    return restored


async def until_over(client: httpx.AsyncClient, message: Json) -> None:
    """Wait until a message's time on top is over, by the server's clock."""
    now = datetime.fromisoformat((await pinned(client))["now"])
    left = datetime.fromisoformat(message["pinned_until"]) - now
    await asyncio.sleep(max(0, left.total_seconds()) + 0.05)


async def test_nothing_is_pinned_at_first(client: httpx.AsyncClient) -> None:
    """Without pins the page is empty, even of messages for the price, and has its place in the log and the time."""
    message = await post(client, "For a dollar")
    page = await pinned(client)
    assert set(page) == {"messages", "seq", "epoch", "has_more", "now"}
    assert (page["messages"], page["seq"], page["has_more"]) == ([], message["id"], False)
    assert abs(datetime.fromisoformat(page["now"]) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_the_highest_amount_is_first_and_then_the_newest(tiered: Served, client: httpx.AsyncClient) -> None:
    """What is pinned is ordered by amount, then by age, and is the same message that the board and the feed show."""
    async with following(tiered) as follower:
        for number, amount in enumerate([MIDDLE, LONG, 100, MIDDLE, LONG]):
            message = await post(client, f"{number}", amount=amount)
            while (frame := await follower.receive())["type"] != "message.posted":
                pass
            assert frame["message"] == message
    assert await texts(client) == ["4", "1", "3", "0"]
    page, board = await pinned(client), (await client.get("/api/messages")).json()
    assert page["seq"] == board["seq"]
    assert page["epoch"] == board["epoch"]
    assert all(message in board["messages"] for message in page["messages"])


async def test_twenty_at_most(tiered: Served, client: httpx.AsyncClient) -> None:
    """Of more than twenty the highest are shown, and `has_more` says that there are others."""
    async with following(tiered) as follower, opened(tiered.settings.database_url) as database:
        await write_pinned(database, [MIDDLE] * 12 + [LONG] * 8, seconds=600)
        await follower.receive_all(20)
        page = await pinned(client)
        assert [message["amount"] for message in page["messages"]] == [LONG] * 8 + [MIDDLE] * 12
        assert page["has_more"] is False
        await write_pinned(database, [MIDDLE], seconds=600)
        await follower.receive()
    page = await pinned(client)
    assert [message["id"] for message in page["messages"]] == [*range(20, 12, -1), 21, *range(12, 1, -1)]
    assert page["has_more"] is True


async def test_it_is_gone_when_its_time_is_over(client: httpx.AsyncClient) -> None:
    """When a pin ends the page is made anew, with another ETag, although nothing happened on the board."""
    await post(client, "For long", amount=MIDDLE)
    message = await post(client, "For short", amount=SHORT)
    assert await texts(client) == ["For long", "For short"]
    etag = await etag_of(client)
    await until_over(client, message)
    answer = await client.get("/api/pinned", headers={"If-None-Match": etag})
    assert answer.status_code == 200
    assert answer.headers["etag"] != etag
    assert [each["text"] for each in answer.json()["messages"]] == ["For long"]
    assert (await client.get(f"/api/messages/{message['id']}")).json() == message


async def test_an_etag_holds_until_something_changes(client: httpx.AsyncClient) -> None:
    """The page is 304 for its weak ETag while time passes, and 200 after any change of the board."""
    await post(client, "On top", amount=LONG)
    first = await client.get("/api/pinned")
    etag = first.headers["etag"]
    assert etag.startswith('W/"')
    assert first.headers["cache-control"] == "no-cache"
    await asyncio.sleep(0.2)
    second = await client.get("/api/pinned")
    assert second.headers["etag"] == etag
    assert {**second.json(), "now": None} == {**first.json(), "now": None}
    passed = datetime.fromisoformat(second.json()["now"]) - datetime.fromisoformat(first.json()["now"])
    assert timedelta(seconds=0.2) <= passed < timedelta(seconds=30)
    for tag in (etag, etag.removeprefix("W/")):
        unchanged = await client.get("/api/pinned", headers={"If-None-Match": tag})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    head = await client.head("/api/pinned")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", etag)
    await post(client, "Something else")
    assert (await client.get("/api/pinned", headers={"If-None-Match": etag})).status_code == 200


async def test_what_is_removed_is_not_pinned(client: httpx.AsyncClient) -> None:
    """A removed message is off the page at once; restored, it has exactly the time that it had before."""
    await post(client, "Stays", amount=MIDDLE)
    message = await post(client, "Goes and comes back", amount=LONG)
    assert await texts(client) == ["Goes and comes back", "Stays"]
    for _ in range(2):
        await remove(client, message)
        assert await texts(client) == ["Stays"]
        assert await restore(client, message) == message
        assert (await pinned(client))["messages"][0] == message


async def test_a_removal_does_not_extend_it(client: httpx.AsyncClient) -> None:
    """A message that is restored after its time is on the board, but not on top."""
    message = await post(client, "Too late", amount=SHORT)
    await remove(client, message)
    await until_over(client, message)
    assert await restore(client, message) == message
    assert await texts(client) == []


@pytest.mark.parametrize(
    "story",
    [
        [("pay", "fulfilled", True), ("refund", "refunded", False), ("refund_fail", "fulfilled", True)],
        [("pay", "fulfilled", True), ("dispute", "disputed", False), ("win_dispute", "fulfilled", True)],
    ],
    ids=["refund", "dispute"],
)
async def test_money_that_is_gone_pins_nothing(client: httpx.AsyncClient, story: list[tuple[str, str, bool]]) -> None:
    """A refund or dispute takes a message off the top; if the money stays after all, it has the time that is left."""
    payment = await start(client, "On top", amount=LONG)
    ends = set()
    for verb, status, is_pinned in story:
        await act(client, payment, verb)
        await until_status(client, payment["id"], status)
        messages = (await pinned(client))["messages"]
        assert [message["text"] for message in messages] == ["On top"] * is_pinned
        ends |= {message["pinned_until"] for message in messages}
    assert len(ends) == 1


async def test_pins_outlive_a_restart(tmp_path: Path) -> None:
    """After a restart with other tiers, what is pinned is the same, to the microsecond."""
    port = free_port()
    with served_board(tmp_path, port, tiers=TIERS) as served:
        async with http_client(served) as client:
            message = await post(client, "Before", amount=MIDDLE)
    with served_board(tmp_path, port) as served:
        async with http_client(served) as client:
            assert (await pinned(client))["messages"] == [message]


async def test_a_pin_of_another_process_is_there(tiered: Served, client: httpx.AsyncClient) -> None:
    """The page has what the feed has told of another process's message."""
    assert await texts(client) == []
    async with following(tiered) as follower, opened(tiered.settings.database_url) as database:
        for number in range(3):
            await write_pinned(database, [MIDDLE], seconds=600)
            while (await follower.receive())["type"] != "message.posted":
                pass
            assert len((await pinned(client))["messages"]) == number + 1
