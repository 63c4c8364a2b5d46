"""WS /api/feed: the first frame, and resuming with a cursor: every entry once, in order, or a snapshot."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import update

from paidchat.feed.feed import Feed
from paidchat.moderation import remove_message, restore_message
from paidchat.storage import queries
from paidchat.storage.database import Database
from paidchat.storage.tail import Tail
from tests.support.board_client import http_client, post
from tests.support.following import following, untimed
from tests.support.rows import opened, write_messages
from tests.support.served import Served, served_board
from tests.support.transactions import reading, transaction

COUNT = 1_203
REMOVED = 1_203
TOKEN = "token-of-the-administration"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
HEAD = 1_204  # the removal's own entry


class Stage(NamedTuple):
    """A board with 1,203 messages, the newest of which was removed: 1,204 entries."""

    served: Served
    database: Database
    epoch: str


@pytest.fixture(scope="module")
async def stage(backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Serve that board for this file; no test changes it."""
    folder = tmp_path_factory.mktemp(backend)
    with served_board(folder) as served:
        async with opened(served.settings.database_url) as database:
            await write_messages(database, COUNT)
            await remove_message(database, REMOVED)
            async with reading(database) as connection:
                epoch = (await connection.run_sync(queries.read_board)).epoch
            await _seen(served, HEAD)
            yield Stage(served, database, epoch)


async def _seen(served: Served, seq: int) -> None:
    """Wait until a board's feed has read its log up to a seq."""
    for _ in range(100):
        async with following(served) as follower:
            if follower.first["seq"] >= seq:
                return
        await asyncio.sleep(0.05)


async def test_a_plain_connect_gets_a_snapshot(stage: Stage) -> None:
    """The first frame is the board's current state: epoch, seq, the newest fifty, and whether there are older ones."""
    async with following(stage.served) as follower, http_client(stage.served) as client:
        snapshot = follower.first
        page = (await client.get("/api/messages")).json()
    assert snapshot == {
        "type": "snapshot",
        "epoch": stage.epoch,
        "seq": HEAD,
        "messages": page["messages"],
        "has_more": True,
        "pinned": [],
        "now": snapshot["now"],
    }
    assert [message["id"] for message in snapshot["messages"]] == list(range(COUNT - 50, COUNT))


async def test_an_empty_board_has_an_empty_snapshot(tmp_path: Path) -> None:
    """Before the first message a snapshot is empty, at seq 0, and can be resumed from."""
    with served_board(tmp_path) as served:
        async with following(served) as follower:
            assert follower.first["messages"] == []
            assert (follower.first["seq"], follower.first["has_more"]) == (0, False)
        async with following(served, after=0, epoch=follower.first["epoch"]) as follower:
            assert follower.first["type"] == "resumed"


@pytest.mark.parametrize("behind", [0, 1, 2, 50, 99, 100, 101, 500, 501, 999, 1_000])
async def test_a_cursor_that_can_be_served_is_resumed(stage: Stage, behind: int) -> None:
    """Up to a thousand entries behind, `resumed` names the cursor, and every missed entry follows in order."""
    after = HEAD - behind
    async with following(stage.served, after=after, epoch=stage.epoch) as follower:
        assert untimed(follower.first) == {"type": "resumed", "epoch": stage.epoch, "seq": after}
        missed = await follower.receive_all(behind)
        await follower.nothing(0.05)
    assert [frame["seq"] for frame in missed] == list(range(after + 1, HEAD + 1))


async def test_what_is_replayed_is_what_was_missed(stage: Stage) -> None:
    """A replay has posts with their messages, withholds messages that have left the board, and has removals."""
    async with following(stage.served, after=HEAD - 3, epoch=stage.epoch) as follower:
        posted, withheld, removed = await follower.receive_all(3)
    async with http_client(stage.served) as client:
        message = (await client.get(f"/api/messages/{COUNT - 1}")).json()
    assert posted == {"type": "message.posted", "seq": COUNT - 1, "message": message}
    assert withheld == {"type": "message.withheld", "seq": REMOVED, "message_id": REMOVED}
    assert removed == {"type": "message.removed", "seq": HEAD, "message_id": REMOVED, "reason": "moderated"}


