"""The stage of a simulation: payments, events on their way to the board, viewers, and the actions on them."""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

from paidchat.domain import ProviderUnavailable
from paidchat.stripe.gateway import GatewayError
from tests.support.shapes import Json
from tests.support.webhooks import signature
from tests.torture.checks.oracle import PAID_EVENTS, Account, Finding, Session, sessions_of
from tests.torture.harness.dying import Died, dying
from tests.torture.harness.miniature import Miniature
from tests.torture.harness.wall_clock import let_time_pass
from tests.torture.harness.world import ADMIN_TOKEN

if TYPE_CHECKING:
    from tests.torture.harness.viewer import Viewer


ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}
TRIES = 3
# The verbs for a session, by its state; not all of them are always allowed.
VERBS = {
    "open": ("pay_later", "decline", "expire"),
    "expired": (),
    "unpaid": ("settle", "settle_fail"),
    "paid": ("refund", "refund_partial", "refund_fail", "dispute", "inquiry"),
    "refunded": ("refund_fail", "refund_settle"),
    "disputed": ("win_dispute", "lose_dispute"),
}


class Stage:
    """The state of one simulation.

    Attributes:
        accounts: the oracle's payments, oldest first.
        undelivered: events that Stripe has not delivered yet; `delivered` are those the board has acknowledged.
        lost: the number of events that will never be delivered.
        troubled, died: whether Stripe ever failed in this simulation, and whether the board ever died.
    """

    def __init__(self, miniature: Miniature, counts: Counter[str]) -> None:
        self.miniature = miniature
        self.counts = counts
        self.accounts: list[Account] = []
        self.undelivered: list[Json] = []
        self.delivered: list[Json] = []
        self.viewers: list[Viewer] = []
        self.lost = 0
        self.troubled = self.died = False
        self._events_read = 0

    # --- people and banks ---------------------------------------------------------------------------

    async def pay_for(self, text: str, key: str | None = None) -> None:
        """Start a payment; while Stripe fails, retry with the same key."""
        key = key or str(uuid.uuid4())
        for left in reversed(range(TRIES)):
            answer = await self.miniature.board("POST", "/api/payments", {"text": text}, idempotency_key=key)
            if answer.status != 503:
                break
            if left == 1:
                await self.mend_stripe()
        if answer.status == 503 and self.miniature.clock.wrong:
            return  # by Stripe's clock the session would be too short or too long
        self._expect(answer.status == 201, "wrong", f"POST /api/payments answered {answer.status}")
        self.accounts.append(Account(answer.json()["id"], text))
        await self.learn_truth()

    @property
    def payable(self) -> list[tuple[Account, Session]]:
        """The sessions that can be paid."""
        return [(account, session) for account, session in self._sessions() if session.status == "open"]

    async def pay(self, pick: int) -> Account:
        """Pay one of the sessions that can be paid, and return its payment."""
        account, session = self.payable[pick % len(self.payable)]
        await self._act(account, session, "pay")
        return account

    async def pay_and_look_up(self, pick: int) -> None:
        """Pay one of them, and return to the page before Stripe's event arrives."""
        await self.look_up(self.accounts.index(await self.pay(pick)))

    async def pay_everything(self, account: Account) -> None:
        """Pay every session of a payment that can be paid."""
        for owner, session in self.payable:
            if owner is account:
                await self._act(account, session, "pay")

    async def act(self, pick: int) -> None:
        """Do to one of the sessions something that a person, a bank or time could do."""
        possible = [(*each, verb) for each in self._sessions() for verb in VERBS[each[1].state]]
        if possible:
            await self._act(*possible[pick % len(possible)])

    async def _act(self, account: Account, session: Session, verb: str) -> None:
        if verb in {"refund_fail", "win_dispute"} and len(account.sessions) > 1:
            return  # a second payment that could not be refunded is left to the operator
        answer = await self.miniature.stripe("POST", f"/test/sessions/{session.id}/{verb}")
        self._expect(answer.status in {200, 409}, "wrong", f"the sandbox answered {answer.status} to {verb}")
        if answer.status == 200:
            self.counts[verb] += 1
            account.bank_refused = account.bank_refused or verb == "settle_fail"
        await self.learn_truth()

    async def open_second_session(self, account: Account) -> None:
        """Create another session for a payment, as a retry after the idempotency key expired would."""
        stored = await self._column(account, "stripe_params")
        params = json.loads(stored) if isinstance(stored, str) else stored  # SQLite stores it as text
        try:
            await self.miniature.gateway.create_session(params, str(uuid.uuid4()))
        except GatewayError:
            return
        self.counts["second session"] += 1
        await self.learn_truth()

    async def moderate(self, pick: int, *, refund: bool) -> None:
        """Remove a message by hand, with or without a refund."""
        account = self._posted(pick)
        failing = await self._stripe_fails()
        known = await self._column(account, "known_number", "known_at")
        target = f"/api/admin/messages/{account.message_id}?refund={str(refund).lower()}"
        answer = await self.miniature.board("DELETE", target, **ADMIN)
        self._expect(answer.status == 204, "wrong", f"DELETE of a message answered {answer.status}")
        account.moderated = True
        await self.learn_truth()
        if failing:
            account.certain = False
        elif await self._column(account, "known_number", "known_at") != known:
            account.hear_money()

    async def restore(self, pick: int) -> None:
        """Restore a message that was removed by hand."""
        account = self._posted(pick)
        answer = await self.miniature.board("POST", f"/api/admin/messages/{account.message_id}/restore", **ADMIN)
        self._expect(answer.status in {200, 409}, "wrong", f"restore answered {answer.status}")
        held = account.refunded or account.disputed
        if account.exact:
            self._expect(held == (answer.status == 409), "wrong", f"restore answered {answer.status}, held={held}")
        if answer.status == 200:
            account.moderated = False

    async def look_up(self, pick: int) -> None:
        """Look up a payment, five seconds after the last lookup, so that the board asks Stripe if it is open."""
        account = self.accounts[pick % len(self.accounts)]
        await self.miniature.records.change("UPDATE payment SET asked_at = NULL WHERE id = :id", id=account.id)
        failing = await self._stripe_fails()
        answer = await self.miniature.board("GET", f"/api/payments/{account.id}")
        self._expect(answer.status == 200, "lost", f"GET of payment {account.id} answered {answer.status}")
        account.see_status(answer.json()["status"])
        account.see_message(answer.json()["message_id"])
        if await self._column(account, "asked_at") is not None:
            if failing:
                account.certain = False
            else:
                account.hear_all(posted=await self._has_message(account))

    # --- events -----------------------------------------------------------------------------------

    async def deliver(self, pick: int, copies: int) -> None:
        """Deliver one of the waiting events, several times at once; if it is refused, it keeps waiting."""
        event = self.undelivered[pick % len(self.undelivered)]
        failing = await self._stripe_fails()
        statuses = await asyncio.gather(*(self._send(event) for _ in range(copies)))
        if self._refused(*statuses):
            return
        if set(statuses) != {200}:
            allowed = failing and set(statuses) <= {200, 503}
            self._expect(allowed, "lost", f"{event['type']} was answered {statuses}")
        if 200 in statuses:
            self.counts["deliveries"] += 1
            self.undelivered.remove(event)
            self.delivered.append(event)
            await self.learn_truth()
            self._hear(event)

    async def deliver_again(self, pick: int) -> None:
        """Deliver an event again that was acknowledged long ago."""
        event = self.delivered[pick % len(self.delivered)]
        failing = await self._stripe_fails()
        status = await self._send(event)
        if self._refused(status):
            return
        self._expect(status == 200 or failing, "lost", f"a repeated {event['type']} was answered {status}")
        self.counts["repeats"] += 1
        account = self._account_of(event)
        if account is not None and not event["type"].startswith("checkout"):
            account.certain = False  # it may have asked Stripe again, or not

    def lose(self, pick: int) -> None:
        """Lose an event for good."""
        self.undelivered.pop(pick % len(self.undelivered))
        self.lost += 1

    async def _send(self, event: Json) -> int:
        payload = json.dumps(event).encode()
        answer = await self.miniature.board("POST", "/stripe/webhook", payload, stripe_signature=signature(payload))
        return answer.status

    def _refused(self, *statuses: int) -> bool:
        if self.miniature.clock.wrong:
            self._expect(set(statuses) == {400}, "wrong", f"a signature of another time was answered {statuses}")
            self.counts["refused"] += 1
        return self.miniature.clock.wrong

    async def _try_to_send(self, event: Json) -> int:
        with suppress(Died):
            return await self._send(event)
        return 0

    async def _try(self, *request: Any, **headers: str) -> None:
        with suppress(Died):
            await self.miniature.board(*request, **headers)

    def _hear(self, event: Json) -> None:
        account, about = self._account_of(event), event["data"]["object"]
        if account is None:
            return
        if about["object"] == "checkout.session":
            account.hear_session(paid=event["type"] in PAID_EVENTS and about["payment_status"] == "paid")
        elif about["payment_intent"] == account.sessions[0].payment_intent:
            account.hear_money()

    def _account_of(self, event: Json) -> Account | None:
        about = event["data"]["object"]
        intents = {session.payment_intent: each for each in self.accounts for session in each.sessions}
        by_id = {each.id: each for each in self.accounts}
        return by_id.get(about.get("client_reference_id")) or intents.get(about.get("payment_intent") or "")

    # --- operators, time and trouble ----------------------------------------------------------------

    async def sweep(self, *, full: bool) -> None:
        """Run a pass of the reconciler, while another process wants to run one too."""
        failing = await self._stripe_fails()
        try:
            found = await self.miniature.sweep_twice_at_once(full=full)
        except (GatewayError, ProviderUnavailable) as error:
            self._expect(failing, "wrong", f"the sweep failed: {error}")
            self._doubt(*self.accounts)
            return
        self._expect(len(found) > 0, "wrong", "the sweep was held by somebody")
        self._expect(len(found) < 2, "wrong", "two processes swept at once")
        self.counts["sweeps"] += 1
        if failing or self.miniature.clock.wrong:
            self._doubt(*self.accounts)  # it may have read events from the wrong time
            return
        heard, self.undelivered = self.undelivered, []
        self.delivered += heard
        await self.learn_truth()
        for account in self.accounts:
            account.hear_all(posted=await self._has_message(account))

    async def restart(self) -> None:
        """Restart the board on the same files; every viewer is closed with 1012 and reconnects with its cursor."""
        await self._start(await self._stop())
        self.counts["restarts"] += 1

    async def crash(self, deed: Literal["start", "deliver", "look up", "sweep"], pick: int, steps: int) -> None:
        """Make the board die in the middle of an action, after a number of steps, and start another."""
        text, key = f"message {len(self.accounts)}", str(uuid.uuid4())
        with dying(self.miniature.services.database, steps) as death:
            match deed:
                case "start":
                    await self._try("POST", "/api/payments", {"text": text}, idempotency_key=key)
                case "deliver" if self.undelivered:
                    event = self.undelivered[pick % len(self.undelivered)]
                    self._doubt(self._account_of(event))
                    if await self._try_to_send(event) == 200:
                        self.undelivered.remove(event)
                        self.delivered.append(event)
                case "look up":
                    account = self.accounts[pick % len(self.accounts)]
                    self._doubt(account)
                    await self._try("GET", f"/api/payments/{account.id}")
                case "sweep":
                    self._doubt(*self.accounts)
                    with suppress(Died, GatewayError, ProviderUnavailable):
                        await self.miniature.sweep(full=False)
            following = await self._stop()
        await self._start(following)
        await let_time_pass(self.miniature.records)
        self.counts["crashes"] += death.dead
        self.died = self.died or death.dead
        if deed == "start":
            await self.pay_for(text, key)
        await self.learn_truth()

    async def _stop(self) -> list["Viewer"]:
        """Stop the board, and return its viewers."""
        following = [viewer for viewer in self.viewers if viewer.connected]
        leaving = [asyncio.create_task(viewer.read_to_end()) for viewer in following]
        await self.miniature.stop_board()
        for code in await asyncio.gather(*leaving):
            self._expect(code == 1012, "wrong", f"a viewer was closed with {code} at a restart")
        return following

    async def _start(self, following: Iterable["Viewer"]) -> None:
        await self.miniature.start_board()
        for viewer in following:
            await viewer.connect(viewer.cursor)

    @staticmethod
    def _doubt(*accounts: Account | None) -> None:
        for account in accounts:
            if account is not None:
                account.certain = False

    async def share_account(self, *, foreign: bool) -> None:
        """Set whether another application on the same Stripe account sends events too."""
        answer = await self.miniature.stripe("GET", "/test/faults")
        webhook = answer.json()["webhook"] | {"foreign_events": foreign}
        await self.miniature.stripe("PUT", "/test/faults", {"webhook": webhook})

    async def break_stripe(self, fault: Json) -> None:
        """Make some of the next calls to Stripe fail."""
        self.troubled = True
        await self.miniature.stripe("PUT", "/test/faults", {"api": fault})

    async def mend_stripe(self) -> None:
        """Make every call to Stripe work."""
        await self.miniature.stripe("PUT", "/test/faults", {"api": {}})

    # --- viewers ------------------------------------------------------------------------------------

    async def join(self, pick: int, manner: Literal["plain", "cursor", "other epoch", "ahead"]) -> None:
        """Make a viewer connect, or reconnect."""
        viewer = self.viewers[pick % len(self.viewers)]
        if viewer.connected:
            return
        cursor = viewer.cursor
        if cursor is None or manner == "plain":
            await viewer.connect()
            return
        seq, epoch = cursor
        given = {"cursor": cursor, "other epoch": (seq, "of-another-board"), "ahead": (seq + 10_000, epoch)}[manner]
        before = viewer.resumed
        await viewer.connect(given)
        resumed = viewer.resumed > before
        self._expect(resumed == (manner == "cursor"), "wrong", f"came back with {manner}: resumed={resumed}")
        async with self.miniature.records.reading() as reader:
            head = (await reader.rows("SELECT seq FROM board"))[0].seq
            hidden = {row.id for row in await reader.rows("SELECT id FROM message WHERE hidden")}
        await viewer.catch_up(head)
        leaked = viewer.replica.brought & hidden
        self._expect(not leaked, "wrong", f"messages {leaked} are off the board and were replayed")
        self.counts["reconnects"] += 1

    async def leave(self, pick: int) -> None:
        """Break a viewer's connection."""
        await self.viewers[pick % len(self.viewers)].disconnect()

    async def watch(self, pick: int, which: int) -> None:
        """Make a viewer watch a payment."""
        viewer = self.viewers[pick % len(self.viewers)]
        if viewer.connected:
            await viewer.watch(self.accounts[which % len(self.accounts)].id)

    # --- what is known ------------------------------------------------------------------------------

    async def learn_truth(self) -> None:
        """Read the state of the money from the sandbox, and its new events."""
        ledger = (await self.miniature.stripe("GET", "/test/ledger")).json()
        for account in self.accounts:
            account.sessions = list(sessions_of(ledger, account.id))
        events = self.miniature.events_after(self._events_read)
        self._events_read += len(events)
        self.undelivered += [event for event in events if event["pending_webhooks"]]

    async def _stripe_fails(self) -> bool:
        api = (await self.miniature.stripe("GET", "/test/faults")).json()["api"]
        return bool(api["status"] or api["drop_answer"])

    def _sessions(self) -> list[tuple[Account, Session]]:
        return [(account, session) for account in self.accounts for session in account.sessions]

    def _posted(self, pick: int) -> Account:
        posted = [account for account in self.accounts if account.message_id is not None]
        return posted[pick % len(posted)]

    async def _column(self, account: Account, *names: str) -> Any:
        async with self.miniature.records.reading() as reader:
            [row] = await reader.rows("SELECT * FROM payment WHERE id = :id", id=account.id)
        return attrgetter(*names)(row)  # a tuple if there are several names

    async def _has_message(self, account: Account) -> bool:
        async with self.miniature.records.reading() as reader:
            return bool(await reader.rows("SELECT 1 FROM message WHERE payment_id = :id", id=account.id))

    @staticmethod
    def _expect(held: bool, kind: str, what: str) -> None:
        if not held:
            raise Finding(kind, what)
