"""The two ways to a ready answer, sent by the server itself or by the app: no client can tell them apart."""

import asyncio
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.board_client import http_client
from tests.support.logs import captured_logs
from tests.support.network.raw_http import Answer, RawHttp, exchange
from tests.support.rows import first_sweep_over
from tests.support.served import Served, served_board

ORIGIN = "https://spa.example.com"
PATHS = ["/api/messages", "/api/board", "/healthz", "/"]
VARYING = {"date", "x-request-id"}


@pytest.fixture(scope="module", params=["", ORIGIN], ids=["own origin", "another origin"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board, once with an origin that may call it."""
    folder = tmp_path_factory.mktemp("board")
    with served_board(folder, allowed_origins=request.param, reconcile_seconds=3600) as served:
        yield served


@pytest.fixture
async def quiet(stage: Served) -> Served:
    """The same board once it writes nothing by itself: documents tell when they were made."""
    await first_sweep_over(stage.settings.database_url)
    return stage


def asked(method: str, target: str, *fields: str, version: str = "1.1") -> bytes:
    """A request's bytes."""
    return "\r\n".join([f"{method} {target} HTTP/{version}", "Host: board", *fields, "", ""]).encode()


def fixed(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """What two answers to the same request share."""
    assert set(answer.headers) >= VARYING
    return answer.status, {k: v for k, v in answer.headers.items() if k not in VARYING}, answer.body


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", PATHS)
async def test_both_ways_answer_alike(quiet: Served, path: str, method: str, version: str) -> None:
    """With an empty query, which the server leaves to the app, a request gets the same status, headers and body."""
    tag = (await exchange(quiet, asked("GET", path))).headers.get("etag", '"none"')
    given = [
        [],
        ["Connection: close"],
        ["Connection: keep-alive, Close"],
        ["Expect: 100-continue"],
        ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"],
        ["Content-Length: 0"],
        [f"Origin: {ORIGIN}"],
        [f"Origin: {ORIGIN}", f"Origin: {ORIGIN}"],
        ["Origin: https://evil.example.com"],
        [f"If-None-Match: {tag}"],
        [f"If-None-Match: W/{tag}", f"Origin: {ORIGIN}"],
        ['If-None-Match: "another"', "If-None-Match: *"],
        ['If-None-Match: "another"'],
        ["Accept-Encoding: gzip"],
        ["Accept-Encoding: identity"],
    ]
    for fields in given:
        at_once, routed = [
            await exchange(quiet, asked(method, target, *fields, version=version), head_only=method == "HEAD")
            for target in (path, f"{path}?")
        ]
        assert fixed(at_once) == fixed(routed), fields


@pytest.mark.parametrize("path", PATHS)
async def test_a_connection_that_is_not_kept_ends(stage: Served, path: str) -> None:
    """After `Connection: close`, and for HTTP/1.0, the connection ends with the answer; otherwise it goes on."""
    for request in (asked("GET", path, "Connection: close"), asked("GET", path, version="1.0")):
        connection = await RawHttp.connect(stage)
        connection.send(request + asked("GET", path))
        assert (await connection.answer()).headers["connection"] == "close"
        assert await connection.reader.read() == b""
        connection.close()


async def logged(logs: list[MutableMapping[str, Any]], request_id: str) -> MutableMapping[str, Any]:
    """The one entry of a request, which is written after the answer."""
    for _ in range(500):
        if any(each.get("request_id") == request_id for each in logs):
            break
        await asyncio.sleep(0.01)
    [entry] = [each for each in logs if each.get("request_id") == request_id]
    return entry


@pytest.mark.parametrize("path", PATHS)
async def test_both_ways_are_logged_and_counted_alike(tmp_path: Path, path: str) -> None:
    """Each answer has one log entry, with the id in its header, and counts for its route."""

    def counted(metrics: str) -> float:
        name = f'paidchat_requests_total{{route="{path}",status="200"}} '
        return sum(float(line.removeprefix(name)) for line in metrics.splitlines() if line.startswith(name))

    with captured_logs() as logs, served_board(tmp_path) as served:
        async with http_client(served) as client:
            await client.get(path)
            before = counted((await client.get("/metrics")).text)
            for target in (path, f"{path}?"):
                for method in ("GET", "HEAD"):
                    answer = await exchange(served, asked(method, target), head_only=method == "HEAD")
                    entry = await logged(logs, answer.headers["x-request-id"])
                    assert (entry["event"], entry["method"], entry["path"]) == ("request", method, path)
                    assert (entry["status"], entry["log_level"]) == (200, "info")
                    assert 0 <= entry["ms"] < 1000
            assert counted((await client.get("/metrics")).text) == before + 4


@pytest.mark.any_database
@pytest.mark.parametrize("path", ["/api/messages", "/"])
async def test_any_number_of_requests_may_be_sent_ahead(quiet: Served, path: str) -> None:
    """Requests sent all at once are answered one by one, in order, also to a client that reads only afterwards."""
    count = 600  # documents are more than the buffers of both sockets hold
    connection = await RawHttp.connect(quiet)
    targets = [path if number % 7 else f"{path}?" for number in range(count)]
    connection.send(b"".join(asked("GET", target) for target in targets) + asked("GET", "/nowhere"))
    await asyncio.sleep(0.5)
    bodies = [(await connection.answer()).body for _ in targets]
    assert len(set(bodies)) == 1
    assert (await connection.answer()).status == 404
    connection.close()


async def test_others_are_served_while_one_sends_ahead(stage: Served) -> None:
    """A client that sends thousands of requests and reads nothing neither holds others up nor fills the memory."""
    greedy = await RawHttp.connect(stage)
    greedy.send(asked("GET", "/api/board") * 20_000)
    async with asyncio.timeout(5):
        for _ in range(5):
            assert (await exchange(stage, asked("GET", "/healthz"))).status == 200
    greedy.close()


@pytest.mark.parametrize("target", ["http://board/healthz", "/%68ealthz", "/healthz?x=1"])
async def test_an_address_may_be_written_in_other_ways(stage: Served, target: str) -> None:
    """Other ways to write an address get the same answer, from the app."""
    answers: list[Any] = [fixed(await exchange(stage, asked("GET", each))) for each in (target, "/healthz")]
    assert answers[0] == answers[1]
