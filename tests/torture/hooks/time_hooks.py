"""Time hooks: shorten waits that are too long for a run, move the clock, and delay Stripe's answers."""

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
    """Make the leases and claims of a dead process end after this many seconds."""
    replace(reconciler, "LEASE_TTL", lambda _: timedelta(seconds=seconds))
    for owner in (checkout, checkout_sessions, reconciler):
        replace(owner, "CLAIM_TTL", lambda _: timedelta(seconds=seconds))


def put_sweep(seconds: float) -> None:
    """Make the reconciler's first pass start this many seconds after the start."""
    replace(reconciler, "FIRST_DELAY_S", lambda _: seconds)


def put_clock_ahead(seconds: float) -> None:
    """Set the wall clock, as the board reads it, this many seconds ahead (or back, if negative)."""
    replace(clock, "now", lambda now: lambda: now() + timedelta(seconds=seconds))


def hold_answers() -> None:
    """Delay Stripe's first answer about each payment intent, so that the next ones overtake it."""
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
