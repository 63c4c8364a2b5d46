"""The use cases of money: start a checkout, fulfil what Stripe says, ask Stripe. They open the transactions."""

import hashlib
import math
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from paidchat.board import record
from paidchat.clients import client_id
from paidchat.domain import (
    ALARMING,
    DomainError,
    IdempotencyConflict,
    IdempotencyInProgress,
    IntentFact,
    NotFound,
    PaymentStatus,
    ProviderUnavailable,
    Question,
    RefundCause,
    SessionFact,
    Verdict,
    is_open,
    is_payment_id,
)
from paidchat.observability import Metrics
from paidchat.payments import refunds
from paidchat.payments.question_budget import QuestionBudget, question_interval
from paidchat.payments.rate_limit import PaymentLimits
from paidchat.payments.sessions import CLAIM_TTL, CheckoutSessions, Claim, session_length, whole_seconds
from paidchat.payments.settlement import Settlement
from paidchat.records import NewPayment, PaymentRecord, ReceivedEvent
from paidchat.settings import Settings
from paidchat.storage import clock, queries
from paidchat.storage.database import Database, DatabaseUnavailable
from paidchat.storage.group_commit import GroupCommit, WriteInterrupted
from paidchat.stripe.events import ForeignEvent, IntentNews, News, UnreadableEvent
from paidchat.stripe.gateway import (
    AccessDenied,
    GatewayError,
    RequestRefused,
    StripeGateway,
)
from paidchat.stripe.parameters import session_params
from paidchat.text import clean_author, clean_text

log = structlog.get_logger(__name__)

ANSWERS = 3  # times to ask when each answer is overtaken by another's


