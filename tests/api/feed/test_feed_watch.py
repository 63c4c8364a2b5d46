"""WS /api/feed: what a subscriber may send, the payments it watches, and what ends the connection."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.support.board_client import act, http_client, start, until_status
from tests.support.following import Follower, following
from tests.support.rows import opened, write_payment
from tests.support.served import Served, served_board
from tests.support.transactions import transaction

UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def told(follower: Follower, payment_id: str) -> dict[str, Any]:
    """Return the next `payment.updated`, skipping everything else."""
    while True:
        frame = await follower.receive()
        if frame["type"] == "payment.updated" and frame["payment"]["id"] == payment_id:
            assert set(frame) == {"type", "payment"}
            payment: dict[str, Any] = frame["payment"]
            return payment


async def error_of(follower: Follower) -> dict[str, Any]:
    """Return the next `error` frame, skipping everything else."""
    while (frame := await follower.receive())["type"] != "error":
        pass
    return frame


async def test_watching_tells_at_once(client: httpx.AsyncClient, board: Served) -> None:
    """Watching a payment returns its current state at once, with every field of the lookup."""
    payment = await start(client)
    async with following(board) as follower:
        await follower.watch(payment["id"])
        assert await told(follower, payment["id"]) == payment


async def test_watching_tells_every_change(client: httpx.AsyncClient, board: Served) -> None:
    """A subscriber that watches a delayed payment is told when it is processing and when it has succeeded."""
    payment = await start(client)
    async with following(board) as follower:
        await follower.watch(payment["id"])
        assert (await told(follower, payment["id"]))["status"] == "pending"
        await act(client, payment, "pay_later")
        assert (await told(follower, payment["id"]))["status"] == "processing"
        await act(client, payment, "settle")
        fulfilled = await told(follower, payment["id"])
        assert fulfilled == await until_status(client, payment["id"], "fulfilled")


async def test_the_message_comes_before_the_news(client: httpx.AsyncClient, board: Served) -> None:
    """`fulfilled` comes only after the message's own entry, so that a page can show the message."""
    async with following(board) as follower:
        for _ in range(5):
            payment = await start(client)
            await follower.watch(payment["id"])
            await told(follower, payment["id"])
            await act(client, payment, "pay")
            posted = set()
            while (frame := await follower.receive())["type"] != "payment.updated":
                posted.add(frame["seq"])
            assert frame["payment"]["status"] == "fulfilled"
            assert frame["payment"]["message_id"] in posted


async def test_what_is_fulfilled_already_is_told_after_its_message(client: httpx.AsyncClient, board: Served) -> None:
    """Watching a payment that is already fulfilled returns it after the snapshot or entry with its message."""
    payment = await start(client)
    await act(client, payment, "pay")
    await until_status(client, payment["id"], "fulfilled")
    async with following(board) as follower:
        await follower.watch(payment["id"])
        shown = [message["id"] for message in follower.first["messages"]]
        while (frame := await follower.receive())["type"] != "payment.updated":
            shown.append(frame["seq"])
        assert frame["payment"]["status"] == "fulfilled"
        assert frame["payment"]["message_id"] in shown


async def test_watching_during_a_replay(tmp_path: Path) -> None:
    """A subscriber that watches while catching up gets `fulfilled` only after the message's entry was replayed."""
    with served_board(tmp_path) as served:
        async with http_client(served) as client, following(served) as follower:
            payments = [await start(client, "a" * 400) for _ in range(3)]
            for payment in payments:
                await act(client, payment, "pay")
            async with following(served, after=0, epoch=follower.first["epoch"]) as late:
                await late.watch(payments[-1]["id"])
                frames = await late.receive_all(4)
    assert [frame["type"] for frame in frames] == ["message.posted"] * 3 + ["payment.updated"]


async def test_only_who_watches_is_told(client: httpx.AsyncClient, board: Served) -> None:
    """Only watchers get a payment's updates: its text is private until it is posted."""
    payment = await start(client)
    async with following(board) as watcher, following(board) as other:
        await watcher.watch(payment["id"])
        await told(watcher, payment["id"])
        await act(client, payment, "pay_later")
        await told(watcher, payment["id"])
        await other.nothing()


