"""Fulfilment: applies what Stripe reports about a payment exactly once: posts, hides or refunds it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog
from msgspec.structs import replace
from sqlalchemy.engine import Connection

from paidchat.board import record
from paidchat.domain import (
    ALARMING,
    TO_BE_RETRIED,
    IntentFact,
    NotFound,
    ProviderUnavailable,
    Question,
    RefundCause,
    SessionFact,
    Verdict,
)
from paidchat.observability import Metrics
from paidchat.payments import refunds
from paidchat.payments.settlement import Settlement
from paidchat.records import ReceivedEvent
from paidchat.storage import clock, inbox, queries
from paidchat.storage.database import Database, DatabaseUnavailable
from paidchat.stripe.events import ForeignEvent, IntentNews, News, UnreadableEvent
from paidchat.stripe.gateway import GatewayError, RequestRefused, StripeGateway

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 5  # at storing events that other processes store at the same time
MAX_QUESTIONS = 3  # about one event, if each answer is overtaken by another


class Fulfilment:
    """Applies every fact from Stripe about money, whether it comes in a webhook or in a response."""

    def __init__(
        self, database: Database, gateway: StripeGateway, metrics: Metrics, board_tag: str, *, livemode: bool
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._metrics = metrics
        self._board_tag = board_tag
        self._livemode = livemode

    async def handle(self, news: News) -> Verdict:
        """Apply an event from Stripe.

        Raises:
            ProviderUnavailable: the event doesn't say enough, and Stripe could not be reached.
        """
        if isinstance(news, ForeignEvent):
            return await self._note(news.event_id, news.event_type, Verdict.FOREIGN)
        if isinstance(news, IntentNews) and news.livemode is not self._livemode:
            return await self._note(news.event_id, news.event_type, Verdict.WRONG_MODE)
        is_overtaken = False
        for _ in range(MAX_QUESTIONS):
            try:
                fact = news if isinstance(news, SessionFact) else await self._ask_about(news)
                money = await self._money_of(fact) if isinstance(fact, SessionFact) and is_overtaken else None
            except GatewayError as error:
                raise ProviderUnavailable(f"Stripe could not be asked: {error}") from error
            if fact is None:
                self._metrics.count_fact(Verdict.FOREIGN)
                return Verdict.FOREIGN
            *_, verdict = await self.fulfill([money, fact] if money else [fact])
            is_overtaken = verdict is Verdict.OVERTAKEN
            if not is_overtaken:
                break
        else:
            raise ProviderUnavailable("Stripe's answers overtook each other.", retry_after=1)
        if verdict is Verdict.DUPLICATE_PAYMENT:
            await self.send_refunds(str(fact.payment_id))
        return verdict

    async def note_unreadable(self, event: UnreadableEvent) -> Verdict:
        """Store an unreadable event, so that it is logged and counted once, however often it is listed."""
        return await self._note(event.event_id, event.event_type, Verdict.UNREADABLE, error=str(event))

    async def _note(self, event_id: str, event_type: str, verdict: Verdict, **words: str) -> Verdict:
        """Store an event that needs no action."""

        def note(connection: Connection) -> bool:
            now = clock.read(connection)
            event = ReceivedEvent(id=event_id, type=event_type, verdict=verdict, received_at=now)
            return inbox.note_event(connection, event)

        if not await self._database.write(note):
            verdict = Verdict.DUPLICATE
        self._metrics.count_fact(verdict)
        write = log.error if verdict in ALARMING else log.info
        write("checkout.fact", verdict=verdict, event_id=event_id, event_type=event_type, **words)
        return verdict

    async def refund_payment(self, payment_id: str) -> None:
        """Refund a payment, and remove its message once Stripe has refunded it. Idempotent.

        Raises:
            NotFound: there is no such payment.
            Conflict: there is no money to refund.
        """
        await self._database.write(_want_refund, payment_id)
        await self.send_refunds(payment_id)

    async def send_refunds(self, payment_id: str) -> None:
        """Send a payment's refunds now; the sweep retries those that fail."""
        for payment_intent in await refunds.send_due(self._database, self._gateway, payment_id=payment_id):
            try:
                await self.fulfill([await self._gateway.retrieve_intent(payment_intent, await self.new_question())])
            except GatewayError as error:
                log.warning("stripe.not_answering", payment_id=payment_id, error=str(error))

    async def new_question(self) -> Question:
        """Take a number for a question to Stripe."""
        return await self._database.write(queries.take_question)

    async def _ask_about(self, news: IntentNews) -> IntentFact | None:
        try:
            money = await self._gateway.retrieve_intent(news.payment_intent, await self.new_question())
        except RequestRefused as error:
            # Another mode, or another account.
            log.warning("stripe.intent_refused", event_id=news.event_id, error=str(error))
            return None
        return replace(money, event_id=news.event_id, event_type=news.event_type)

    async def _money_of(self, fact: SessionFact) -> IntentFact | None:
        """Ask about the money of a session, whose event does not say whether it is still there."""
        if fact.payment_intent is None:
            return None
        return await self._gateway.retrieve_intent(fact.payment_intent, await self.new_question())

    async def fulfill(self, facts: Sequence[SessionFact | IntentFact]) -> list[Verdict]:
        """Apply facts in one transaction; returns the verdict on each.

        Idempotent and safe to call concurrently, with the facts in any order
        (docs.stripe.com/checkout/fulfillment#create-fulfillment-function). It is on disk when this returns. Calls that
        come at once are settled together.
        """
        for _ in range(MAX_ATTEMPTS):
            try:
                verdicts = await self._database.write_together(self._settle, facts, locks_payments=True)
            except inbox.StoredMeanwhile:
                continue
            self._report(facts, verdicts)
            return verdicts
        raise DatabaseUnavailable("other transactions keep storing the same events")

    def _settle(self, connection: Connection, facts: Sequence[SessionFact | IntentFact]) -> list[Verdict]:
        # The payments first: whoever else is told of them waits here, and then finds the events stored.
        payments = queries.lock_payments(connection, {fact.payment_id for fact in facts if fact.payment_id})
        now = max((payment.read_at for payment in payments.values()), default=None) or clock.read(connection)
        known = inbox.find_verdicts(connection, {fact.event_id for fact in facts if fact.event_id})
        settlement = Settlement(payments, board_tag=self._board_tag, livemode=self._livemode)
        verdicts, received = _enter(settlement, facts, known, now)
        queries.move_payments(connection, settlement.moves())
        for duplicate in settlement.duplicates:
            cause = RefundCause.DUPLICATE_PAYMENT
            refunds.want(connection, duplicate.payment_intent, duplicate.payment_id, cause, now)
        inbox.store_events(connection, received)
        record(connection, settlement.board_changes(), now)
        return verdicts

    def _report(self, facts: Sequence[SessionFact | IntentFact], verdicts: Sequence[Verdict]) -> None:
        for fact, verdict in zip(facts, verdicts, strict=True):
            self._metrics.count_fact(verdict)
            # Every open payment is asked about at each sweep, and most answers are not news.
            write = log.error if verdict in ALARMING else log.debug if verdict is Verdict.REPEATED else log.info
            what = fact.fact if isinstance(fact, SessionFact) else "money"
            write(
                "checkout.fact",
                verdict=verdict,
                fact=what,
                payment_id=fact.payment_id,
                event_id=fact.event_id,
                event_type=fact.event_type,
            )


