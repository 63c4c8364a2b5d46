"""The reconciler: in periodic sweeps, catches up on missed webhooks, sends due refunds and prunes old rows."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.engine import Connection

from paidchat.background import finish
from paidchat.clients import client_id
from paidchat.domain import TO_BE_RETRIED, DomainError, PaymentStatus, ProviderUnavailable, Question, Verdict, is_open
from paidchat.observability import Metrics
from paidchat.payments import refunds
from paidchat.payments.fulfilment import MAX_QUESTIONS, Fulfilment
from paidchat.payments.question_budget import QuestionBudget, question_interval
from paidchat.payments.sessions import CLAIM_TTL, CheckoutSessions
from paidchat.records import PaymentRecord
from paidchat.storage import claims, clock, inbox, queries, reconciliation
from paidchat.storage.database import Database, DatabaseUnavailable
from paidchat.storage.writer import WriteInterrupted
from paidchat.stripe.gateway import GatewayError, RequestRefused, StripeGateway, UnreadableAnswer

log = structlog.get_logger(__name__)

Failure = GatewayError | ProviderUnavailable  # to get an answer from Stripe

FIRST_DELAY_S = 0.5  # in a demo, the stand-in for Stripe is the server that is just starting
LONGEST_BACKOFF_S = 600
LEASE_TTL = timedelta(seconds=60)  # renewed during a sweep; after this, another process takes over from a dead one
CHUNK = 500  # ids in one query
PAYMENTS_PER_PASS = 200
GIVE_UP_AFTER = 3  # failures in a row
AT_ONCE = 8  # concurrent questions to Stripe, whose limit is 100 a second
# The interval between questions about a payment, as pairs of the age up to which it applies and the interval, youngest
# first. Most payments are paid within minutes or never; a bank debit takes days.
ANY_AGE = timedelta(days=365)
INTERVALS: Final = {
    PaymentStatus.PENDING: (
        (timedelta(minutes=10), timedelta(0)),
        (timedelta(hours=1), timedelta(minutes=1)),
        (ANY_AGE, timedelta(minutes=5)),
    ),
    PaymentStatus.PROCESSING: ((ANY_AGE, timedelta(hours=1)),),
}
EVENTS_OVERLAP = timedelta(minutes=5)  # events can be listed only a little after they happen
CLOSED_KEPT = timedelta(days=7)  # once Stripe has said that no money will come
UNPAID_KEPT = timedelta(days=30)
CLOCKS_AGREE = timedelta(minutes=1)  # ours and Stripe's must, or nothing is pruned
BEGINNING = datetime.fromtimestamp(0, UTC)  # earlier than any event that Stripe still has
FAILING_EVENT_TTL = timedelta(days=1)
INBOX_KEPT = timedelta(days=60)  # longer than Stripe sends or lists an event


@dataclass(slots=True)
class Findings:
    """What one sweep did."""

    asked: int = 0
    events: int = 0
    refunds: int = 0
    pruned: int = 0
    failed: int = 0  # events and payments that were unreadable or hit a bug


class Failures:
    """Counts failures: single ones are skipped, several in a row mean that Stripe is down.

    A failure of our own, or an unreadable answer, says nothing about Stripe and doesn't stop the sweep.
    """

    def __init__(self, findings: Findings) -> None:
        self.first: Failure | None = None
        self.single = 0
        self._findings = findings
        self._in_a_row = 0

    def note(self, outcomes: Iterable[Exception | None]) -> None:
        """Record the outcomes of some questions."""
        for error in outcomes:
            if isinstance(error, Failure) and not _is_unreadable(error):
                self.first = self.first or error
                self._in_a_row += 1
            else:
                self.single += error is not None
                self._findings.failed += error is not None
                self._in_a_row = 0

    @property
    def too_many(self) -> bool:
        """Whether to give up this sweep."""
        return self._in_a_row >= GIVE_UP_AFTER


class Reconciler:
    """Runs sweeps, one at a time across all processes on the database."""

    def __init__(
        self,
        database: Database,
        gateway: StripeGateway,
        fulfilment: Fulfilment,
        sessions: CheckoutSessions,
        metrics: Metrics,
        board_tag: str,
        *,
        period_s: float,
    ) -> None:
        self._metrics = metrics
        self._database = database
        self._gateway = gateway
        self._fulfilment = fulfilment
        self._sessions = sessions
        self._board_tag = board_tag
        self._budget = QuestionBudget()
        self._period_s = period_s
        self._holder = uuid.uuid4().hex

    async def run(self) -> None:
        """Sweep now and every period until cancelled; back off while Stripe is unavailable."""
        failures = 0
        await asyncio.sleep(FIRST_DELAY_S)
        while True:
            try:
                await self.sweep()
                failures = 0
            except (GatewayError, ProviderUnavailable) as error:
                failures += 1
                log.warning("sweep.stripe_unavailable", error=str(error), failures=failures)
            except Exception:
                failures += 1
                log.exception("sweep.failed")
            backoff = min(self._period_s * 2**failures, max(LONGEST_BACKOFF_S, self._period_s))
            await asyncio.sleep(backoff * random.uniform(0.9, 1.0))  # noqa: S311 - jitter, not a secret

    async def sweep(self, *, full: bool = False) -> Findings | None:
        """Do one sweep, a full one without regard to intervals; returns None if another process is sweeping.

        Raises:
            GatewayError, ProviderUnavailable: Stripe could not be reached; whatever was found before is kept.
        """
        read_to = None
        findings = Findings()
        try:
            since = await self._hold()
            if since is None:
                return None
            # Events first: one request lists a hundred. Anything they don't cover, such as a session whose id was never
            # stored, is asked about individually, and one that fails must not stop the others.
            reading, read_to = await self._read_events(findings, since, BEGINNING if full else since)
            asking = await (self._ask_about_all(findings) if full else self._ask_about_due(findings))
            findings.refunds = len(await refunds.send_due(self._database, self._gateway))
            findings.pruned = await self._database.write(self._prune)
        finally:
            await finish(self._database.write(reconciliation.release_sweep, self._holder, events_since=read_to))
        self._metrics.sweep_failures.inc(findings.failed)
        if findings != Findings(asked=findings.asked):
            found = {"events": findings.events, "refunds": findings.refunds, "pruned": findings.pruned}
            log.info("sweep.found", **found, failed=findings.failed)
        if error := reading or asking:
            raise error
        return findings

    async def _hold(self) -> datetime | None:
        return await self._database.write(reconciliation.hold_sweep, self._holder, LEASE_TTL)

    async def _ask_about_due(self, findings: Findings) -> Failure | None:
        payments = await self._database.read(
            reconciliation.payments_to_ask_about, INTERVALS, claim_ttl=CLAIM_TTL, limit=PAYMENTS_PER_PASS
        )
        failures = Failures(findings)
        await self._ask_about(payments, findings, failures)
        return failures.first

    async def _ask_about_all(self, findings: Findings) -> Failure | None:
        failures = Failures(findings)
        after = ""
        while not failures.too_many:
            payments = await self._database.read(
                reconciliation.unsettled_payments, after=after, limit=PAYMENTS_PER_PASS
            )
            if not payments:
                break
            await self._ask_about(payments, findings, failures)
            after = payments[-1].id
        return failures.first

    def _begin_asking(self, connection: Connection, payments: Sequence[PaymentRecord]) -> Question:
        reconciliation.hold_sweep(connection, self._holder, LEASE_TTL)
        reconciliation.mark_asked(connection, [payment.id for payment in payments])
        return queries.take_question(connection)

    async def _ask_about(self, payments: Sequence[PaymentRecord], findings: Findings, failures: Failures) -> None:
        """Ask about several concurrently. Each goes to the end of the queue, whether Stripe answers or not."""
        for start in range(0, len(payments), AT_ONCE):
            chunk = payments[start : start + AT_ONCE]
            question = await self._database.write(self._begin_asking, chunk)
            asking = (_outcome(self.ask(payment, question), payment_id=payment.id) for payment in chunk)
            failures.note(await asyncio.gather(*asking))
            findings.asked += len(chunk)
            if failures.too_many:
                return

    async def _read_events(
        self, findings: Findings, cursor: datetime, since: datetime
    ) -> tuple[Failure | None, datetime | None]:
        """Handle events that never reached us, oldest first; returns the first failure, and how far all are handled.

        Unreadable events are skipped. A readable one that keeps failing is retried for a day, then skipped too.

        The cursor is a time by Stripe's clock, and the next sweep starts there, so our clock does not matter.
        """
        try:
            listed = await self._gateway.list_events(max(since - EVENTS_OVERLAP, BEGINNING))
            if cursor > self._gateway.clock.now() + CLOCKS_AGREE:
                # Our clock was wrong when the first sweep stored this.
                cursor = BEGINNING
                listed = await self._gateway.list_events(cursor)
        except GatewayError as error:
            return error, None
        ids = [event.event_id for event in (*listed.unreadable, *listed.news) if event.event_id]
        verdicts = await self._database.read(_verdicts, ids)
        failures = Failures(findings)
        for event in listed.unreadable:
            if event.event_id not in verdicts:
                findings.failed += 1
                await _outcome(self._fulfilment.note_unreadable(event), event_id=event.event_id)
        for news in listed.news:
            if verdicts.get(news.event_id or "", Verdict.UNKNOWN) not in TO_BE_RETRIED or failures.too_many:
                continue
            await self._hold()
            failed = await _outcome(self._fulfilment.handle(news), event_id=news.event_id)
            failures.note([failed])
            findings.events += failed is None
        if failures.first or (failures.single and listed.until - cursor < FAILING_EVENT_TTL):
            return failures.first, None
        return None, max(cursor, listed.until)

    def _prune(self, connection: Connection) -> int:
        """Delete old rows, unless our clock differs from Stripe's, since that might delete newer ones."""
        if abs(clock.read(connection) - self._gateway.clock.now()) > CLOCKS_AGREE:
            return 0
        return reconciliation.prune(
            connection, closed_kept=CLOSED_KEPT, unpaid_kept=UNPAID_KEPT, events_kept=INBOX_KEPT
        )

    # --- one payment --------------------------------------------------------------------------------

    async def look_up(self, payment: PaymentRecord, client: str) -> None:
        """Ask Stripe about an unsettled payment that was looked up, and apply the answer.

        Stripe recommends this for the page that the payer returns to
        (docs.stripe.com/checkout/fulfillment#trigger-fulfillment-on-landing-page). At most one
        question per payment in 5 s, fewer for older payments, and within a budget: the sweep asks anyway.
        """
        interval = question_interval(payment.read_at - payment.created_at)
        client = client_id(client, self._board_tag)
        if _asked_within(payment, interval) or not self._budget.take(client):
            return
        try:
            question = await self._database.write(_claim_question, payment.id, interval)
            if question is None:
                self._budget.put_back(client)
                return
            await self.ask(payment, question)
        except Exception as error:
            # No request is waiting for this, and the next sweep asks again.
            if isinstance(error, GatewayError | DomainError | WriteInterrupted | DatabaseUnavailable):
                log.warning("stripe.not_asked", payment_id=payment.id, error=str(error))
            else:
                log.exception("stripe.not_asked", payment_id=payment.id)

    async def ask(self, payment: PaymentRecord, question: Question | None = None) -> None:
        """Ask Stripe about a payment and apply the answer.

        Takes a number for the question unless one is given.

        If the session's id was never stored, the request that created it is repeated: the same key and parameters
        return the same session. An overtaken answer is asked for again.

        Raises:
            OutcomeUnknown, AttemptFailed: Stripe could not be reached.
        """
        try:
            session_id = payment.session_id or await self._sessions.recover(payment)
            if session_id is None:
                return
            question = question or await self._fulfilment.new_question()
            for _ in range(MAX_QUESTIONS):
                session, money = await self._gateway.retrieve_session(session_id, question)
                verdicts = await self._fulfilment.fulfill([money, session] if money else [session])
                if Verdict.OVERTAKEN not in verdicts:
                    return
                question = await self._fulfilment.new_question()
        except RequestRefused as error:
            log.warning("stripe.session_refused", payment_id=payment.id, error=str(error))
            if not is_open(payment.expires_at, payment.read_at):
                await self._sessions.expire(payment)

    async def paid_without_row(self, since: datetime) -> list[str]:
        """Return the ids of our paid sessions whose payment is missing: it was made after the backup that was restored.

        Raises:
            GatewayError: Stripe could not be reached.
        """
        missing = []
        async for fact in self._gateway.list_paid_sessions(since):
            is_ours = fact.board_tag == self._board_tag and fact.payment_status == "paid"
            if is_ours and fact.payment_id and await self._database.read(queries.find_payment, fact.payment_id) is None:
                missing.append(fact.session_id)
        return missing