REFUSED_CURSORS = [
    ("1,001 behind", "after={behind}&epoch={epoch}"),
    ("from the beginning", "after=0&epoch={epoch}"),
    ("another epoch", "after={head}&epoch=another"),
    ("an empty epoch", "after={head}&epoch="),
    ("no epoch", "after={head}"),
    ("no cursor", "epoch={epoch}"),
    ("an empty cursor", "after=&epoch={epoch}"),
    ("ahead by one", "after={ahead}&epoch={epoch}"),
    ("far ahead", "after=999999999999&epoch={epoch}"),
    ("beyond any integer", f"after={'9' * 400}&epoch={{epoch}}"),
    ("negative", "after=-1&epoch={epoch}"),
    ("signed", "after=%2B{head}&epoch={epoch}"),
    ("words", "after=now&epoch={epoch}"),
    ("a fraction", "after={head}.0&epoch={epoch}"),
    ("an exponent", "after=1e3&epoch={epoch}"),
    ("spaces", "after=%20{head}&epoch={epoch}"),
    ("digits of another script", "after=%D9%A1%D9%A2%D9%A0%D9%A4&epoch={epoch}"),
    ("superscripts", "after=%C2%B2&epoch={epoch}"),
    ("a NUL", "after={head}%00&epoch={epoch}"),
    ("bytes that are no text", "after=%FF%FE&epoch=%FF"),
]


@pytest.mark.parametrize(("name", "query"), REFUSED_CURSORS, ids=[name for name, _ in REFUSED_CURSORS])
async def test_a_cursor_that_cannot_be_served_gets_a_snapshot(stage: Stage, name: str, query: str) -> None:
    """Too far behind, ahead of the log, from another epoch or malformed: a snapshot, and no replay."""
    del name
    written = query.format(head=HEAD, behind=HEAD - 1_001, ahead=HEAD + 1, epoch=stage.epoch)
    async with following(stage.served, query=written) as follower:
        assert follower.first["type"] == "snapshot"
        assert follower.first["seq"] == HEAD
        await follower.nothing(0.05)


async def test_a_cursor_ahead_of_the_feed_but_not_of_the_database(tmp_path: Path) -> None:
    """A cursor from another process is resumed, even if this process has not read that far yet."""
    with served_board(tmp_path) as served:
        async with opened(served.settings.database_url) as other, following(served) as follower:
            epoch = follower.first["epoch"]
            for _ in range(5):
                [newest] = await write_messages(other, 1)
                async with following(served, after=newest, epoch=epoch) as ahead:
                    assert untimed(ahead.first) == {"type": "resumed", "epoch": epoch, "seq": newest}


async def test_a_new_epoch_is_a_new_history(tmp_path: Path) -> None:
    """When the epoch changes, connections end, and the old cursor gets a snapshot in the new epoch."""
    with served_board(tmp_path) as served:
        async with opened(served.settings.database_url) as database, following(served) as follower:
            await write_messages(database, 3)
            assert [frame["seq"] for frame in await follower.receive_all(3)] == [1, 2, 3]
            async with transaction(database) as connection:
                await connection.execute(update(queries.board).values(epoch="new"))
            await follower.closed()
        async with following(served, after=3, epoch=follower.first["epoch"]) as again:
            assert (again.first["type"], again.first["epoch"]) == ("snapshot", "new")


