"""Idempotency-Key: one key, one payment, one session, however often and whenever it is sent."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.board_client import act, faithful_client, http_client, sessions_of, start
from tests.support.rows import first_sweep_over, next_payment_in, payments_in
from tests.support.served import Served, free_port, served_board

HELLO = {"text": "Hello", "author": "Ann"}


@pytest.fixture(scope="module")
def shared(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board of this module's own."""
    with served_board(tmp_path_factory.mktemp(backend), reconcile_seconds=3600) as served:
        yield served


@pytest.fixture
async def faulty(shared: Served) -> Served:
    """A board whose sandbox is made to fail, after its first sweep, whose calls would use up the faults."""
    await first_sweep_over(shared.settings.database_url)
    return shared


def new_key() -> str:
    """A key as a page would make it."""
    return str(uuid.uuid4())


async def send(client: httpx.AsyncClient, key: str | None, body: Any = None) -> httpx.Response:
    """Start a payment with a key."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post("/api/payments", json=HELLO if body is None else body, headers=headers)


async def send_patiently(client: httpx.AsyncClient, key: str) -> httpx.Response:
    """Start a payment with a key; if a sweep is asking Stripe about it just then, wait as told and send it again."""
    for _ in range(10):
        answer = await send(client, key)
        if answer.status_code != 409:
            break
        await asyncio.sleep(int(answer.headers["retry-after"]))
    return answer


async def test_the_same_key_is_the_same_payment(client: httpx.AsyncClient) -> None:
    """The same key with the same body is 201 again, with the same payment and the same checkout URL."""
    key = new_key()
    first, second = await send(client, key), await send(client, key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second.headers["location"] == first.headers["location"]
    assert len(await sessions_of(client, first.json()["id"])) == 1


async def test_the_answer_is_the_payment_as_it_is_now(client: httpx.AsyncClient) -> None:
    """The same key after paying returns the payment in its current state."""
    key = new_key()
    payment = (await send(client, key)).json()
    await act(client, payment, "pay")
    again = await send(client, key)
    assert again.status_code == 201
    assert again.json()["status"] == "fulfilled"
    assert again.json()["message_id"] is not None


async def test_without_a_key_every_request_is_a_payment(client: httpx.AsyncClient) -> None:
    """Two requests without a key, and two with different keys, make two payments each."""
    ids = [(await send(client, key)).json()["id"] for key in (None, None, new_key(), new_key())]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    "body", [{"text": "Other", "author": "Ann"}, {"text": "Hello"}, {"text": "Hello", "author": "A"}]
)
async def test_another_body_is_a_conflict(client: httpx.AsyncClient, body: dict[str, str]) -> None:
    """The same key with another text or author is 422 `idempotency_conflict`, and the first payment is unchanged."""
    key = new_key()
    payment = (await send(client, key)).json()
    other = await send(client, key, body)
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_conflict"
    assert (await send(client, key)).json() == payment


@pytest.mark.parametrize("key", ["k" * 16, "k" * 255, "".join(map(chr, range(0x21, 0x7F))), "a key with spaces in it"])
async def test_printable_ascii_of_some_length_is_a_key(client: httpx.AsyncClient, key: str) -> None:
    """16 to 255 printable ASCII characters are a key."""
    unique = f"{uuid.uuid4().hex[:8]}{key}"[: max(len(key), 16)]
    assert (await send(client, unique)).status_code == 201


@pytest.mark.parametrize(
    "key",
    [b"", b"k" * 15, b"k" * 256, b"k" * 5000, b"k" * 16 + b"\t" + b"k", b"k" * 16 + "é".encode(), b"k" * 16 + b"\xff"],
)
async def test_anything_else_is_no_key(client: httpx.AsyncClient, key: bytes) -> None:
    """A key that is too short, too long or not printable ASCII is 422, and creates no payment."""
    answer = await client.post("/api/payments", json=HELLO, headers={b"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"


@pytest.mark.any_database
async def test_two_keys_are_none(board: Served) -> None:
    """Two keys are ambiguous: 422, and no payment under either."""
    keys = [("Idempotency-Key", str(uuid.uuid4())) for _ in range(2)]
    async with faithful_client(board) as client:
        answer = await client.post("/api/payments", json={"text": "Hello"}, headers=keys)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert [error["field"] for error in answer.json()["errors"]] == ["idempotency-key"]


async def test_parallel_requests_make_one_payment(tmp_path: Path) -> None:
    """Twenty concurrent requests with one key make one payment and one session; those told to wait get it later."""
    key = new_key()
    with served_board(tmp_path) as served:
        async with http_client(served) as client:
            answers = await asyncio.gather(*(send(client, key) for _ in range(20)))
            settled = await send(client, key)
            sessions = (await client.get("/sandbox/test/ledger")).json()["sessions"]
        made = await payments_in(served.settings.database_url)
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency_in_progress"}
    assert {answer.json()["id"] for answer in answers if answer.status_code == 201} == {settled.json()["id"]}
    assert made == [settled.json()["id"]]
    assert [session["client_reference_id"] for session in sessions] == made


async def test_a_request_under_way_is_409(faulty: Served) -> None:
    """While the first request is in progress, the second is told to come back, and when."""
    key = new_key()
    async with http_client(faulty) as client:
        await client.put("/sandbox/test/faults", json={"api": {"hang_s": 1.5, "count": 1}})
        before = await payments_in(faulty.settings.database_url)
        first = asyncio.create_task(send(client, key))
        await next_payment_in(faulty.settings.database_url, before)
        second = await send(client, key)
        other = await send(client, key, {"text": "Other"})
        made = await first
        third = await send(client, key)
    assert second.status_code == 409
    assert second.json()["code"] == "idempotency_in_progress"
    assert 1 <= int(second.headers["retry-after"]) <= 30
    assert other.json()["code"] == "idempotency_conflict"
    assert (made.status_code, third.status_code) == (201, 201)
    assert third.json() == made.json()


async def test_a_key_outlives_a_restart(tmp_path: Path) -> None:
    """The same key after a restart on the same folder is the same payment with the same checkout URL."""
    key, port = new_key(), free_port()
    answers = []
    for _ in range(2):
        with served_board(tmp_path, port) as served:
            async with http_client(served) as client:
                answers.append(await send(client, key))
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1].json() == answers[0].json()


async def test_after_a_503_the_key_goes_on_with_its_payment(tmp_path: Path) -> None:
    """After Stripe could not be reached, the same key later creates the session of the same payment."""
    key, port = new_key(), free_port()
    with served_board(tmp_path, port, stripe_api_base=f"http://127.0.0.1:{free_port()}") as served:
        async with http_client(served) as client:
            down = await send(client, key)
        [made] = await payments_in(served.settings.database_url)
    with served_board(tmp_path, port) as served:
        async with http_client(served) as client:
            up = await send_patiently(client, key)
            sessions = await sessions_of(client, made)
        assert await payments_in(served.settings.database_url) == [made]
    assert down.status_code == 503
    assert down.json()["code"] == "payment_provider_unavailable"
    assert up.status_code == 201
    assert up.json()["id"] == made
    assert up.json()["checkout_url"].endswith(sessions[0]["id"])
    assert len(sessions) == 1


@pytest.mark.parametrize(
    "fault",
    [{"drop_answer": 1}, {"drop_answer": 2}, {"status": 500, "count": 4}, {"status": 429, "count": 9}],
    ids=["one answer lost", "two answers lost", "500 for a while", "429 for a while"],
)
async def test_a_stumbling_stripe_makes_no_second_session(faulty: Served, fault: dict[str, Any]) -> None:
    """Whatever Stripe does for a while, retrying with the key ends in one payment with one session."""
    key = new_key()
    async with http_client(faulty) as client:
        await client.put("/sandbox/test/faults", json={"api": fault})
        for _ in range(10):
            answer = await send(client, key)
            if answer.status_code == 201:
                break
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
        await client.delete("/sandbox/test/faults")
        payment = answer.json()
        assert payment["checkout_url"] is not None
        assert len(await sessions_of(client, payment["id"])) == 1


async def test_one_lost_answer_is_not_felt(faulty: Served) -> None:
    """If Stripe's first response is lost, the payer still gets the session."""
    async with http_client(faulty) as client:
        await client.put("/sandbox/test/faults", json={"api": {"drop_answer": 1}})
        payment = await start(client)
        assert len(await sessions_of(client, payment["id"])) == 1
