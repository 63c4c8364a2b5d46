"""Time hooks: waits of the board's that a run cannot sit out, and answers of Stripe's that arrive late."""

import asyncio
from datetime import timedelta
from typing import Any

from paidchat import clock
from paidchat.payments import checkout, reconciler
from paidchat.payments import sessions as checkout_sessions
from paidchat.stripe.gateway import StripeGateway
from tests.torture.hooks.patches import replace

HELD_S = 1.5


def shorten(seconds: float) -> None:
    """Let what a dead process held, the sweep or a payment's claim, be free after so many seconds."""
    replace(reconciler, "LEASE_TTL", lambda _: timedelta(seconds=seconds))
    for owner in (checkout, checkout_sessions, reconciler):
        replace(owner, "CLAIM_TTL", lambda _: timedelta(seconds=seconds))


def put_sweep(seconds: float) -> None:
    """Let the first sweep come so many seconds after the start."""
    replace(reconciler, "FIRST_DELAY_S", lambda _: seconds)


def put_clock_ahead(seconds: float) -> None:
    """Put the wall clock, as the board reads it, so many seconds ahead; back, if they are negative."""
    replace(clock, "now", lambda now: lambda: now() + timedelta(seconds=seconds))


def hold_answers() -> None:
    """Hold Stripe's first answer about each intent, so that the next ones overtake it."""
    asked: set[str] = set()

    def held(retrieve: Any) -> Any:
        async def retrieve_late(gateway: StripeGateway, payment_intent: str, question: Any) -> Any:
            late = payment_intent not in asked
            asked.add(payment_intent)
            answer = await retrieve(gateway, payment_intent, question)
            if late:
                await asyncio.sleep(HELD_S)
            return answer

        return retrieve_late

    replace(StripeGateway, "retrieve_intent", held)
