"""Time hooks: waits of the board's that a run cannot sit out, and answers of Stripe's that arrive late."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

from paidchat import checkout, reconciler
from paidchat.stripe_gateway import StripeGateway
from tests.torture.patches import replace

HELD_S = 0.5


def shorten(seconds: float) -> None:
    """Let what a dead process held, the sweep or a payment's claim, be free after so many seconds."""
    for owner, name in ((reconciler, "LEASE"), (checkout, "CLAIM")):
        replace(owner, name, lambda _: timedelta(seconds=seconds))


def put_sweep(seconds: float) -> None:
    """Let the first sweep come so many seconds after the start."""
    replace(reconciler, "FIRST_DELAY_S", lambda _: seconds)


def hold_answers() -> None:
    """Hold every other of Stripe's answers about an intent, from the first on, so that the next overtakes it."""
    asked = itertools.count()

    def held(retrieve: Any) -> Any:
        async def retrieve_late(gateway: StripeGateway, payment_intent: str) -> Any:
            late = next(asked) % 2 == 0
            answer = await retrieve(gateway, payment_intent)
            if late:
                await asyncio.sleep(HELD_S)
            return answer

        return retrieve_late

    replace(StripeGateway, "retrieve_intent", held)
