"""WS /api/feed: which clients may connect, and how many; heartbeats and pings, slow readers, and shutdown."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import websockets

from paidchat.storage import queries
from tests.support.assets import asset
from tests.support.board_client import http_client
from tests.support.following import following
from tests.support.network.raw_socket import CLOSE, PING, TEXT, Frame, raw_socket
from tests.support.rows import opened, write_messages, write_payment
from tests.support.served import Running, Served, free_port, process, production, served_board
from tests.support.shapes import Json
from tests.support.transactions import reading, transaction
from tests.support.webhooks import completed, deliver

SPA = "https://spa.example.com"
HEARTBEAT_S = 20


@dataclass
class Quiet:
    """An idle connection: when it began, at which seq, and which frames arrived when."""

    seq: int
    began: float
    frames: list[tuple[float, Frame]]
    listening: asyncio.Task[None]


@pytest.fixture(scope="module", autouse=True)
async def quiet(backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Quiet]:
    """Start such a connection before the first test of this file, so that its 20 s pass during the others."""
    with served_board(tmp_path_factory.mktemp(backend)) as served:
        async with opened(served.settings.database_url) as database, following(served) as follower:
            await write_messages(database, 2)
            await follower.receive_all(2)
        async with raw_socket(served) as connection:
            seq = json.loads((await connection.frame()).payload)["seq"]
            frames: list[tuple[float, Frame]] = []

            async def listen() -> None:
                while {frame.opcode for _, frame in frames} != {TEXT, PING}:
                    frame = await connection.frame()
                    frames.append((time.monotonic(), frame))

            listening = asyncio.create_task(listen())
            yield Quiet(seq, time.monotonic(), frames, listening)
            listening.cancel()


async def refusal(served: Served, origin: str | None, path: str = "/api/feed") -> websockets.Response:
    """Try to connect and return the response that refuses it."""
    url = served.feed_url.removesuffix("/api/feed") + path
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(url, origin=None if origin is None else websockets.Origin(origin), proxy=None)
    return refused.value.response


async def test_no_origin_is_welcome(board: Served) -> None:
    """A client without an Origin is not a browser, and may follow."""
    async with following(board) as follower:
        assert follower.first["type"] == "snapshot"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_our_own_origin_is_welcome(board: Served, host: str) -> None:
    """The board's own page may follow, under either loopback name."""
    async with following(board, origin=board.url.replace("127.0.0.1", host)) as follower:
        assert follower.first["type"] == "snapshot"


async def test_a_configured_origin_is_welcome(tmp_path: Path) -> None:
    """A page on a configured origin may follow, one on another may not."""
    with served_board(tmp_path, allowed_origins=SPA) as served:
        async with following(served, origin=SPA) as follower:
            assert follower.first["type"] == "snapshot"
        async with following(served, origin=served.url) as follower:
            assert follower.first["type"] == "snapshot"
        assert (await refusal(served, f"{SPA}.evil.example.com")).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        SPA,
        "null",
        "file://",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "https://{own}",
        "http://{own}.evil.example.com",
        "http://evil.example.com/{own}",
        "http://evil.example.com@{own}",
        "{own}",
    ],
)
@pytest.mark.any_database
async def test_any_other_origin_is_403(board: Served, origin: str) -> None:
    """A page on any other origin is refused before the handshake, in the contract's form."""
    response = await refusal(board, origin.format(own=board.url.removeprefix("http://")))
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert response.body is not None
    problem = json.loads(response.body)
    assert (problem["status"], problem["code"]) == (403, "forbidden")
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert "evil" not in response.body.decode()


@pytest.mark.parametrize(
    "path", ["/", "/api/nothing", "/api/messages", "/healthz", "/api/feed/", asset("style.css"), "/sandbox"]
)
@pytest.mark.any_database
async def test_a_socket_elsewhere_is_refused(board: Served, path: str) -> None:
    """There is only one WebSocket; on other paths the handshake is 404, in the contract's form."""
    response = await refusal(board, None, path)
    assert response.status_code == 404
    assert response.body is not None
    assert json.loads(response.body)["code"] == "not_found"


async def test_too_many_viewers(tmp_path: Path) -> None:
    """Beyond the cap a connection is accepted and closed with 1013; when one leaves, there is room again."""
    with served_board(tmp_path, max_viewers=3) as served:
        async with following(served), following(served):
            async with following(served):
                async with websockets.connect(served.feed_url, proxy=None) as socket_:
                    with pytest.raises(websockets.ConnectionClosed) as closed:
                        await socket_.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1013
            await _room_again(served)


