"""Unplugged: removals of safeguards at the webhook, the feed, the connections and the log, for `sabotages`."""

import asyncio
from typing import Any

from sqlalchemy import and_, func, update

from paidchat import observability
from paidchat.api import webhooks
from paidchat.background import Supervisor
from paidchat.domain import RefundCause, Verdict
from paidchat.feed import subscriber as subscriber_module
from paidchat.feed.entries import Entry
from paidchat.feed.feed import Feed
from paidchat.feed.subscriber import Subscriber
from paidchat.payments import refunds
from paidchat.payments.settlement import Settlement
from paidchat.serving import heads, server
from paidchat.serving.chunks import ChunkedBody
from paidchat.serving.deadline import Deadline
from paidchat.serving.incoming import FrameBudget
from paidchat.storage import clock as storage_clock
from paidchat.storage import queries, reconciliation
from paidchat.stripe import gateway as stripe_gateway
from paidchat.stripe.events import UnreadableEvent
from tests.torture.hooks.patches import replace

PAUSE_S = 0.2


def believe_everybody() -> None:
    """Accept every webhook without checking its signature."""

    def verify_signature(*_: Any) -> None:
        return

    replace(webhooks, "verify_signature", lambda _: verify_signature)


def follow_late() -> None:
    """Subscribe a viewer a moment after its first frame, from where the log is then."""

    class Following(set[Subscriber]):
        """A set that adds its members after a pause."""

        def __init__(self, feed: Feed) -> None:
            super().__init__()
            self._feed = feed

        def add(self, subscriber: Subscriber) -> None:
            asyncio.get_running_loop().call_later(PAUSE_S, self._add, subscriber)

        def _add(self, subscriber: Subscriber) -> None:
            subscriber.cursor = self._feed.seq
            super().add(subscriber)

    def late(make: Any) -> Any:
        def __init__(feed: Feed, *arguments: Any) -> None:  # noqa: N807 - it takes the place of one
            make(feed, *arguments)
            assert isinstance(feed._following, set)
            feed._following = Following(feed)

        return __init__

    replace(Feed, "__init__", late)


def replay_everything() -> None:
    """Replay entries as they were, even if their messages were removed since."""

    def as_it_was(feed: Feed, entry: Entry) -> bytes:
        del feed
        return entry.frame

    replace(Feed, "_replayed", lambda _: as_it_was)


def keep_surplus() -> None:
    """Do not refund second payments."""

    def only_operators(want: Any) -> Any:
        def want_unless_surplus(*arguments: Any) -> None:
            if RefundCause.DUPLICATE_PAYMENT not in arguments:
                want(*arguments)

        return want_unless_surplus

    replace(refunds, "want", only_operators)


def order_by_clock() -> None:
    """Order Stripe's answers by the time of the question instead of its number, and ignore older ones."""

    def by_time(enter: Any) -> Any:
        def enter_intent(ledger: Settlement, account: Any, fact: Any) -> Verdict:
            if account.answered_at is not None and fact.question.at < account.answered_at:
                return Verdict.REPEATED
            account.answered_number = None
            verdict: Verdict = enter(ledger, account, fact)
            return verdict

        return enter_intent

    replace(Settlement, "_enter_intent", by_time)


def believe_the_future() -> None:
    """Keep every stored time in force, however far in the future it is."""

    def in_force(backend: str, until: Any, span: Any) -> Any:
        del span
        return and_(until.is_not(None), until > storage_clock.moment(backend))

    def within(backend: str, since: Any, span: Any) -> Any:
        return and_(since.is_not(None), since > storage_clock.moment(backend, -span))

    replace(storage_clock, "in_force", lambda _: in_force)
    replace(storage_clock, "within", lambda _: within)


def sweep_whoever_does() -> None:
    """Let every process sweep, whoever holds the sweep."""

    def holding(hold: Any) -> Any:
        def hold_sweep(connection: Any, holder: str, lease: Any) -> Any:
            connection.execute(update(queries.sweep).values(holder=holder))
            return hold(connection, holder, lease)

        return hold_sweep

    replace(reconciliation, "hold_sweep", holding)


def keep_the_sweep() -> None:
    """Do not release the sweep at the end of a pass."""
    replace(reconciliation, "release_sweep", lambda _: lambda *_, **__: None)


def lock_in_any_order() -> None:
    """Lock payments in a random order instead of that of their ids."""
    replace(queries, "_LOCK_PAYMENTS", lambda lock: lock.order_by(None).order_by(func.random()))


def read_all_or_nothing() -> None:
    """Make one unreadable event in a list fail the whole list."""

    def unforgiving(read: Any) -> Any:
        def read_listed_event(event: Any) -> Any:
            try:
                return read(event)
            except UnreadableEvent as error:
                raise ValueError("an event of the list cannot be read") from error

        return read_listed_event

    replace(stripe_gateway, "read_listed_event", unforgiving)


def wait_for_everybody() -> None:
    """Wait for the end of a request without a deadline."""
    replace(Deadline, "set", lambda _: lambda deadline, seconds: None)  # noqa: ARG005 - it takes a method's place


def shake_any_hand() -> None:
    """Leave every handshake to the WebSocket library."""
    replace(heads.Head, "check_handshake", lambda _: lambda head: None)  # noqa: ARG005 - it takes a method's place


def read_trailers() -> None:
    """Read trailers without a limit."""

    def feed(body: ChunkedBody, piece: bytes) -> bytes:
        body._parser.feed_data(piece)
        content = b"".join(body._new)
        body._new.clear()
        return content

    replace(ChunkedBody, "feed", lambda _: feed)


def count_no_frames() -> None:
    """Let viewers send any number of frames."""
    replace(FrameBudget, "admits", lambda _: lambda budget: True)  # noqa: ARG005 - it takes a method's place


def wait_for_readers() -> None:
    """Buffer everything that a viewer has not read, without a limit."""

    def keep(subscriber: Subscriber) -> None:
        del subscriber

    replace(subscriber_module, "MAX_BACKLOG", lambda _: 2**40)
    replace(Subscriber, "drop_if_stalled", lambda _: keep)
    replace(server, "USER_TIMEOUT_MS", lambda _: 0)  # the kernel's default


def log_everything() -> None:
    """Log without redaction."""
    replace(observability, "_redact_event", lambda _: lambda _logger, _name, event: event)


def leave_tasks_dead() -> None:
    """Do not restart background tasks."""

    def ended(supervisor: Supervisor, task: Any) -> None:
        del supervisor, task

    replace(Supervisor, "_ended", lambda _: ended)