def _verdicts(connection: Connection, event_ids: Sequence[str]) -> dict[str, Verdict]:
    verdicts: dict[str, Verdict] = {}
    for start in range(0, len(event_ids), CHUNK):
        verdicts |= inbox.find_verdicts(connection, event_ids[start : start + CHUNK])
    return verdicts


def _asked_within(payment: PaymentRecord, interval: timedelta) -> bool:
    """Tell from the row alone whether Stripe was asked about a payment within the interval."""
    return payment.asked_at is not None and payment.read_at - interval < payment.asked_at <= payment.read_at


async def _outcome(work: Awaitable[Any], **about: str | None) -> Exception | None:
    """Await one item's work and return its failure, if any. Only an outage of the database is raised."""
    try:
        await work
    except (GatewayError, ProviderUnavailable) as error:
        if _is_unreadable(error):
            log.error("sweep.unreadable_answer", error=str(error), **about)
        return error
    except DatabaseUnavailable:
        raise
    except Exception as error:
        log.exception("sweep.item_failed", **about)
        return error
    return None


def _is_unreadable(error: Failure) -> bool:
    """Tell whether Stripe did answer, but unreadably."""
    return isinstance(error, UnreadableAnswer) or isinstance(error.__cause__, UnreadableAnswer)


def _claim_question(connection: Connection, payment_id: str, interval: timedelta) -> Question | None:
    """Claim the right to ask about a payment; returns the question, or None if it was asked recently."""
    claimed = claims.claim_question(connection, payment_id, interval)
    return queries.take_question(connection) if claimed else None
