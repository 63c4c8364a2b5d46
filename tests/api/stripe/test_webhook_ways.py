"""The two ways of a webhook, received by the server itself or by the app: Stripe cannot tell them apart."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from paidchat.payments.fulfilment import Fulfilment
from tests.support.board_client import http_client, messages_with, start, stripe_session
from tests.support.following import following
from tests.support.logs import captured_logs
from tests.support.network.raw_http import Answer, RawHttp, exchange
from tests.support.rows import first_sweep_over
from tests.support.served import Served, served_board
from tests.support.waiting import until
from tests.support.webhooks import completed, event, paid, signature

pytestmark = pytest.mark.any_database
ORIGIN = "https://spa.example.com"
PATH = "/stripe/webhook"
ROUTED = f"{PATH}?"  # an empty query leaves a request to the app
VARYING = {"date", "x-request-id"}


@pytest.fixture(scope="module", params=["", ORIGIN], ids=["own origin", "another origin"])
def stage(request: pytest.FixtureRequest, backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board, once with an origin that may call it."""
    folder = tmp_path_factory.mktemp(backend)
    with served_board(folder, allowed_origins=request.param, reconcile_seconds=3600) as served:
        yield served


@pytest.fixture
async def client(stage: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that board."""
    async with http_client(stage) as found:
        yield found


def sent(payload: bytes, target: str, *fields: str, signed: str | None = None, version: str = "1.1") -> bytes:
    """A webhook's bytes."""
    head = [f"POST {target} HTTP/{version}", "Host: board", f"Content-Length: {len(payload)}", *fields]
    head += [f"Stripe-Signature: {signature(payload) if signed is None else signed}"]
    return "\r\n".join([*head, "", ""]).encode() + payload


def shown(answer: Answer) -> tuple[int, dict[str, str], Any]:
    """What two answers to the same webhook share."""
    assert set(answer.headers) >= VARYING
    body = {name: value for name, value in answer.json.items() if name != "request_id"}
    return answer.status, {name: value for name, value in answer.headers.items() if name not in VARYING}, body


def encoded(about: Any) -> bytes:
    """An event as it is sent."""
    return json.dumps(about).encode()


async def event_of_a_payment(client: httpx.AsyncClient) -> tuple[str, bytes]:
    """Start a payment with a text of its own; return the text, and the event that says it was paid."""
    text = f"Hello {uuid.uuid4()}"
    return text, encoded(completed(paid(await stripe_session(client, await start(client, text)))))


FOREIGN = encoded(event("customer.created", {"object": "customer"}))
OTHERS = {
    "none of ours": FOREIGN,
    "unreadable": b"{}",
    "not JSON": b"\xff",
    "unknown": encoded(completed(paid({"id": "cs_1", "object": "checkout.session"}))),
}
FIELDS = {
    "plain": [],
    "not kept": ["Connection: close"],
    "a list": ["Connection: keep-alive, Close"],
    "waiting": ["Expect: 100-continue"],
    "upgrade": ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"],
    "origin": [f"Origin: {ORIGIN}"],
    "another origin": ["Origin: https://evil.example.com"],
    "compressed": ["Content-Encoding: gzip"],
    "not compressed": ["Content-Encoding: identity"],
    "compressed twice": ["Content-Encoding: identity", "Content-Encoding: br"],
}
SIGNATURES = {"none": "", "nonsense": "t=1", "forged": signature(FOREIGN, "whsec_of_a_forger"), "old": "t=1,v1=00"}


async def alike(stage: Served, payload: bytes, *fields: str, **more: Any) -> Answer:
    """Send a webhook both ways, check that the answers are alike, and return one of them."""
    waits = any("100-continue" in field for field in fields)
    whole = await exchange(stage, sent(payload, PATH, *fields, **more))
    connection = await RawHttp.connect(stage)
    connection.send(sent(payload, ROUTED, *fields, **more))
    routed = await connection.answer()
    if waits and routed.status == 100:
        routed = await connection.answer()
    connection.close()
    assert shown(whole) == shown(routed)
    return whole


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_both_ways_answer_alike(stage: Served, name: str, version: str) -> None:
    """With an empty query, which the server leaves to the app, a webhook gets the same status, headers and body."""
    answer = await alike(stage, FOREIGN, *FIELDS[name], version=version)
    assert answer.status == (415 if name in {"compressed", "compressed twice"} else 200)


@pytest.mark.parametrize("name", OTHERS)
async def test_both_ways_answer_every_event_alike(stage: Served, name: str) -> None:
    """The same is true of events that say nothing, or nothing that can be read."""
    assert (await alike(stage, OTHERS[name])).status == 200


@pytest.mark.parametrize("name", SIGNATURES)
async def test_both_ways_refuse_alike(stage: Served, name: str) -> None:
    """What Stripe has not signed is refused in the same words."""
    assert (await alike(stage, FOREIGN, signed=SIGNATURES[name])).status == 400


async def test_a_payment_that_is_not_here_is_asked_for_again(stage: Served, client: httpx.AsyncClient) -> None:
    """Both ways, an event about a payment of this board's that it doesn't have is to be sent again."""
    _, payload = await event_of_a_payment(client)
    about = json.loads(payload)
    about["data"]["object"]["metadata"]["paidchat_payment"] = str(uuid.uuid4())
    answer = await alike(stage, encoded(about))
    assert (answer.status, answer.json["code"]) == (503, "payment_unknown")


async def test_refused_unread_while_too_many_wait(
    stage: Served, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While too many wait to write, both ways refuse a webhook before anything else; sent again, it is received."""
    text, payload = await event_of_a_payment(client)
    with monkeypatch.context() as crowded:
        crowded.setattr("paidchat.storage.writer.MOST_WAITING", 0)
        for signed in (None, ""):
            answer = await alike(stage, payload, signed=signed)
            assert (answer.status, answer.json["code"]) == (503, "not_ready")
            assert answer.headers["retry-after"] == "2"
    assert (await exchange(stage, sent(payload, PATH))).status == 200
    assert len(await messages_with(client, text)) == 1


async def test_a_body_may_come_later(stage: Served, client: httpx.AsyncClient) -> None:
    """A webhook whose body arrives after its head, or in pieces, is received like any other."""
    for pieces in (1, 2, 7):
        text, payload = await event_of_a_payment(client)
        whole = sent(payload, PATH)
        head = len(whole) - len(payload)
        step = -(-len(payload) // pieces)
        connection = await RawHttp.connect(stage)
        connection.send(whole[:head])
        for start_at in range(head, len(whole), step):
            await asyncio.sleep(0.02)
            connection.send(whole[start_at : start_at + step])
        assert (await connection.answer()).status == 200
        connection.close()
        assert len(await messages_with(client, text)) == 1


async def test_a_large_event_is_received(stage: Served, client: httpx.AsyncClient) -> None:
    """An event of a hundred kilobytes is received like any other."""
    text, payload = await event_of_a_payment(client)
    about = json.loads(payload)
    about["data"]["object"]["custom_text"] = "x" * 100_000
    assert (await exchange(stage, sent(encoded(about), PATH))).status == 200
    assert len(await messages_with(client, text)) == 1


async def test_webhooks_may_be_sent_ahead(stage: Served, client: httpx.AsyncClient) -> None:
    """Webhooks and other requests that are sent at once on one connection are answered one by one, in order."""
    paid_for = [await event_of_a_payment(client) for _ in range(5)]
    connection = await RawHttp.connect(stage)
    other = b"GET /api/board HTTP/1.1\r\nHost: board\r\n\r\n"
    connection.send(b"".join(sent(payload, PATH) + other for _, payload in paid_for) + sent(b"{}", PATH, signed=""))
    for _ in paid_for:
        assert (await connection.answer()).json == {"received": True}
        assert "price" in (await connection.answer()).json
    assert (await connection.answer()).status == 400
    connection.close()
    for text, _ in paid_for:
        assert len(await messages_with(client, text)) == 1


async def test_who_hangs_up_has_sent_it_all_the_same(stage: Served, client: httpx.AsyncClient) -> None:
    """A webhook takes effect even if its sender is gone before the answer."""
    text, payload = await event_of_a_payment(client)
    async with following(stage) as viewer:
        connection = await RawHttp.connect(stage)
        connection.send(sent(payload, PATH))
        await connection.writer.drain()
        connection.close()
        assert (await viewer.receive_entry())["message"]["text"] == text


async def test_both_ways_are_logged_and_counted_alike(tmp_path: Path, backend: str) -> None:
    """Each webhook has one log entry, the verdict has the same request id, and it counts for its route."""
    del backend
    with captured_logs() as logs, served_board(tmp_path, reconcile_seconds=3600) as served:
        await first_sweep_over(served.settings.database_url)
        async with http_client(served) as client:
            for target in (PATH, ROUTED):
                _, payload = await event_of_a_payment(client)
                answer = await exchange(served, sent(payload, target))
                entries = await logged(logs, answer.headers["x-request-id"])
                assert [(entry["event"], entry["log_level"]) for entry in entries] == [
                    ("checkout.fact", "info"),
                    ("request", "info"),
                ]
                assert (entries[1]["method"], entries[1]["path"], entries[1]["status"]) == ("POST", PATH, 200)
            metrics = (await client.get("/metrics")).text
    assert f'paidchat_requests_total{{route="{PATH}",status="200"}} 2.0' in metrics


async def logged(logs: list[MutableMapping[str, Any]], request_id: str) -> list[MutableMapping[str, Any]]:
    """The entries of a request, the last of which is written after the answer."""

    def found() -> list[MutableMapping[str, Any]]:
        return [each for each in logs if each.get("request_id") == request_id]

    await until(lambda: any(each["event"] == "request" for each in found()), "the request is logged")
    return found()


@pytest.mark.parametrize("target", [PATH, ROUTED])
async def test_a_bug_is_a_500_and_the_connection_goes_on(
    stage: Served, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody expected is a problem with 500, is logged, and leaves the connection as it was."""

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Fulfilment, "handle", broken)
    connection = await RawHttp.connect(stage)
    payload = encoded({**event("refund.created", {"payment_intent": "pi_1"}), "account": "acct_1"})
    with captured_logs() as logs:
        for _ in range(2):
            connection.send(sent(payload, target))
            answer = await connection.answer()
            assert (answer.status, answer.json["code"]) == (500, "internal_error")
    connection.close()
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["request.failed"] * 2
