"""The sweep: asks Stripe about what it did not tell, sends refunds that are due, and clears away what is old."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from paidchat.clients import client_id
from paidchat.domain import TO_BE_RETRIED, DomainError, PaymentStatus, ProviderUnavailable, Question, Verdict, is_open
from paidchat.observability import Metrics
from paidchat.payments import refunds
from paidchat.payments.fulfilment import MAX_QUESTIONS, Fulfilment
from paidchat.payments.question_budget import QuestionBudget, question_interval
from paidchat.payments.sessions import CLAIM_TTL, CheckoutSessions
from paidchat.records import PaymentRecord
from paidchat.storage import clock, queries, reconciliation
from paidchat.storage.database import Database, DatabaseUnavailable
from paidchat.storage.group_commit import WriteInterrupted
from paidchat.stripe.gateway import GatewayError, RequestRefused, StripeGateway, UnreadableAnswer

log = structlog.get_logger(__name__)

Failure = GatewayError | ProviderUnavailable  # of a question to Stripe

FIRST_DELAY_S = 0.5  # in a demo, Stripe is the server that is just starting
LONGEST_BACKOFF_S = 600
LEASE_TTL = timedelta(seconds=60)  # renewed as a pass goes on; a holder that died is followed after it
CHUNK = 500  # ids in one query
PAYMENTS_PER_PASS = 200
GIVE_UP_AFTER = 3  # failures in a row
AT_ONCE = 8  # questions under way to Stripe, whose limit is a hundred a second
# How long ago Stripe must have been asked about a payment, by its age: pairs of the age up to which it holds and the
# interval, youngest first. Most are paid within minutes or never, and a bank debit takes days.
ANY_AGE = timedelta(days=365)
INTERVALS: Final = {
    PaymentStatus.PENDING: (
        (timedelta(minutes=10), timedelta(0)),
        (timedelta(hours=1), timedelta(minutes=1)),
        (ANY_AGE, timedelta(minutes=5)),
    ),
    PaymentStatus.PROCESSING: ((ANY_AGE, timedelta(hours=1)),),
}
EVENTS_OVERLAP = timedelta(minutes=5)  # events become listable a little after they happen
CLOSED_KEPT = timedelta(days=7)  # once Stripe has said that no money will come
UNPAID_KEPT = timedelta(days=30)
CLOCKS_AGREE = timedelta(minutes=1)  # with Stripe's, or nothing is pruned
BEGINNING = datetime.fromtimestamp(0, UTC)  # before any event that Stripe still has
FAILING_EVENT_TTL = timedelta(days=1)
INBOX_KEPT = timedelta(days=60)  # longer than Stripe can send or list an event


@dataclass(slots=True)
class Findings:
    """What one pass did."""

    asked: int = 0
    events: int = 0
    refunds: int = 0
    pruned: int = 0
    failed: int = 0  # events and payments that could not be read, or that a bug of ours kept from being handled


class Failures:
    """Questions that Stripe did not answer: single ones are passed over, so many in a row mean that it is down.

    One that failed for a reason of its own says nothing of Stripe, and must not keep us from the others.
    """

    def __init__(self, findings: Findings) -> None:
        self.first: Failure | None = None
        self.single = 0
        self._findings = findings
        self._in_a_row = 0

    def note(self, outcomes: Iterable[Exception | None]) -> None:
        """Note what became of some questions."""
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
        """Whether there is no sense in asking on."""
        return self._in_a_row >= GIVE_UP_AFTER


class Reconciler:
    """One sweep at a time, across every process on the database."""

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
        """Sweep now and every period, until cancelled; back off while Stripe does not answer."""
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
        """Make one pass; a full one leaves nothing for later. None if another process is at it.

        Raises:
            GatewayError, ProviderUnavailable: Stripe could not be asked; what was found before is kept.
        """
        since = await self._hold()
        if since is None:
            return None
        read_to = None
        findings = Findings()
        try:
            # Events first: one question tells of a hundred. What they don't tell, such as a session whose id was never
            # stored, is asked for one by one; and one that Stripe fails on must not keep us from the others.
            reading, read_to = await self._read_events(findings, since, BEGINNING if full else since)
            asking = await (self._ask_about_all(findings) if full else self._ask_about_due(findings))
            findings.refunds = len(await refunds.send_due(self._database, self._gateway))
            findings.pruned = await self._prune()
        finally:
            async with self._database.transaction() as connection:
                await reconciliation.release_sweep(connection, self._holder, events_since=read_to)
        self._metrics.sweep_failures.inc(findings.failed)
        if findings != Findings(asked=findings.asked):
            found = {"events": findings.events, "refunds": findings.refunds, "pruned": findings.pruned}
            log.info("sweep.found", **found, failed=findings.failed)
        if error := reading or asking:
            raise error
        return findings

    async def _hold(self) -> datetime | None:
        async with self._database.transaction() as connection:
            return await reconciliation.hold_sweep(connection, self._holder, LEASE_TTL)

    async def _ask_about_due(self, findings: Findings) -> Failure | None:
        async with self._database.reading() as connection:
            payments = await reconciliation.payments_to_ask_about(
                connection, INTERVALS, claim_ttl=CLAIM_TTL, limit=PAYMENTS_PER_PASS
            )
        failures = Failures(findings)
        await self._ask_about(payments, findings, failures)
        return failures.first

    async def _ask_about_all(self, findings: Findings) -> Failure | None:
        failures = Failures(findings)
        after = ""
        while not failures.too_many:
            async with self._database.reading() as connection:
                payments = await reconciliation.unsettled_payments(connection, after=after, limit=PAYMENTS_PER_PASS)
            if not payments:
                break
            await self._ask_about(payments, findings, failures)
            after = payments[-1].id
        return failures.first

    async def _ask_about(self, payments: Sequence[PaymentRecord], findings: Findings, failures: Failures) -> None:
        """Ask about some at once. Each goes to the end of the queue, whether Stripe answers or not."""
        for start in range(0, len(payments), AT_ONCE):
            chunk = payments[start : start + AT_ONCE]
            async with self._database.transaction() as connection:
                await reconciliation.hold_sweep(connection, self._holder, LEASE_TTL)
                await reconciliation.mark_asked(connection, [payment.id for payment in chunk])
                question = await queries.take_question(connection)
            asking = (_outcome(self.ask(payment, question), payment_id=payment.id) for payment in chunk)
            failures.note(await asyncio.gather(*asking))
            findings.asked += len(chunk)
            if failures.too_many:
                return

    async def _read_events(
        self, findings: Findings, cursor: datetime, since: datetime
    ) -> tuple[Failure | None, datetime | None]:
        """Handle the events that were not sent to us, the oldest first; return how far all are handled, if they are.

        One that cannot be read is passed over. One that is itself in order but fails by itself is tried again for
        a day, then it is passed over too.

        Times are Stripe's own, the next pass begins where this one ended: what our clock says does not matter.
        """
        try:
            listed = await self._gateway.list_events(max(since - EVENTS_OVERLAP, BEGINNING))
            if cursor > self._gateway.clock.now() + CLOCKS_AGREE:
                # Our clock was wrong when the first sweep wrote this down.
                cursor = BEGINNING
                listed = await self._gateway.list_events(cursor)
        except GatewayError as error:
            return error, None
        ids = [event.event_id for event in (*listed.unreadable, *listed.news) if event.event_id]
        verdicts = await self._verdicts(ids)
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

    async def _verdicts(self, event_ids: Sequence[str]) -> dict[str, Verdict]:
        verdicts: dict[str, Verdict] = {}
        async with self._database.reading() as connection:
            for start in range(0, len(event_ids), CHUNK):
                verdicts |= await queries.event_verdicts(connection, event_ids[start : start + CHUNK])
        return verdicts

    async def _prune(self) -> int:
        """Clear away what is old, unless our idea of the time is not Stripe's: it could take what is not."""
        async with self._database.transaction() as connection:
            if abs(await clock.read(connection) - self._gateway.clock.now()) > CLOCKS_AGREE:
                return 0
            return await reconciliation.prune(
                connection, closed_kept=CLOSED_KEPT, unpaid_kept=UNPAID_KEPT, events_kept=INBOX_KEPT
            )

    # --- one payment --------------------------------------------------------------------------------

    async def look_up(self, payment: PaymentRecord, client: str) -> None:
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
            await self.ask(payment, question)
        except Exception as error:
            # No caller is waiting for this, and the next sweep asks again.
            if isinstance(error, GatewayError | DomainError | WriteInterrupted | DatabaseUnavailable):
                log.warning("stripe.not_asked", payment_id=payment.id, error=str(error))
            else:
                log.exception("stripe.not_asked", payment_id=payment.id)

    async def ask(self, payment: PaymentRecord, question: Question | None = None) -> None:
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


def _asked_within(payment: PaymentRecord, interval: timedelta) -> bool:
    """Tell whether Stripe was asked about a payment so lately that the database need not be asked whether it was."""
    return payment.asked_at is not None and payment.read_at - interval < payment.asked_at <= payment.read_at


async def _outcome(work: Awaitable[Any], **about: str | None) -> Exception | None:
    """Wait for something that asks Stripe, and return how that failed, if it did. Only an outage is raised."""
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
    """Tell whether Stripe did answer, but about this one thing with something that cannot be read."""
    return isinstance(error, UnreadableAnswer) or isinstance(error.__cause__, UnreadableAnswer)
