"""The use cases of money: start a checkout, fulfil what Stripe says, ask Stripe. They open the transactions."""

import asyncio
import hashlib
import math
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from paidchat.board import Crossing, record
from paidchat.domain import (
    ALARMING,
    Fact,
    IdempotencyConflict,
    IdempotencyInProgress,
    NotFound,
    PaymentStatus,
    ProviderUnavailable,
    Reason,
    SessionFact,
    Standing,
    Verdict,
    amount_matches,
    clean_author,
    clean_text,
    is_payment_id,
    learn,
)
from paidchat.limiter import RateLimiter
from paidchat.observability import Metrics
from paidchat.settings import Settings
from paidchat.storage import queries
from paidchat.storage.database import Database
from paidchat.stripe_gateway import (
    AttemptFailed,
    CheckoutSession,
    GatewayError,
    OutcomeUnknown,
    RequestRefused,
    StripeGateway,
)

log = structlog.get_logger(__name__)

CLAIM = timedelta(seconds=30)  # how long one request may be asking Stripe before another may take over
ASK_EVERY = timedelta(seconds=5)  # per payment, however many people look it up
# Stripe takes an expiry of 30 minutes to 24 hours from when *it* sees the request; leave it time to.
SHORTEST_SESSION = timedelta(minutes=32)
LONGEST_SESSION = timedelta(hours=24) - timedelta(minutes=2)


