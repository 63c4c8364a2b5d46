"""Stories: the events of one payment, delivered to a board that may die at any of them and get the rest later."""

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import Literal

import httpx

from tests.support.shapes import Json
from tests.torture.harness.payers import ask
from tests.torture.harness.world import ADMIN_TOKEN, World

Told = Literal["in order", "duplicates first", "reversed"]
ORDERS: tuple[Told, ...] = ("in order", "duplicates first", "reversed")
AUTHORIZED = {"Authorization": "Bearer sk_test_of_the_tests"}
TAGS = ("paidchat_payment", "paidchat_board")


@dataclass(frozen=True)
class Plot:
    """What happens in a story.

    Attributes:
        name: of the plot, for the table.
        before: verbs of the sandbox whose events are delivered immediately, in order.
        verbs: verbs whose events are delivered in the order under test; see `by`.
        sessions: how many Checkout Sessions the payment has; the verbs are applied to each.
        by: how the board learns of it, and during what it may die: `create`, starting the payment; `webhook`;
            `landing`, the lookup by the page the payer comes back to; `sweep`; `moderate`, a removal at the end.
    """

    name: str
    verbs: tuple[str, ...]
    before: tuple[str, ...] = ()
    sessions: int = 1
    by: str = "webhook"


@dataclass
class Story:
    """One payment's story. `begin` and `go_on` can be called again: each continues where the board died.

    The sandbox must drop all deliveries, because the story makes them itself.
    """

    world: World
    plot: Plot
    told: Told
    text: str
    sessions: list[str] = field(default_factory=list)
    payment: Json | None = None
    _key: str = field(default_factory=lambda: str(uuid.uuid4()))
    _delivered: set[str] = field(default_factory=set)
    _verbs: int = 0
    _moderated: bool = False

    async def begin(self, *, patient: bool = False) -> None:
        """Start the payment, and do what is delivered immediately."""
        if self.payment is None:
            await self._create(patient=patient)
        assert self.payment is not None
        if not self.sessions:
            self.sessions = [self.payment["checkout_url"].rsplit("/", 1)[1]]
            self.sessions += [await self._second_session() for _ in range(1, self.plot.sessions)]
        await self._act(self.plot.before)
        await self._deliver_round("in order")

    async def go_on(self) -> None:
        """Do the rest, and let the board learn of it."""
        await self._act((*self.plot.before, *self.plot.verbs))
        if self.plot.by in {"create", "webhook"}:
            await self._deliver_round(self.told)
            while await self._deliver_round("in order"):
                pass
        elif self.plot.by == "landing":
            assert self.payment is not None
            await self.world.http.get(f"/api/payments/{self.payment['id']}")
        elif self.plot.by == "moderate":
            await self._moderate()

    async def pay_unseen(self) -> None:
        """Pay the session of a payment whose client got no response, if Stripe has created it."""
        known = set(self.world.taken)
        for session in (await self.world.ledger())["sessions"]:
            if session["client_reference_id"] not in known and session["status"] == "open":
                await self.world.act(session["id"], "pay")

    async def _create(self, *, patient: bool) -> None:
        request: Json = {"json": {"text": self.text}, "headers": {"Idempotency-Key": self._key}}
        answers = await asyncio.gather(
            *(
                ask(self.world, "POST", "/api/payments", **request)
                if patient
                else self.world.http.post("/api/payments", **request)
                for _ in range(2 if self.told == "duplicates first" else 1)
            )
        )
        made = [answer.json() for answer in answers if answer.status_code == 201]
        assert made, answers[0].text
        self.payment = made[0]
        self.world.taken[made[0]["id"]] = self.text

    async def _second_session(self) -> str:
        """Create another session for the same payment, as a second attempt of the board would."""
        answer = await self.world.stripe.get(f"/v1/checkout/sessions/{self.sessions[0]}", headers=AUTHORIZED)
        first = answer.json()
        tags = first["metadata"]
        form = {
            "mode": "payment",
            "success_url": first["success_url"],
            "client_reference_id": first["client_reference_id"],
            "line_items[0][quantity]": "1",
            "line_items[0][price_data][currency]": first["currency"],
            "line_items[0][price_data][unit_amount]": str(first["amount_total"]),
            "line_items[0][price_data][product_data][name]": "The same once more",
            **{f"metadata[{tag}]": tags[tag] for tag in TAGS},
            **{f"payment_intent_data[metadata][{tag}]": tags[tag] for tag in TAGS},
        }
        made = await self.world.stripe.post("/v1/checkout/sessions", data=form, headers=AUTHORIZED)
        assert made.status_code == 200, made.text
        return str(made.json()["id"])

    async def _act(self, verbs: tuple[str, ...]) -> None:
        for verb in verbs[self._verbs :]:
            for session_id in self.sessions:
                await self.world.act(session_id, verb)
            self._verbs += 1

    async def _deliver_round(self, told: Told) -> int:
        """Deliver the events that have not been received yet, and return their number."""
        events = [event for event in self.world.file.events_of(self.sessions) if event not in self._delivered]
        for event in reversed(events) if told == "reversed" else events:
            copies = 2 if told == "duplicates first" else 1
            await asyncio.gather(*(self._deliver(event) for _ in range(copies)))
        return len(events)

    async def _deliver(self, event: str) -> None:
        answer = await self.world.stripe.post(f"/test/events/{event}/resend")
        status = answer.json()["status"]
        if status is None:
            raise httpx.ReadError("the board died over an event")
        assert status == 200, f"event {event} was answered {status}"
        self._delivered.add(event)

    async def _moderate(self) -> None:
        """Remove the message with a refund; in reversed order, without waiting for the response."""
        if self._moderated and self.told == "reversed":
            return
        self._moderated = True
        assert self.payment is not None
        found = (await self.world.http.get(f"/api/payments/{self.payment['id']}")).json()
        answer = await self.world.http.delete(
            f"/api/admin/messages/{found['message_id']}?refund=true", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}
        )
        assert answer.status_code == 204, answer.text
        while await self._deliver_round("in order"):
            pass