async def test_a_new_epoch_begins_far_beyond_the_old_one(tmp_path: Path) -> None:
    """A new epoch reuses no old id; a cursor in the gap between the epochs gets a snapshot, later ones resume."""
    with served_board(tmp_path) as served:
        async with opened(served.settings.database_url) as database, following(served) as follower:
            await write_messages(database, 3)
            await follower.receive_all(3)
            async with transaction(database) as connection:
                await connection.run_sync(queries.begin_epoch, "new")
            await follower.closed()
            head = 1_000_003
            await _check_epoch(served, head, unserved=[0, 3, 4, head - 1], served_from=head)
            assert await write_messages(database, 2) == [head + 1, head + 2]
            await _seen(served, head + 2)
            await _check_epoch(served, head + 2, unserved=[3, head - 1], served_from=head)
    with served_board(tmp_path) as served:  # a process that was not running when it began
        await _check_epoch(served, head + 2, unserved=[3, head - 1], served_from=head)
        async with http_client(served) as client:
            assert (await client.get("/api/messages/4")).status_code == 404
            after = (await client.get("/api/messages", params={"after": 2})).json()["messages"]
    assert [message["id"] for message in after] == [3, head + 1, head + 2]


async def _check_epoch(served: Served, head: int, *, unserved: list[int], served_from: int) -> None:
    """Check how a board responds to cursors with the epoch `new`."""
    for cursor in unserved:
        async with following(served, after=cursor, epoch="new") as follower:
            assert (follower.first["type"], follower.first["seq"]) == ("snapshot", head)
            assert [message["id"] for message in follower.first["messages"]][:3] == [1, 2, 3]
    async with following(served, after=served_from, epoch="new") as follower:
        assert follower.first["type"] == "resumed"
        missed = [(await follower.receive())["seq"] for _ in range(head - served_from)]
    assert missed == list(range(served_from + 1, head + 1))


async def test_removals_and_restorations_are_told_live(tmp_path: Path) -> None:
    """Subscribers get a removal with its reason, and a restoration with the message."""
    with served_board(tmp_path) as served:
        async with opened(served.settings.database_url) as database, following(served) as follower:
            await write_messages(database, 1)
            posted = await follower.receive()
            await remove_message(database, 1)
            removed = await follower.receive()
            await restore_message(database, 1)
            restored = await follower.receive()
            await restore_message(database, 1)
            await follower.nothing()
        async with following(served) as late:
            snapshot = late.first
    assert removed == {"type": "message.removed", "seq": 2, "message_id": 1, "reason": "moderated"}
    assert restored == {"type": "message.restored", "seq": 3, "message": posted["message"]}
    assert snapshot["messages"] == [posted["message"]]


async def test_a_restored_message_is_not_withheld(tmp_path: Path) -> None:
    """A replay has a message's post and its restoration if it is on the board again."""
    with served_board(tmp_path) as served:
        async with opened(served.settings.database_url) as database, following(served) as follower:
            await write_messages(database, 2)
            await remove_message(database, 1)
            await remove_message(database, 2)
            await restore_message(database, 1)
            live = await follower.receive_all(5)
            async with following(served, after=0, epoch=follower.first["epoch"]) as late:
                replayed = await late.receive_all(5)
    kinds = [(frame["type"], frame["seq"]) for frame in replayed]
    assert kinds == [
        ("message.posted", 1),
        ("message.withheld", 2),
        ("message.removed", 3),
        ("message.removed", 4),
        ("message.restored", 5),
    ]
    assert [frame for frame in replayed if frame["type"] != "message.withheld"] == live[:1] + live[2:]


async def test_a_removed_restoration_is_withheld(tmp_path: Path) -> None:
    """A restoration whose message was removed again is withheld too."""
    with served_board(tmp_path) as served:
        async with opened(served.settings.database_url) as database, following(served) as follower:
            await write_messages(database, 1)
            await remove_message(database, 1)
            await restore_message(database, 1)
            await remove_message(database, 1)
            await follower.receive_all(4)
            async with following(served, after=0, epoch=follower.first["epoch"]) as late:
                replayed = await late.receive_all(4)
    assert [frame["type"] for frame in replayed] == [
        "message.withheld",
        "message.removed",
        "message.withheld",
        "message.removed",
    ]