async def test_too_many_viewers_of_one_client(tmp_path: Path) -> None:
    """A client may have a limited number of connections; other clients are not affected."""
    behind = {"X-Forwarded-For": "203.0.113.7"}
    with served_board(tmp_path, max_viewers_per_client=2, trusted_proxies="127.0.0.1") as served:
        async with following(served), following(served):
            async with websockets.connect(served.feed_url, proxy=None) as socket_:
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await socket_.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013
            async with websockets.connect(served.feed_url, proxy=None, additional_headers=behind) as other:
                assert json.loads(await other.recv())["type"] == "snapshot"
        await _room_again(served)


async def test_viewers_of_one_network_are_one_client(tmp_path: Path) -> None:
    """Addresses in one /64 share its limit, as for payments; another /64 has its own."""

    async def first_of(address: str, served: Served) -> str | int:
        asking = {"X-Forwarded-For": address}
        socket_ = await websockets.connect(served.feed_url, proxy=None, additional_headers=asking)
        sockets.append(socket_)
        try:
            return str(json.loads(await socket_.recv())["type"])
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 0

    sockets: list[websockets.ClientConnection] = []
    with served_board(tmp_path, max_viewers_per_client=2, trusted_proxies="127.0.0.1") as served:
        addresses = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:9::", "2001:db8:0:1::1", "::ffff:203.0.113.7"]
        assert [await first_of(address, served) for address in addresses] == [
            "snapshot",
            "snapshot",
            1013,
            "snapshot",
            "snapshot",
        ]
        for socket_ in sockets:
            await socket_.close()


async def _room_again(served: Served) -> None:
    """Wait until a subscriber is admitted again."""
    for _ in range(100):
        try:
            async with following(served) as follower:
                assert follower.first["type"] == "snapshot"
                return
        except websockets.ConnectionClosed:
            await asyncio.sleep(0.05)
    raise AssertionError("there is no room")


async def viewers(client: httpx.AsyncClient) -> int:
    """The number of subscribers, from the metrics."""
    found = re.search(r"^paidchat_viewers (\d+)", (await client.get("/metrics")).text, re.MULTILINE)
    assert found is not None
    return int(found[1])


async def test_a_ping_is_answered(board: Served) -> None:
    """A client's own ping gets its pong."""
    async with following(board) as follower:
        async with asyncio.timeout(5):
            await (await follower.socket.ping(b"hello"))


@pytest.mark.any_database
async def test_a_client_that_never_reads_is_dropped(tmp_path: Path) -> None:
    """A subscriber that never reads is dropped without a close frame, and all others get everything, in order."""
    rounds, each = 8, 500
    with served_board(tmp_path) as served:
        async with (
            http_client(served) as client,
            opened(served.settings.database_url) as database,
            raw_socket(served, receive_buffer=4096) as stuck,
            following(served) as first,
            following(served) as second,
        ):
            for number in range(rounds):
                await write_messages(database, each, "\U0001f600" * 500)
                expected = list(range(number * each + 1, (number + 1) * each + 1))
                for follower in (first, second):
                    assert [frame["seq"] for frame in await follower.receive_all(each)] == expected
            for _ in range(100):
                if await viewers(client) == 2:
                    break
                await asyncio.sleep(0.05)
            assert await viewers(client) == 2
            async with asyncio.timeout(20):
                frames = await stuck.frames_until_the_end()
    assert CLOSE not in {frame.opcode for frame in frames}
    seqs = [json.loads(frame.payload)["seq"] for frame in frames]
    assert seqs == list(range(len(seqs)))
    assert len(seqs) < rounds * each


async def test_the_dropped_come_back_with_their_cursor(tmp_path: Path) -> None:
    """A dropped subscriber resumes where it was."""
    with served_board(tmp_path) as served:
        async with opened(served.settings.database_url) as database:
            async with following(served) as follower:
                await write_messages(database, 1)
                seen = (await follower.receive())["seq"]
                follower.socket.transport.abort()
            await write_messages(database, 2)
            async with following(served, after=seen, epoch=follower.first["epoch"]) as again:
                assert again.first["type"] == "resumed"
                assert [frame["seq"] for frame in await again.receive_all(2)] == [seen + 1, seen + 2]


async def ended(running: Running, within_s: float) -> None:
    """Wait until a process has ended, up to a limit."""
    await asyncio.to_thread(running.wait, within_s)


