"""The main flow, over the public interface only: pay, and everybody sees it."""

import json

import httpx
import websockets

from tests.support.served import Served


async def test_a_payment_posts_its_message(board: Served, client: httpx.AsyncClient) -> None:
    """Paying a session posts its message to subscribers and updates its watchers, in this order."""
    async with websockets.connect(board.feed_url) as feed:
        snapshot = json.loads(await feed.recv())
        assert snapshot["type"] == "snapshot"
        payment = (await client.post("/api/payments", json={"text": "Hello", "author": "Ann"})).json()
        await feed.send(json.dumps({"type": "watch", "payment_id": payment["id"]}))
        assert json.loads(await feed.recv())["payment"]["status"] == "pending"

        session = payment["checkout_url"].rsplit("/", 1)[1]
        assert (await client.post(f"/sandbox/test/sessions/{session}/pay")).status_code == 200

        posted = json.loads(await feed.recv())
        assert posted["type"] == "message.posted"
        assert posted["seq"] == posted["message"]["id"] == snapshot["seq"] + 1
        updated = json.loads(await feed.recv())
        assert updated["payment"] == {
            **payment,
            "status": "fulfilled",
            "checkout_url": None,
            "message_id": posted["seq"],
        }
    assert (await client.get(f"/api/messages/{posted['seq']}")).json() == posted["message"]