@pytest.mark.any_database
async def test_what_was_removed_before_is_withheld_however_late_the_feed_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message whose removal was answered is withheld from whoever resumes after the answer."""
    follow = Feed._follow

    async def follow_late(feed: Feed, hints: Sequence[Tail | None]) -> None:
        await asyncio.sleep(0.2)
        await follow(feed, hints)

    monkeypatch.setattr(Feed, "_follow", follow_late)
    with served_board(tmp_path, admin_token=TOKEN) as served:
        async with http_client(served) as client, following(served) as follower:
            for number in range(1, 3):
                message = await post(client, f"Number {number}")
                answer = await client.delete(
                    f"/api/admin/messages/{message['id']}", headers={"Authorization": f"Bearer {TOKEN}"}
                )
                assert answer.status_code == 204
                async with following(served, after=2 * number - 2, epoch=follower.first["epoch"]) as late:
                    replayed = await late.receive_all(2)
                assert [frame["type"] for frame in replayed] == ["message.withheld", "message.removed"]


async def reconnecting(served: Served, until: int, give_up_after: int) -> list[dict[str, Any]]:
    """Follow a board over connections that last a few frames each, until a seq is reached."""
    frames: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {"after": 0}
    async with following(served) as follower:
        cursor["epoch"] = follower.first["epoch"]
    while cursor["after"] < until:
        async with following(served, **cursor) as follower:
            assert untimed(follower.first) == {"type": "resumed", "epoch": cursor["epoch"], "seq": cursor["after"]}
            for _ in range(give_up_after):
                if cursor["after"] == until:
                    break
                frames.append(await follower.receive())
                cursor["after"] = frames[-1]["seq"]
    return frames


async def test_nothing_is_missed_over_reconnects(tmp_path: Path) -> None:
    """However often they reconnect while messages are posted, subscribers see every entry once, in order."""
    total = 100

    async def post_all(database: Database) -> None:
        for _ in range(total // 2):
            await write_messages(database, 2)

    with served_board(tmp_path) as served:
        async with opened(served.settings.database_url) as database:
            _, *seen = await asyncio.gather(
                post_all(database), *(reconnecting(served, total, every) for every in (1, 3, 7, 20, 50))
            )
    for frames in seen:
        assert [frame["seq"] for frame in frames] == list(range(1, total + 1))
        assert [frame["message"]["id"] for frame in frames] == list(range(1, total + 1))


async def test_nothing_is_missed_between_snapshot_and_following(tmp_path: Path) -> None:
    """A subscriber that connects while messages are posted gets a snapshot at n and then n + 1, n + 2 and so on."""
    with served_board(tmp_path) as served:
        async with opened(served.settings.database_url) as database:
            posting = asyncio.create_task(_post_steadily(database, 80))
            await asyncio.gather(*(_follow_on(served, 80) for _ in range(12)))
            await posting


async def _post_steadily(database: Database, count: int) -> None:
    for _ in range(count):
        await write_messages(database, 1)


async def _follow_on(served: Served, until: int) -> None:
    async with following(served) as follower:
        for seq in range(follower.first["seq"] + 1, until + 1):
            assert (await follower.receive())["seq"] == seq


async def test_a_page_and_the_feed_agree(stage: Stage) -> None:
    """A page read at seq N can be merged with the feed: same epoch, same sequence, same messages."""
    async with following(stage.served) as follower, http_client(stage.served) as client:
        snapshot = follower.first
        page = (await client.get("/api/messages", params={"before": snapshot["messages"][0]["id"]})).json()
    assert (page["epoch"], page["seq"]) == (snapshot["epoch"], snapshot["seq"])
    ids = [message["id"] for message in page["messages"] + snapshot["messages"]]
    assert ids == list(range(COUNT - 100, COUNT))