@pytest.mark.any_database
async def test_going_down_says_so_and_waits_for_nobody(tmp_path: Path) -> None:
    """At SIGTERM subscribers get 1012, and the process ends within 10 s, whatever stuck clients it has."""
    port = free_port()
    with process("serve", "--port", str(port), **production(tmp_path, port)) as running:
        served = Served(f"http://127.0.0.1:{port}", None)  # type: ignore[arg-type]  # of a process only its address
        half = socket.create_connection(("127.0.0.1", port))
        half.sendall(
            b"POST /api/payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        async with raw_socket(served), following(served) as follower:
            running.send_signal(signal.SIGTERM)
            assert await follower.closed() == 1012
            await ended(running, 10)
        half.close()


def paid_session(payment_id: str, tag: str) -> Json:
    """A paid session of a payment of this board."""
    return {
        "id": f"cs_test_{uuid.uuid4().hex}",
        "object": "checkout.session",
        "status": "complete",
        "payment_status": "paid",
        "livemode": False,
        "payment_intent": f"pi_{uuid.uuid4().hex}",
        "client_reference_id": payment_id,
        "metadata": {"paidchat_payment": payment_id, "paidchat_board": tag},
        "amount_subtotal": 100,
        "amount_total": 100,
        "currency": "usd",
    }


@pytest.mark.any_database
async def test_what_was_answered_before_going_down_is_there(tmp_path: Path) -> None:
    """Of the webhooks in progress at SIGTERM, each that got a 200 is on disk, and none is half done."""
    port = free_port()
    environment = production(tmp_path, port)
    with process("serve", "--port", str(port), **environment) as running:
        async with opened(environment["PAIDCHAT_DATABASE_URL"]) as database:
            async with transaction(database) as connection:
                tag = (await connection.run_sync(queries.read_board)).tag
                ids = [await write_payment(connection) for _ in range(60)]
            served = Served(f"http://127.0.0.1:{port}", None)  # type: ignore[arg-type]
            async with http_client(served) as client:
                sent = [asyncio.create_task(deliver(client, completed(paid_session(id_, tag)))) for id_ in ids]
                await sent[0]
                running.send_signal(signal.SIGTERM)
                answers = await asyncio.gather(*sent, return_exceptions=True)
            await ended(running, 10)
            async with reading(database) as connection:
                rows = {row.id: row for row in await connection.run_sync(queries.find_payments, ids)}
                head = (await connection.run_sync(queries.read_board)).seq
                entries = await connection.run_sync(queries.log_after, 0, 100)
    answered = [
        id_
        for id_, answer in zip(ids, answers, strict=True)
        if isinstance(answer, httpx.Response) and answer.status_code == 200
    ]
    posted = {id_ for id_, row in rows.items() if row.message_id is not None}
    assert answered
    assert set(answered) <= posted
    assert {id_ for id_, row in rows.items() if row.status == "fulfilled"} == posted
    assert [entry.seq for entry in entries] == list(range(1, head + 1))
    assert len(entries) == len(posted)


@pytest.mark.any_database
def test_a_script_needs_two_libraries(board: Served) -> None:
    """A script with only an HTTP and a WebSocket client pays, and sees its message and its payment's end."""
    script = (
        "import asyncio, json, sys\n"
        "import httpx, websockets\n"
        "async def run(url):\n"
        "    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:\n"
        "        socket = 'ws' + url.removeprefix('http') + '/api/feed'\n"
        "        async with websockets.connect(socket, proxy=None) as feed:\n"
        "            await feed.recv()\n"
        "            payment = (await http.post('/api/payments', json={'text': 'From a script'})).json()\n"
        "            await feed.send(json.dumps({'type': 'watch', 'payment_id': payment['id']}))\n"
        "            session = payment['checkout_url'].rsplit('/', 1)[1]\n"
        "            await http.post(f'/sandbox/test/sessions/{session}/pay')\n"
        "            async for frame in feed:\n"
        "                frame = json.loads(frame)\n"
        "                print(frame['type'], frame.get('payment', {}).get('status', ''))\n"
        "                if frame.get('payment', {}).get('status') == 'fulfilled':\n"
        "                    break\n"
        "asyncio.run(run(sys.argv[1]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, board.url], capture_output=True, text=True, timeout=60, check=True
    )
    assert "message.posted " in run.stdout
    assert run.stdout.splitlines()[-1] == "payment.updated fulfilled"


@pytest.mark.any_database
async def test_a_quiet_connection_shows_signs_of_life(quiet: Quiet) -> None:
    """After 20 idle seconds a heartbeat arrives at the same seq, long before 45 s, and so do pings."""
    async with asyncio.timeout(HEARTBEAT_S + 15):
        await quiet.listening
    [(came, heartbeat)] = [(came, frame) for came, frame in quiet.frames if frame.opcode == TEXT]
    assert json.loads(heartbeat.payload) == {"type": "heartbeat", "seq": quiet.seq}
    assert HEARTBEAT_S - 2 < came - quiet.began < 45