async def test_two_may_watch_one_payment(client: httpx.AsyncClient, board: Served) -> None:
    """Two tabs that watch one payment both get updates; after one is closed the other still does."""
    payment = await start(client)
    async with following(board) as first:
        async with following(board) as second:
            for follower in (first, second):
                await follower.watch(payment["id"])
                await told(follower, payment["id"])
        await act(client, payment, "expire")
        assert (await told(first, payment["id"]))["status"] == "expired"


async def test_watching_again_tells_again(client: httpx.AsyncClient, board: Served) -> None:
    """Watching the same payment again returns its state again."""
    payment = await start(client)
    async with following(board) as follower:
        for _ in range(3):
            await follower.watch(payment["id"])
            assert await told(follower, payment["id"]) == payment


async def test_a_payment_may_be_watched_before_it_changes_hands(tmp_path: Path) -> None:
    """A payment written by another process is found and sent like any other."""
    with served_board(tmp_path) as served:
        async with opened(served.settings.database_url) as database, following(served) as follower:
            async with transaction(database) as connection:
                payment_id = await write_payment(connection)
            await follower.watch(payment_id)
            assert (await told(follower, payment_id))["status"] == "pending"


async def test_the_seventeenth_watch_drops_the_oldest(tmp_path: Path) -> None:
    """Up to sixteen payments can be watched at once; with one more, the first gets no more updates."""
    with served_board(tmp_path) as served:
        async with http_client(served) as client, following(served) as follower:
            payments = [await start(client, f"Hello {number}") for number in range(17)]
            for payment in payments:
                await follower.watch(payment["id"])
                assert await told(follower, payment["id"]) == payment
            for payment in payments:
                await act(client, payment, "expire")
            told_of = [(await follower.receive())["payment"]["id"] for _ in range(16)]
            await follower.nothing()
    assert set(told_of) == {payment["id"] for payment in payments[1:]}


@pytest.mark.parametrize("payment_id", [UNKNOWN, "", "x", "a" * 900, "\u00e9\U0001f600", "../..", "' OR 1=1"])
async def test_an_unknown_payment_is_an_error_that_does_not_count(board: Served, payment_id: str) -> None:
    """Watching an unknown payment is `not_found` each time, and never ends the connection."""
    async with following(board) as follower:
        for _ in range(5):
            await follower.watch(payment_id)
            error = await error_of(follower)
            assert set(error) == {"type", "code", "detail", "payment_id"}
            assert (error["code"], error["payment_id"]) == ("not_found", payment_id)
        await (await follower.socket.ping())


async def test_unknown_payments_take_nobodys_place(client: httpx.AsyncClient, board: Served) -> None:
    """Watching many unknown payments does not push a known one out."""
    payment = await start(client)
    async with following(board) as follower:
        await follower.watch(payment["id"])
        await told(follower, payment["id"])
        for number in range(20):
            await follower.watch(f"{number:08}-0000-4000-8000-000000000000")
            assert (await error_of(follower))["code"] == "not_found"
        await act(client, payment, "expire")
        assert (await told(follower, payment["id"]))["status"] == "expired"


async def test_a_payment_may_come_after_it_was_asked_for(tmp_path: Path) -> None:
    """A payment that was unknown when first watched is sent once it exists and is watched again."""
    with served_board(tmp_path) as served:
        async with opened(served.settings.database_url) as database, following(served) as follower:
            await follower.watch(UNKNOWN)
            assert (await error_of(follower))["code"] == "not_found"
            async with transaction(database) as connection:
                await write_payment(connection, id=UNKNOWN)
            await follower.watch(UNKNOWN)
            assert (await told(follower, UNKNOWN))["status"] == "pending"


BAD_FRAMES: list[str | bytes] = [
    "",
    " ",
    "hello",
    "{",
    "null",
    "[]",
    "1",
    '"watch"',
    "{}",
    '{"type": "watch"}',
    '{"payment_id": "x"}',
    '{"type": "watch", "payment_id": null}',
    '{"type": "watch", "payment_id": 1}',
    '{"type": "watch", "payment_id": ["x"]}',
    '{"type": "watch", "payment_id": "x", "more": 1}',
    '{"type": "unwatch", "payment_id": "x"}',
    '{"type": "post", "text": "free"}',
    '{"Type": "watch", "payment_id": "x"}',
    '{"type": "watch", "payment_id": "\\ud800"}',
    '{"type": "watch", "payment_id": NaN}',
    "[" * 1000,
    '{"type":' * 100,
    b"\x00\x01",
    b'{"type": "watch", "payment_id": "x"}',
]