class Checkout:
    """Everything that moves a payment."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        gateway: StripeGateway,
        limiter: RateLimiter,
        metrics: Metrics,
        board_tag: str,
    ) -> None:
        self._settings = settings
        self._limiter = limiter
        self._metrics = metrics
        self._database = database
        self._gateway = gateway
        self._board_tag = board_tag

    # --- paying -------------------------------------------------------------------------------------

    async def start_checkout(
        self, text: str, author: str | None, *, client: str, idempotency_key: str | None = None
    ) -> Row[Any]:
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
            payment_id = await self._claim(connection, text, author, key, client)
        payment = await self.find_payment(payment_id)
        if payment.session_id is None and payment.status == PaymentStatus.PENDING:
            await self._open_session(payment)
            payment = await self.find_payment(payment_id)
        return payment

    async def _claim(
        self, connection: AsyncConnection, text: str, author: str | None, key: str | None, client: str
    ) -> str:
        """Find the payment of this key or insert a new one; return the id of a payment that is ours to work on."""
        now = datetime.now(UTC)
        known = await queries.find_payment_by_key(connection, key) if key else None
        if known is None:
            await self._limiter.admit(client)
            new = self._new_payment(text, author, key, now)
            if await queries.insert_payment(connection, new):
                self._metrics.payments.inc()
                return str(new["id"])
            known = await queries.find_payment_by_key(connection, key or "")
        if known is None or (known.text, known.author) != (text, author):
            raise IdempotencyConflict("This Idempotency-Key was used before, with another body. Use a new key.")
        if known.session_id is None and not await queries.claim_payment(
            connection, known.id, now=now, until=now + CLAIM
        ):
            seconds_left = (known.claimed_until - now).total_seconds()
            raise IdempotencyInProgress(retry_after=max(1, math.ceil(seconds_left)))
        return str(known.id)

    def _new_payment(self, text: str, author: str | None, key: str | None, now: datetime) -> dict[str, Any]:
        payment_id = str(uuid.uuid4())
        expires_at = self._expiry(now)
        return {
            "id": payment_id,
            "status": PaymentStatus.PENDING,
            "paid": False,
            "refunded": False,
            "disputed": False,
            "text": text,
            "author": author,
            "amount": self._settings.price_amount,
            "currency": self._settings.price_currency,
            "created_at": now,
            "expires_at": expires_at,
            "stripe_key": str(uuid.uuid4()),
            "stripe_params": self._gateway.session_params(payment_id, self._board_tag, expires_at),
            "idempotency_key": key,
            "claimed_until": now + CLAIM,
        }

    def _expiry(self, now: datetime) -> datetime:
        wanted = timedelta(minutes=self._settings.checkout_minutes)
        # Whole seconds, as Stripe counts.
        return (now + min(max(wanted, SHORTEST_SESSION), LONGEST_SESSION)).replace(microsecond=0)

    async def _open_session(self, payment: Row[Any]) -> None:
        """Ask Stripe for the payment's session and store it. The caller has the claim; it is given back here."""
        try:
            session = await self._ask_for_session(payment)
        except AttemptFailed as error:
            # Stripe would replay this failure to the same key for a day.
            await self._store(payment.id, stripe_key=str(uuid.uuid4()), claimed_until=None)
            raise self._unavailable(payment, error) from error
        except GatewayError as error:
            await self._store(payment.id, claimed_until=None)
            raise self._unavailable(payment, error) from error
        await self._store(payment.id, session_id=session.id, checkout_url=session.url, claimed_until=None)

    async def _ask_for_session(self, payment: Row[Any]) -> CheckoutSession:
        try:
            return await self._gateway.create_session(payment.stripe_params, payment.stripe_key)
        except RequestRefused:
            now = datetime.now(UTC)
            if payment.expires_at - now > SHORTEST_SESSION - CLAIM:
                raise
        # Too late for the expiry of the first attempt. A refused request is not remembered, and had Stripe seen
        # the first it would have replayed its answer: so there is no session yet, and a fresh attempt is safe.
        key, expires_at = str(uuid.uuid4()), self._expiry(now)
        params = self._gateway.session_params(payment.id, self._board_tag, expires_at)
        await self._store(payment.id, stripe_key=key, stripe_params=params, expires_at=expires_at)
        return await self._gateway.create_session(params, key)

    async def _store(self, payment_id: str, **values: Any) -> None:
        async with self._database.transaction() as connection:
            await queries.update_payment(connection, payment_id, **values)

    def _unavailable(self, payment: Row[Any], error: GatewayError) -> ProviderUnavailable:
        if isinstance(error, RequestRefused):
            # No waiting mends this: a key, a tax setting or a parameter is wrong.
            log.error("stripe.refused", payment_id=payment.id, error=str(error))
            return ProviderUnavailable("Payments are not set up correctly here. Nothing was charged.", retry_after=60)
        log.warning("stripe.unavailable", payment_id=payment.id, error=str(error))
        return ProviderUnavailable("The payment provider does not answer. Nothing was charged; please try again.")

    async def find_payment(self, payment_id: str) -> Row[Any]:
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

    async def fulfill(self, facts: Sequence[SessionFact]) -> list[Verdict]:
        """Do what the facts ask for, in one transaction, and return what became of each.

        Safe to call any number of times, at the same time, with the same facts in any order
        (docs.stripe.com/checkout/fulfillment#create-fulfillment-function). It is on disk when this returns.
        """
        # Who asked may go away; what Stripe said is done all the same.
        return await asyncio.shield(asyncio.ensure_future(self._fulfill(facts)))

    async def _fulfill(self, facts: Sequence[SessionFact]) -> list[Verdict]:
        now = datetime.now(UTC)
        async with self._database.transaction() as connection:
            fresh = await queries.take_events(connection, [_inbox_row(fact, now) for fact in facts if fact.event_id])
            payments = await queries.lock_payments(connection, {fact.payment_id for fact in facts if fact.payment_id})
            ledger = Ledger(payments, self._board_tag, self._settings)
            verdicts = [
                ledger.enter(fact) if fact.event_id is None or fact.event_id in fresh else Verdict.DUPLICATE
                for fact in facts
            ]
            for fact, verdict in zip(facts, verdicts, strict=True):
                if fact.event_id in fresh:
                    await queries.judge_event(connection, fact.event_id, verdict)
            await queries.move_payments(connection, ledger.moves())
            await record(connection, ledger.crossings(), now)
        self._report(facts, verdicts)
        return verdicts

    def _report(self, facts: Sequence[SessionFact], verdicts: Sequence[Verdict]) -> None:
        for fact, verdict in zip(facts, verdicts, strict=True):
            self._metrics.facts.labels(verdict).inc()
            write = log.error if verdict in ALARMING else log.info
            write(
                "checkout.fact",
                verdict=verdict,
                fact=fact.fact,
                payment_id=fact.payment_id,
                event_id=fact.event_id,
                event_type=fact.event_type,
                payment_status=fact.payment_status,
            )

    async def sync_with_stripe(self, payment_id: str) -> None:
        """Ask Stripe about an unsettled payment and do what the answer asks for; at most once in 5 s."""
        now = datetime.now(UTC)
        async with self._database.transaction() as connection:
            if not await queries.claim_question(connection, payment_id, now=now, before=now - ASK_EVERY):
                return
        payment = await self.find_payment(payment_id)
        try:
            fact = await self._gateway.retrieve_session(payment.session_id)
        except (OutcomeUnknown, AttemptFailed, RequestRefused) as error:
            log.warning("stripe.not_answering", payment_id=payment_id, error=str(error))
            return
        await self.fulfill([fact])