class Checkout:
    """Everything that moves a payment."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        gateway: StripeGateway,
        limits: PaymentLimits,
        metrics: Metrics,
        board_tag: str,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._metrics = metrics
        self._database = database
        self._gateway = gateway
        self._board_tag = board_tag
        self._budget = QuestionBudget()
        self._sessions = CheckoutSessions(database, gateway)
        self._fulfilments = GroupCommit(self._fulfill, is_outage=lambda error: isinstance(error, DatabaseUnavailable))

    # --- paying -------------------------------------------------------------------------------------

    async def start_checkout(
        self, text: str, author: str | None, *, client: str, idempotency_key: str | None = None
    ) -> PaymentRecord:
        """Make a payment and its Checkout Session, or return the one that this key made before.

        The payment, with everything that will be asked of Stripe, is stored before Stripe is asked: whatever
        happens in between, the same question can be asked again and means the same session.

        Raises:
            InvalidText: the text or the author breaks a rule.
            IdempotencyConflict: the key was used for another text or author.
            IdempotencyInProgress: the first request with the key is still being answered.
            RateLimited: this client starts payments too fast; one made before is answered all the same.
            ProviderUnavailable: Stripe could not be asked; the same key goes on with the same payment.
        """
        text, author = clean_text(text), clean_author(author)
        key = None if idempotency_key is None else hashlib.sha256(idempotency_key.encode()).hexdigest()
        async with self._database.transaction() as connection:
            claim = await self._claim(connection, text, author, key, client)
        async with self._sessions.releasing(claim):
            payment = await self.find_payment(claim.payment_id)
        if payment.session_id is not None or payment.status != PaymentStatus.PENDING:
            return payment
        try:
            await self._sessions.open(payment, claim)
        except GatewayError as error:
            raise self._unavailable(payment, error) from error
        return await self.find_payment(claim.payment_id)

    async def _claim(
        self, connection: AsyncConnection, text: str, author: str | None, key: str | None, client: str
    ) -> Claim:
        """Find the payment of this key or insert a new one, and claim it unless it has its session already."""
        known = await queries.find_payment_by_key(connection, key) if key else None
        if known is None:
            client = client_id(client, self._board_tag)
            await self._limits.admit(connection, client)
            new = self._new_payment(text, author, key, client, await clock.read(connection))
            if await queries.insert_payment(connection, new):
                self._metrics.payments.inc()
                return Claim(new.id, new.claimed_until)
            known = await queries.find_payment_by_key(connection, key or "")
        if known is None or (known.text, known.author) != (text, author):
            raise IdempotencyConflict("This Idempotency-Key was used before, with another body. Use a new key.")
        if known.session_id is not None:
            return Claim(known.id, None)
        until = await queries.claim_payment(connection, known.id, CLAIM_TTL)
        if until is None:
            raise IdempotencyInProgress(retry_after=_estimate(known))
        return Claim(known.id, until)

    def _new_payment(self, text: str, author: str | None, key: str | None, client: str, now: datetime) -> NewPayment:
        payment_id, price = str(uuid.uuid4()), self._settings.price
        lasts = session_length(timedelta(minutes=self._settings.checkout_minutes))
        expires_at = self._sessions.expiry(now, lasts)  # by Stripe's clock
        return NewPayment(
            id=payment_id,
            text=text,
            author=author,
            price=price,
            created_at=now,
            expires_at=whole_seconds(now + lasts),
            client=client,
            stripe_key=str(uuid.uuid4()),
            stripe_params=session_params(self._settings, payment_id, self._board_tag, price, expires_at),
            idempotency_key=key,
            claimed_until=now + CLAIM_TTL,
        )

    def _unavailable(self, payment: PaymentRecord, error: GatewayError) -> ProviderUnavailable:
        if isinstance(error, RequestRefused | AccessDenied):
            # Waiting does not help: a key, a tax setting or a parameter is wrong.
            log.error("stripe.refused", payment_id=payment.id, error=str(error))
            return ProviderUnavailable("Payments are not set up correctly here. Nothing was charged.", retry_after=60)
        log.warning("stripe.unavailable", payment_id=payment.id, error=str(error))
        return ProviderUnavailable("The payment provider does not answer. Nothing was charged; please try again.")

    async def find_payment(self, payment_id: str) -> PaymentRecord:
        """Return a payment as it is now.

        Raises:
            NotFound: there is none with this id.
        """
        payment = None
        if is_payment_id(payment_id):
            async with self._database.reading() as connection:
                payment = await queries.find_payment(connection, payment_id)
        if payment is None:
            raise NotFound("There is no such payment.")
        return payment

    # --- being told, and asking ---------------------------------------------------------------------

    async def handle(self, news: News) -> Verdict:
        """Do what an event of Stripe's asks for.

        Raises:
            ProviderUnavailable: it only says where to look, and Stripe could not be asked.
        """
        if isinstance(news, ForeignEvent):
            return await self._note(news.event_id, news.event_type, Verdict.FOREIGN)
        if isinstance(news, IntentNews) and news.livemode is not self._settings.livemode:
            return await self._note(news.event_id, news.event_type, Verdict.WRONG_MODE)
        for _ in range(ANSWERS):
            try:
                fact = news if isinstance(news, SessionFact) else await self._ask_about(news)
            except GatewayError as error:
                raise ProviderUnavailable(f"Stripe could not be asked: {error}") from error
            if fact is None:
                self._metrics.facts.labels(Verdict.FOREIGN).inc()
                return Verdict.FOREIGN
            [verdict] = await self.fulfill([fact])
            if verdict is not Verdict.OVERTAKEN:
                break
        else:
            raise ProviderUnavailable("Stripe's answers overtook each other.", retry_after=1)
        if verdict is Verdict.DUPLICATE_PAYMENT:
            await self.send_refunds(str(fact.payment_id))
        return verdict

    async def note_unreadable(self, event: UnreadableEvent) -> Verdict:
        """Remember an event that cannot be read, so that it is logged and counted once, however often it is listed."""
        return await self._note(event.event_id, event.event_type, Verdict.UNREADABLE, error=str(event))

    async def _note(self, event_id: str, event_type: str, verdict: Verdict, **words: str) -> Verdict:
        """Remember an event that asks for nothing."""
        async with self._database.transaction() as connection:
            now = await clock.read(connection)
            event = ReceivedEvent(id=event_id, type=event_type, verdict=verdict, received_at=now)
            if not await queries.note_event(connection, event):
                verdict = Verdict.DUPLICATE
        self._metrics.facts.labels(verdict).inc()
        write = log.error if verdict in ALARMING else log.info
        write("checkout.fact", verdict=verdict, event_id=event_id, event_type=event_type, **words)
        return verdict

    async def refund_payment(self, payment_id: str) -> None:
        """Send a payment's money back, and take its message off the board once Stripe has done so; idempotent.

        Raises:
            NotFound: there is no such payment.
            Conflict: there is no money of it to send back.
        """
        async with self._database.transaction() as connection:
            payment = (await queries.lock_payments(connection, [payment_id])).get(payment_id)
            if payment is None:
                raise NotFound("There is no such payment.")
            await refunds.want_all(connection, payment, payment.read_at)
        await self.send_refunds(payment_id)

    async def send_refunds(self, payment_id: str) -> None:
        """Send what is to go back of a payment now; what fails is sent by the sweep."""
        for payment_intent in await refunds.send_due(self._database, self._gateway, payment_id=payment_id):
            try:
                await self.fulfill([await self._gateway.retrieve_intent(payment_intent, await self.new_question())])
            except GatewayError as error:
                log.warning("stripe.not_answering", payment_id=payment_id, error=str(error))

    async def new_question(self) -> Question:
        """Number a question that is about to be asked of Stripe."""
        async with self._database.transaction() as connection:
            return await queries.take_question(connection)

    async def _ask_about(self, news: IntentNews) -> IntentFact | None:
        try:
            money = await self._gateway.retrieve_intent(news.payment_intent, await self.new_question())
        except RequestRefused as error:
            # Not ours to see: another mode, or another account's.
            log.warning("stripe.intent_refused", event_id=news.event_id, error=str(error))
            return None
        return replace(money, event_id=news.event_id, event_type=news.event_type)

    async def fulfill(self, facts: Sequence[SessionFact | IntentFact]) -> list[Verdict]:
        """Do what the facts ask for, in one transaction, and return what became of each.

        Safe to call any number of times, at the same time, with the same facts in any order
        (docs.stripe.com/checkout/fulfillment#create-fulfillment-function). It is on disk when this returns.
        """
        return await self._fulfilments.submit(facts)

    async def _fulfill(self, facts: Sequence[SessionFact | IntentFact]) -> list[Verdict]:
        async with self._database.transaction() as connection:
            now = await clock.read(connection)
            inbox = {fact.event_id: _received(fact, fact.event_id, now) for fact in facts if fact.event_id}
            fresh = await queries.take_events(connection, list(inbox.values()))
            payments = await queries.lock_payments(connection, {fact.payment_id for fact in facts if fact.payment_id})
            settlement = Settlement(payments, board_tag=self._board_tag, livemode=self._settings.livemode)
            verdicts = []
            for fact in facts:
                verdicts.append(_enter(settlement, fact, fresh))
                if fact.event_id in fresh:
                    fresh.remove(fact.event_id)  # a copy of it in the same group is a duplicate
                    await queries.set_verdict(connection, fact.event_id, verdicts[-1])
            await queries.move_payments(connection, settlement.moves())
            for duplicate in settlement.duplicates:
                await refunds.want(
                    connection, duplicate.payment_intent, duplicate.payment_id, RefundCause.DUPLICATE_PAYMENT, now
                )
            await record(connection, settlement.board_changes(), now)
        self._report(facts, verdicts)
        return verdicts

    def _report(self, facts: Sequence[SessionFact | IntentFact], verdicts: Sequence[Verdict]) -> None:
        for fact, verdict in zip(facts, verdicts, strict=True):
            self._metrics.facts.labels(verdict).inc()
            # Each open payment is asked about at each sweep: most answers say nothing new.
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

    async def sync_with_stripe(self, payment: PaymentRecord, client: str) -> None:
        """Ask Stripe about an unsettled payment that was looked up, and do what the answer asks for.

        Stripe wants the page that a payer comes back to to do this
        (docs.stripe.com/checkout/fulfillment#trigger-fulfillment-on-landing-page). It is asked at most once in 5 s
        about one payment, less often about an older one, and within a budget: the sweep asks anyway.
        """
        interval = question_interval(payment.read_at - payment.created_at)
        client = client_id(client, self._board_tag)
        if _asked_within(payment, interval) or not self._budget.take(client):
            return
        try:
            async with self._database.transaction() as connection:
                claimed = await queries.claim_question(connection, payment.id, interval)
                question = await queries.take_question(connection) if claimed else None
            if question is None:
                self._budget.put_back(client)
                return
            await self.ask_stripe(payment, question)
        except Exception as error:
            # Nobody waits for this: the sweep asks anyway.
            if isinstance(error, GatewayError | DomainError | WriteInterrupted | DatabaseUnavailable):
                log.warning("stripe.not_asked", payment_id=payment.id, error=str(error))
            else:
                log.exception("stripe.not_asked", payment_id=payment.id)

    async def paid_without_row(self, since: datetime) -> list[str]:
        """Return the ids of our paid sessions whose payment is not in the database: made after a restored backup.

        Raises:
            GatewayError: Stripe could not be asked.
        """
        missing = []
        async for fact in self._gateway.list_paid_sessions(since):
            if fact.board_tag == self._board_tag and fact.payment_status == "paid" and fact.payment_id:
                async with self._database.reading() as connection:
                    if await queries.find_payment(connection, fact.payment_id) is None:
                        missing.append(fact.session_id)
        return missing

    async def ask_stripe(self, payment: PaymentRecord, question: Question | None = None) -> None:
        """Ask Stripe about a payment, whatever it takes, and do what the answer asks for.

        The question is numbered here unless it was before.

        A payment whose session id was never stored has its request repeated: the same key and parameters give
        back the same session, if there is one. An answer that was overtaken is asked for again.

        Raises:
            OutcomeUnknown, AttemptFailed: Stripe could not be asked.
        """
        try:
            session_id = payment.session_id or await self._sessions.recover(payment)
            if session_id is None:
                return
            question = question or await self.new_question()
            for _ in range(ANSWERS):
                session, money = await self._gateway.retrieve_session(session_id, question)
                verdicts = await self.fulfill([money, session] if money else [session])
                if Verdict.OVERTAKEN not in verdicts:
                    return
                question = await self.new_question()
        except RequestRefused as error:
            log.warning("stripe.session_refused", payment_id=payment.id, error=str(error))
            if not is_open(payment.expires_at, payment.read_at):
                await self._sessions.expire(payment)


def _estimate(payment: PaymentRecord) -> int:
    """Return in how many seconds to ask again about a payment that another request has claimed.

    Stripe mostly answers within a second, so at first that is one, and then as long as it has taken so far.
    """
    left = (payment.claimed_until or payment.read_at) - payment.read_at
    return max(1, math.ceil(min(left, CLAIM_TTL - left).total_seconds()))


def _asked_within(payment: PaymentRecord, interval: timedelta) -> bool:
    """Tell whether Stripe was asked about a payment so lately that the database need not be asked whether it was."""
    return payment.asked_at is not None and payment.read_at - interval < payment.asked_at <= payment.read_at


def _enter(settlement: Settlement, fact: SessionFact | IntentFact, fresh: set[str]) -> Verdict:
    return settlement.enter(fact) if fact.event_id is None or fact.event_id in fresh else Verdict.DUPLICATE


def _received(fact: SessionFact | IntentFact, event_id: str, now: datetime) -> ReceivedEvent:
    return ReceivedEvent(
        id=event_id,
        type=fact.event_type,
        payment_id=fact.payment_id,
        session_id=fact.session_id if isinstance(fact, SessionFact) else None,
        verdict=Verdict.UNKNOWN,  # until it has one, in the same transaction: one that can be handled again is safe
        received_at=now,
    )
