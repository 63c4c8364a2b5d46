"""The main flow, over the public interface only: pay, and everybody sees it."""

import httpx

from tests.support.following import following
from tests.support.served import Served


async def test_a_payment_posts_its_message(board: Served, client: httpx.AsyncClient) -> None:
    """Paying a session posts its message to subscribers and updates its watchers, in this order."""
    async with following(board) as feed:
        snapshot = feed.first
        assert snapshot["type"] == "snapshot"
        payment = (await client.post("/api/payments", json={"text": "Hello", "author": "Ann"})).json()
        await feed.watch(payment["id"])
        assert (await feed.receive())["payment"]["status"] == "pending"

        session = payment["checkout_url"].rsplit("/", 1)[1]
        assert (await client.post(f"/sandbox/test/sessions/{session}/pay")).status_code == 200

        posted = await feed.receive()
        assert posted["type"] == "message.posted"
        assert posted["seq"] == posted["message"]["id"] == snapshot["seq"] + 1
        updated = await feed.receive()
        assert updated["payment"] == {
            **payment,
            "status": "fulfilled",
            "checkout_url": None,
            "message_id": posted["seq"],
        }
    assert (await client.get(f"/api/messages/{posted['seq']}")).json() == posted["message"]
