"""Money of another amount than the price buys nothing, whatever becomes of it afterwards."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from tests.support.board_client import act, http_client, messages_with, start
from tests.support.network.strangers import tampering
from tests.support.served import free_port, served_board

CHARGED = 50  # cents, where the price is a dollar
TOTALS = {"checkout.session": ("amount_subtotal", "amount_total"), "payment_intent": ("amount",)}


def charged_less(path: str, answer: Any) -> Any:
    """Change the amount of every session and payment intent in a response."""
    if isinstance(answer, list):
        return [charged_less(path, each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    changed = {name: charged_less(path, value) for name, value in answer.items()}
    return changed | dict.fromkeys(TOTALS.get(str(answer.get("object")), ()), CHARGED)


async def refused(client: httpx.AsyncClient) -> float:
    """Return how many facts were refused for their amount, from the metrics."""
    name = 'paidchat_stripe_facts_total{verdict="wrong_amount"}'
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def until_refused(client: httpx.AsyncClient, before: float) -> None:
    """Wait until one more fact is refused for its amount."""
    async with asyncio.timeout(20):
        while await refused(client) <= before:  # noqa: ASYNC110 - it is the board that counts
            await asyncio.sleep(0.1)


async def test_a_refund_that_fails_does_not_post_another_amount(tmp_path: Path) -> None:
    """A payment of another amount is not posted, and neither a refund nor its failure changes that."""
    async with tampering() as between:
        between.change = charged_less
        port = free_port()
        between.target = f"http://127.0.0.1:{port}/sandbox"
        with served_board(tmp_path, port, reconcile_seconds=1, stripe_api_base=between.url) as served:
            async with http_client(served) as client:
                await client.put("/sandbox/test/faults", json={"webhook": {"drop": "all"}})
                payment = await start(client, "Paid by half")
                await act(client, payment, "pay")
                await until_refused(client, 0)
                for verb in ("refund", "refund_fail"):
                    await client.delete("/sandbox/test/faults")
                    before = await refused(client)
                    await act(client, payment, verb)
                    await until_refused(client, before)
                    now = (await client.get(f"/api/payments/{payment['id']}")).json()
                    assert (now["status"], now["message_id"]) == ("pending", None)
                assert await messages_with(client, payment["text"]) == []
