"""/api/admin: moderation and refunds, for holders of the token and nobody else."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from paidchat.storage import queries, refund_queue
from tests.support.board_client import http_client, look_up, messages_with, post, sessions_of, start, until_status
from tests.support.following import following
from tests.support.rows import opened
from tests.support.served import Served, served_board
from tests.support.shapes import Json
from tests.support.transactions import reading, transaction

TOKEN = "token-of-the-administration"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def administered(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A board with an admin token."""
    with served_board(tmp_path_factory.mktemp(backend), admin_token=TOKEN, reconcile_seconds=1) as served:
        yield served


async def remove(client: httpx.AsyncClient, message_id: int, **query: Any) -> httpx.Response:
    """Take a message off the board."""
    return await client.delete(f"/api/admin/messages/{message_id}", params=query, headers=AUTHORIZED)


async def restore(client: httpx.AsyncClient, message_id: int) -> httpx.Response:
    """Restore a message."""
    return await client.post(f"/api/admin/messages/{message_id}/restore", headers=AUTHORIZED)


async def payment_of(served: Served, message: Json) -> str:
    """The id of the payment that posted a message."""
    async with opened(served.settings.database_url) as database, reading(database) as connection:
        row = await connection.run_sync(queries.find_message, message["id"])
    assert row is not None
    return row.message.payment_id


async def refunded(client: httpx.AsyncClient, payment_id: str) -> list[int]:
    """How much was refunded, for each session of a payment."""
    return [session["amount_refunded"] for session in await sessions_of(client, payment_id)]


async def until_refunded(client: httpx.AsyncClient, payment_id: str) -> None:
    """Wait until all of a payment's money was refunded."""
    for _ in range(200):
        if await refunded(client, payment_id) == [100]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the money did not go back")


@pytest.mark.parametrize("headers", [{}, AUTHORIZED, {"Authorization": "Bearer None"}])
async def test_without_a_token_there_is_nothing(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """A board without a configured token has no admin API, whatever is sent."""
    message = await post(client)
    for method, path in (("DELETE", ""), ("POST", "/restore")):
        answer = await client.request(method, f"/api/admin/messages/{message['id']}{path}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await client.get(f"/api/messages/{message['id']}")).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer None",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer  {TOKEN} {TOKEN}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \u00e9\u00ff",
        "Bearer " + "x" * 5000,
    ],
)
async def test_a_wrong_token_is_401(administered: Served, authorization: str | None) -> None:
    """Any other token is 401, for messages that exist and those that don't, and changes nothing."""
    headers = {} if authorization is None else {b"Authorization": authorization.encode("latin-1")}
    async with http_client(administered) as client:
        message = await post(client)
        for method, path in (("DELETE", ""), ("POST", "/restore")):
            for message_id in (message["id"], 999_999):
                url = f"/api/admin/messages/{message_id}{path}"
                answer = await client.request(method, url, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
                assert answer.headers["www-authenticate"].startswith('Bearer realm="paidchat"')
                assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.get(f"/api/messages/{message['id']}")).status_code == 200


@pytest.mark.any_database
@pytest.mark.parametrize("scheme", ["bearer ", "BEARER ", "bEaReR ", "Bearer   ", "bearer  "])
async def test_a_scheme_has_no_case(administered: Served, scheme: str) -> None:
    """The token is accepted with the scheme in any case and any number of spaces after it (RFC 9110, section 11.4)."""
    async with http_client(administered) as client:
        headers = {"Authorization": f"{scheme}{TOKEN}"}
        answer = await client.post("/api/admin/messages/999999/restore", headers=headers)
        assert answer.status_code == 404


@pytest.mark.any_database
async def test_what_is_no_bearer_token_is_401(administered: Served) -> None:
    """Anything that only looks like a scheme and a token is refused."""
    near = [f"Bearer\t{TOKEN}", f"Bearer{TOKEN}", f"Bearer: {TOKEN}", f"Bearer {TOKEN},", f"Bearer, Bearer {TOKEN}"]
    async with http_client(administered) as client:
        for given in near:
            answer = await client.post("/api/admin/messages/999999/restore", headers={"Authorization": given})
            assert answer.status_code == 401


@pytest.mark.any_database
async def test_two_authorizations_are_none(administered: Served) -> None:
    """Two tokens are ambiguous and refused."""
    async with http_client(administered) as client:
        headers = [*AUTHORIZED.items(), ("Authorization", "Bearer other")]
        for given in (headers, headers[::-1], headers[:1] * 2):
            answer = await client.post("/api/admin/messages/999999/restore", headers=given)
            assert answer.status_code == 401


async def test_a_removed_message_leaves_at_once(administered: Served) -> None:
    """A removal is 204, reaches subscribers, and leaves 410 `moderated`; a repeat is 204 and sends nothing."""
    async with http_client(administered) as client, following(administered) as follower:
        message = await post(client, "To be removed")
        assert (await follower.receive())["message"] == message
        for _ in range(2):
            answer = await remove(client, message["id"])
            assert (answer.status_code, answer.content) == (204, b"")
        gone = await client.get(f"/api/messages/{message['id']}")
        removed = await follower.receive()
        assert removed["seq"] == message["id"] + 1
        assert (removed["type"], removed["message_id"]) == ("message.removed", message["id"])
        assert removed["reason"] == gone.json()["reason"] == "moderated"
        assert gone.status_code == 410
        assert await messages_with(client, "To be removed") == []
        await follower.nothing()