class Ledger:
    """Works out, of locked payments and facts, what is to be written. Touches no database."""

    def __init__(self, payments: dict[str, Row[Any]], board_tag: str, settings: Settings) -> None:
        self._payments = payments
        self._board_tag = board_tag
        self._settings = settings
        self._before = {payment_id: _standing(row) for payment_id, row in payments.items()}
        self._after = dict(self._before)
        self._intents: dict[str, str | None] = {row.id: row.payment_intent for row in payments.values()}

    def enter(self, fact: SessionFact) -> Verdict:
        """Take one fact into account, or say why not."""
        if fact.board != self._board_tag or fact.payment_id is None:
            return Verdict.FOREIGN
        if fact.livemode != self._settings.livemode:
            return Verdict.WRONG_MODE
        payment = self._payments.get(fact.payment_id)
        if payment is None:
            return Verdict.UNKNOWN
        if fact.payment_status == "no_payment_required":
            return Verdict.NOT_PAID
        return self._apply(payment, fact)

    def _apply(self, payment: Row[Any], fact: SessionFact) -> Verdict:
        before = self._after[payment.id]
        match fact.fact:
            case None:
                return Verdict.REPEATED
            case Fact.EXPIRED | Fact.FAILED if payment.session_id not in {None, fact.session_id}:
                return Verdict.REPEATED  # an attempt before the present one came to its end
            case Fact.PAID | Fact.PROCESSING if not self._amount_matches(payment, fact):
                return Verdict.WRONG_AMOUNT
            case Fact.PAID if before.paid and self._intents[payment.id] not in {None, fact.payment_intent}:
                return Verdict.SURPLUS
        after = learn(before, fact.fact)
        if after == before:
            return Verdict.REPEATED
        self._after[payment.id] = after
        if fact.fact in {Fact.PAID, Fact.PROCESSING}:
            self._intents[payment.id] = fact.payment_intent
        return Verdict.APPLIED

    def _amount_matches(self, payment: Row[Any], fact: SessionFact) -> bool:
        taxed = "automatic_tax" in payment.stripe_params
        return amount_matches(fact, amount=payment.amount, currency=payment.currency, taxed=taxed)

    def _changed(self) -> Iterable[tuple[Row[Any], Standing, Standing]]:
        for payment_id, row in self._payments.items():
            before, after = self._before[payment_id], self._after[payment_id]
            if after != before:
                yield row, before, after

    def moves(self) -> list[dict[str, Any]]:
        """Return the changed payments, each with the status it was decided on."""
        return [
            {
                "id_": row.id,
                "from_": before.status,
                "status": after.status,
                "paid": after.paid,
                "refunded": after.refunded,
                "disputed": after.disputed,
                "payment_intent": self._intents[row.id],
            }
            for row, before, after in self._changed()
        ]

    def crossings(self) -> list[Crossing]:
        """Return what comes onto the board and what leaves it."""
        return [crossing for row, before, after in self._changed() if (crossing := _crossing(row, before, after))]


def _crossing(payment: Row[Any], before: Standing, after: Standing) -> Crossing | None:
    hidden_before, hidden_after = (standing.refunded or standing.disputed for standing in (before, after))
    if not before.posted:
        return Crossing("posted", payment=payment) if after.posted and not hidden_after else None
    if payment.moderated or hidden_after == hidden_before:
        return None
    if not hidden_after:
        return Crossing("restored", message_id=payment.message_id)
    reason = Reason.REFUNDED if after.refunded else Reason.DISPUTED
    return Crossing("removed", message_id=payment.message_id, reason=reason)


def _standing(payment: Row[Any]) -> Standing:
    return Standing(
        status=PaymentStatus(payment.status),
        paid=payment.paid,
        refunded=payment.refunded,
        disputed=payment.disputed,
        posted=payment.message_id is not None,
    )


def _inbox_row(fact: SessionFact, now: datetime) -> dict[str, Any]:
    # `unknown` until it is judged in the same transaction: a verdict that can be asked again is the safe one.
    return {
        "id": fact.event_id,
        "type": fact.event_type,
        "payment_id": fact.payment_id,
        "session_id": fact.session_id,
        "verdict": Verdict.UNKNOWN,
        "received_at": now,
    }