@pytest.mark.parametrize("frame", BAD_FRAMES, ids=lambda frame: repr(frame)[:40])
@pytest.mark.any_database
async def test_three_bad_frames_end_the_connection(board: Served, frame: str | bytes) -> None:
    """A frame that is not a valid watch gets an error, and the third ends the connection with 1008."""
    async with following(board) as follower:
        for _ in range(3):
            await follower.socket.send(frame)
        for _ in range(2):
            error = await error_of(follower)
            assert set(error) == {"type", "code", "detail"}
            assert error["code"] == "invalid_request"
        assert await follower.closed() == 1008


async def test_two_bad_frames_do_not(client: httpx.AsyncClient, board: Served) -> None:
    """After two bad frames the connection still works."""
    payment = await start(client)
    async with following(board) as follower:
        for _ in range(2):
            await follower.socket.send("hello")
            assert (await error_of(follower))["code"] == "invalid_request"
        for _ in range(3):
            await follower.watch(payment["id"])
            await told(follower, payment["id"])


async def test_an_error_does_not_echo(board: Served) -> None:
    """The content of a bad frame is not echoed."""
    async with following(board) as follower:
        await follower.socket.send('{"type": "CanaryInTheInput"}')
        assert "Canary" not in json.dumps(await error_of(follower))


async def test_a_kibibyte_is_the_most(board: Served) -> None:
    """A frame of 1 KiB is read; one byte more ends the connection with 1009."""
    frame = '{"type": "watch", "payment_id": ""}'
    async with following(board) as follower:
        await follower.socket.send(frame.replace('""', json.dumps("x" * (1024 - len(frame)))))
        assert (await error_of(follower))["code"] == "not_found"
        await follower.socket.send("x" * 1025)
        assert await follower.closed() == 1009


async def test_a_message_in_pieces_is_counted_whole(board: Served) -> None:
    """A message in many small fragments does not bypass the limit: 1009, unless the connection is cut before."""
    async with following(board) as follower:
        with contextlib.suppress(websockets.ConnectionClosed):
            await follower.socket.send(["x" * 100] * 20)
        assert await follower.closed() in {1009, None}


async def test_text_that_is_not_utf_8_ends_the_connection(board: Served) -> None:
    """A text frame that is not UTF-8 ends the connection with 1007 (RFC 6455, section 8.1)."""
    async with following(board) as follower:
        await follower.socket.send(b'{"type": "\xff"}', text=True)
        assert await follower.closed() == 1007


async def test_the_url_names_no_payment(client: httpx.AsyncClient, board: Served) -> None:
    """A payment id in the socket's URL has no effect: URLs end up in logs, and the id is the payer's secret."""
    payment = await start(client)
    query = f"payment_id={payment['id']}&watch={payment['id']}&payment={payment['id']}"
    async with following(board, query=query) as follower:
        await act(client, payment, "expire")
        await follower.nothing()


async def test_watches_end_with_the_connection(client: httpx.AsyncClient, board: Served) -> None:
    """A new connection watches nothing by default."""
    payment = await start(client)
    async with following(board) as follower:
        await follower.watch(payment["id"])
        await told(follower, payment["id"])
        cursor = follower.cursor
    async with following(board, after=cursor[0], epoch=cursor[1]) as follower:
        await act(client, payment, "expire")
        await follower.nothing()


async def test_hasty_watchers_do_not_delay_the_others(client: httpx.AsyncClient, board: Served) -> None:
    """Clients that watch unknown payments and leave at once do not slow the feed down."""

    async def hasty() -> None:
        for _ in range(8):
            async with following(board) as follower:
                for number in range(16):
                    await follower.watch(f"{number:08}-0000-4000-8000-000000000001")
                follower.socket.transport.abort()

    async with following(board) as follower:
        payment = await start(client)
        rush = asyncio.gather(*(hasty() for _ in range(4)))
        await act(client, payment, "pay")
        async with asyncio.timeout(5):
            while (await follower.receive()).get("message", {}).get("text") != payment["text"]:
                pass
        await rush