async def test_a_removal_leaves_the_payment_alone(administered: Served) -> None:
    """A removed message's payment stays fulfilled, keeps its message id, and is not refunded."""
    async with http_client(administered) as client:
        message = await post(client)
        payment_id = await payment_of(administered, message)
        await remove(client, message["id"])
        payment = await look_up(client, payment_id)
        assert (payment["status"], payment["message_id"]) == ("fulfilled", message["id"])
        assert await refunded(client, payment_id) == [0]


async def test_a_restored_message_comes_back_at_its_place(administered: Served) -> None:
    """A restoration is 200 with the message and reaches subscribers; a repeat is 200 and sends nothing."""
    async with http_client(administered) as client:
        message = await post(client, "To be restored")
        await remove(client, message["id"])
        async with following(administered) as follower:
            for _ in range(2):
                answer = await restore(client, message["id"])
                assert (answer.status_code, answer.json()) == (200, message)
            while (restored := await follower.receive())["type"] != "message.restored":
                pass  # the removal, if the snapshot was older
            assert restored == {"type": "message.restored", "seq": message["id"] + 2, "message": message}
            await follower.nothing()
        assert await messages_with(client, "To be restored") == [message]


async def test_restoring_what_was_not_removed_gives_it(administered: Served) -> None:
    """Restoring a message that is on the board is 200 with it, and writes no log entry."""
    async with http_client(administered) as client:
        message = await post(client)
        assert (await restore(client, message["id"])).json() == message
        assert (await client.get("/api/messages")).json()["seq"] == message["id"]


@pytest.mark.parametrize("message_id", [0, 999_999, 2**31, 2**63 - 1])
async def test_an_unknown_message_is_404(administered: Served, message_id: int) -> None:
    """A message that never existed can be neither removed nor restored."""
    async with http_client(administered) as client:
        for answer in (await remove(client, message_id), await restore(client, message_id)):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("message_id", ["x", "-1", "1.5", "9" * 30])
async def test_what_is_no_message_id_is_no_5xx(administered: Served, message_id: str) -> None:
    """An invalid message id is a client error."""
    async with http_client(administered) as client:
        for method, path in (("DELETE", ""), ("POST", "/restore")):
            url = f"/api/admin/messages/{message_id}{path}"
            assert (await client.request(method, url, headers=AUTHORIZED)).status_code in {404, 422}


async def test_a_removal_can_send_the_money_back(administered: Served) -> None:
    """With `refund=true` the message is removed and its payer is refunded, immediately and once."""
    async with http_client(administered) as client:
        message = await post(client)
        payment_id = await payment_of(administered, message)
        for _ in range(3):
            assert (await remove(client, message["id"], refund="true")).status_code == 204
        await until_refunded(client, payment_id)
        payment = await until_status(client, payment_id, "refunded")
        assert payment["message_id"] == message["id"]
        assert (await client.get(f"/api/messages/{message['id']}")).status_code == 410


async def test_the_money_can_go_back_later(administered: Served) -> None:
    """A message that was removed without a refund can be refunded by removing it again with one."""
    async with http_client(administered) as client:
        message = await post(client)
        payment_id = await payment_of(administered, message)
        await remove(client, message["id"])
        assert (await remove(client, message["id"], refund="true")).status_code == 204
        await until_refunded(client, payment_id)


async def test_what_was_refunded_stays_off(administered: Served) -> None:
    """Restoring a refunded message is 409 `conflict`, and it stays off the board."""
    async with http_client(administered) as client:
        message = await post(client)
        payment_id = await payment_of(administered, message)
        await remove(client, message["id"], refund="true")
        await until_status(client, payment_id, "refunded")
        answer = await restore(client, message["id"])
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert (await client.get(f"/api/messages/{message['id']}")).status_code == 410


@pytest.mark.parametrize("fault", [{"status": 500, "count": 3}, {"drop_answer": 3}], ids=["failing", "answers lost"])
async def test_a_refund_that_failed_is_sent_again(tmp_path: Path, fault: Json) -> None:
    """If Stripe fails just then, the message is removed all the same, and the reconciler sends the refund, once."""
    with served_board(tmp_path, admin_token=TOKEN, reconcile_seconds=0.5) as served:
        async with http_client(served) as client:
            message = await post(client)
            payment_id = await payment_of(served, message)
            await client.put("/sandbox/test/faults", json={"api": fault})
            assert (await remove(client, message["id"], refund="true")).status_code == 204
            assert (await client.get(f"/api/messages/{message['id']}")).status_code == 410
            await client.delete("/sandbox/test/faults")
            async with opened(served.settings.database_url) as database, transaction(database) as connection:
                # A retry is only due after some seconds; the test does not wait for that.
                await connection.execute(update(refund_queue.refund).values(due_at=datetime.now(UTC)))
            await until_refunded(client, payment_id)


async def test_a_start_needs_no_token(administered: Served) -> None:
    """Paying and reading need no token on a board that has one."""
    async with http_client(administered) as client:
        assert (await start(client))["status"] == "pending"