def _want_refund(connection: Connection, payment_id: str) -> None:
    payment = queries.lock_payments(connection, [payment_id]).get(payment_id)
    if payment is None:
        raise NotFound("There is no such payment.")
    refunds.want_all(connection, payment, payment.read_at)


def _enter(
    settlement: Settlement, facts: Sequence[SessionFact | IntentFact], known: Mapping[str, Verdict], now: datetime
) -> tuple[list[Verdict], list[ReceivedEvent]]:
    """Enter the facts, except those from events that were settled before; returns the verdicts and what to store."""
    settled = {event_id for event_id, verdict in known.items() if verdict not in TO_BE_RETRIED}
    verdicts, received = [], []
    for fact in facts:
        verdict = Verdict.DUPLICATE if fact.event_id in settled else settlement.enter(fact)
        verdicts.append(verdict)
        if fact.event_id is not None and fact.event_id not in settled:
            settled.add(fact.event_id)  # another copy in the same group is a duplicate
            received.append(_received(fact, fact.event_id, verdict, now))
    return verdicts, received


def _received(fact: SessionFact | IntentFact, event_id: str, verdict: Verdict, now: datetime) -> ReceivedEvent:
    return ReceivedEvent(
        id=event_id,
        type=fact.event_type,
        payment_id=fact.payment_id,
        session_id=fact.session_id if isinstance(fact, SessionFact) else None,
        verdict=verdict,
        received_at=now,
    )
