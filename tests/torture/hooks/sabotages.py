"""Sabotages: each removes one safeguard in a board's process, to prove that a run would notice."""

import asyncio
import dataclasses
import random
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from msgspec import structs
from sqlalchemy import event, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from paidchat.domain import Fact, Verdict, learn
from paidchat.payments.fulfilment import Fulfilment
from paidchat.payments.reconciler import Reconciler
from paidchat.payments.settlement import Settlement
from paidchat.records import PaymentMove
from paidchat.storage import inbox, queries
from paidchat.storage.database import Database
from paidchat.storage.group import Outcome, Request, run_group
from paidchat.storage.rows import move_values
from paidchat.storage.sqlite import SQLite
from paidchat.storage.sqlite_library import sqlite3
from paidchat.storage.tail import Tail
from tests.torture.hooks import unplugged
from tests.torture.hooks.patches import replace
from tests.torture.table import Row

PAUSE_S = 0.3  # long enough for other requests to come in between


@dataclasses.dataclass(frozen=True)
class Sabotage:
    """The removal of one safeguard.

    Attributes:
        unplug: removes it in the process where it is called.
        run: the run that must turn red.
        sign: what the run's findings must contain, because red for another reason does not count.
        count: the number of rounds needed; None for a short pass.
        story: the stories of crash-points that are enough; None for any.
        what: a description.
    """

    unplug: Callable[[], None]
    run: str
    sign: str
    what: str
    count: int | None = None
    story: str | None = None


# --- being told -------------------------------------------------------------------------------------


def _forget_events() -> None:
    def find_none(*_: Any) -> dict[str, Verdict]:
        return {}

    def store_none(*_: Any) -> None:
        return

    replace(inbox, "find_verdicts", lambda _: find_none)
    replace(inbox, "store_events", lambda _: store_none)


def _answer_first() -> None:
    def hasty(handle: Any) -> Any:
        later: set[asyncio.Task[None]] = set()

        async def work(fulfilment: Fulfilment, news: Any) -> None:
            await asyncio.sleep(PAUSE_S)
            await handle(fulfilment, news)

        async def answer(fulfilment: Fulfilment, news: Any) -> Verdict:
            task = asyncio.create_task(work(fulfilment, news))
            later.add(task)
            task.add_done_callback(later.discard)
            return Verdict.APPLIED

        return answer

    replace(Fulfilment, "handle", hasty)


def _no_sweep() -> None:
    async def never(reconciler: Reconciler) -> None:
        del reconciler
        await asyncio.Event().wait()  # if it ended, it would be restarted

    replace(Reconciler, "run", lambda _: never)


def _forget_when_asked() -> None:
    def believing(enter: Any) -> Any:
        def enter_intent(ledger: Settlement, account: Any, fact: Any) -> Verdict:
            account.answered_number = account.answered_at = None
            verdict: Verdict = enter(ledger, account, fact)
            return verdict

        return enter_intent

    replace(Settlement, "_enter_intent", believing)


def _post_for_any_other_money() -> None:
    def passing_over(enter: Any) -> Any:
        def enter_intent(ledger: Settlement, account: Any, fact: Any) -> Verdict:
            if account.payment_intent not in {None, fact.payment_intent}:
                return Verdict.DUPLICATE_PAYMENT_MOVED
            verdict: Verdict = enter(ledger, account, fact)
            return verdict

        return enter_intent

    def enter_other_money(_: Settlement, account: Any, payment_intent: str) -> Verdict:
        account.payment_intent = payment_intent
        account.after = learn(structs.replace(account.after, refunded=False, disputed=False), Fact.PAID)
        return Verdict.APPLIED

    replace(Settlement, "_enter_intent", passing_over)
    replace(Settlement, "_enter_other_money", lambda _: enter_other_money)


# --- once, and in order -----------------------------------------------------------------------------

_seen_before: ContextVar[dict[str, Any]] = ContextVar("seen_before")


def _look_then_write() -> None:
    """Remove everything that guarantees "once", because each part alone would be enough."""
    replace(Fulfilment, "fulfill", _looking_first)
    replace(Database, "write_together", lambda _: _write_alone)
    replace(queries, "lock_payments", lambda _: _as_seen_before)
    replace(queries, "move_payments", lambda _: _move_whatever_they_are)
    event.listen(Engine, "before_cursor_execute", _without_unique_key, retval=True)


async def _write_alone(database: Database, work: Any, items: Sequence[Any], **_: Any) -> Any:
    return await database.write(work, items)


def _looking_first(fulfill: Any) -> Any:
    async def look_and_fulfill(fulfilment: Fulfilment, facts: Sequence[Any]) -> Any:
        ids = {fact.payment_id for fact in facts if fact.payment_id}
        found = await fulfilment._database.read(queries.find_payments, ids)
        _seen_before.set({row.id: row for row in found})
        await asyncio.sleep(PAUSE_S)
        return await fulfill(fulfilment, facts)

    return look_and_fulfill


def _as_seen_before(connection: Any, payment_ids: Any) -> dict[str, Any]:
    del connection, payment_ids
    return _seen_before.get()


def _move_whatever_they_are(connection: Any, moves: Sequence[PaymentMove]) -> None:
    for move in moves:
        moved = update(queries.payment).where(queries.payment.c.id == move.payment_id)
        connection.execute(moved.values(move_values(move)))


def _without_unique_key(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
    if "CREATE TABLE message" in statement:
        statement = statement.replace("UNIQUE (payment_id)", "CHECK (true)")
    return statement, parameters


def _count_elsewhere() -> None:
    def take_seqs(connection: Any, count: int) -> range:
        head = _count_on(count)
        connection.execute(update(queries.board).values(seq=head))
        return range(head - count + 1, head + 1)

    replace(queries, "take_seqs", lambda _: take_seqs)


def _count_on(count: int) -> int:
    """Count in a file, which is not rolled back with the transaction, just like a sequence."""
    counter = Path("counter")
    head = count + (int(counter.read_text()) if counter.exists() else 0)
    counter.write_text(str(head))
    return head


def _tell_before_the_commit() -> None:
    def write(store: SQLite, group: Sequence[Request]) -> tuple[list[Outcome], Tail]:
        with store.engine.connect() as connection:
            connection.execution_options(paidchat_writes=True)
            with connection.begin():
                outcomes, tail = run_group(connection, group)
                group[0].done.get_loop().call_soon_threadsafe(store._changes.wake, tail)
                if tail.entries and random.random() < 0.5:
                    raise OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))
        return outcomes, tail

    replace(SQLite, "_write", lambda _: write)


SABOTAGES: dict[str, Sabotage] = {
    "inbox": Sabotage(_forget_events, "overtaking", "acknowledged and forgotten", "events are not remembered", 1),
    "unique-key": Sabotage(
        _look_then_write,
        "duplicates",
        "doubled:",
        "looks, then writes: no unique key, no condition on the update, no lock, no single writer",
    ),
    "sweep": Sabotage(_no_sweep, "lost-events", "was paid and is not shown", "the reconciler does not ask Stripe"),
    "poisoned": Sabotage(
        unplugged.read_all_or_nothing,
        "lost-events",
        "was paid and is not shown",
        "one unreadable event stops the reconciler",
    ),
    "commit-after-answer": Sabotage(
        _answer_first, "storage-faults", "acknowledged and forgotten", "webhooks are answered before the commit", 1
    ),
    "seq": Sabotage(
        _count_elsewhere, "storage-faults", "not dense", "sequence numbers are taken outside the transaction", 1
    ),
    "early-feed": Sabotage(
        _tell_before_the_commit, "viewers", "goes back", "viewers are sent what is not committed yet", 1000
    ),
    "money-order": Sabotage(
        _forget_when_asked,
        "overtaking",
        "shown",  # or not shown, against its money: whichever answer came last
        "an older answer about refunds overwrites a newer one",
        3,
    ),
    "other-money": Sabotage(
        _post_for_any_other_money,
        "crash-points",
        "and its money went back",
        "other money of a payment posts, whether or not it is there",
        story="paid twice, both refunded, reversed",
    ),
    "signature": Sabotage(
        unplugged.believe_everybody, "forgeries", "forged accepted:", "the signature of webhooks is not checked"
    ),
    "join-order": Sabotage(
        unplugged.follow_late, "viewers", "a gap", "a viewer is subscribed a moment after its first frame"
    ),
    "withheld": Sabotage(
        unplugged.replay_everything,
        "viewers",
        "was off the board and was replayed",
        "removed messages are replayed",
        30,
    ),
    "deadlines": Sabotage(unplugged.wait_for_everybody, "hardening", "waited for longer", "requests have no deadline"),
    "handshakes": Sabotage(
        unplugged.shake_any_hand, "hardening", "a handshake", "bad handshakes are left to the WebSocket library"
    ),
    "trailers": Sabotage(
        unplugged.read_trailers, "hardening", "a flood of trailers", "trailers are read without a limit"
    ),
    "frame-budget": Sabotage(
        unplugged.count_no_frames, "hardening", "a flood of pings", "viewers may send any number of frames"
    ),
    "redaction": Sabotage(unplugged.log_everything, "hardening", "is in the log", "logs are not redacted"),
    "backlog": Sabotage(unplugged.wait_for_readers, "stalled", "were held for", "a viewer's buffer is unbounded"),
    "restart": Sabotage(
        unplugged.leave_tasks_dead, "task-kills", "does not get ready again", "background tasks are not restarted"
    ),
    "clock-order": Sabotage(
        unplugged.order_by_clock, "simulation", ": payment ", "Stripe's answers are ordered by a clock that jumps", 400
    ),
    "future-lease": Sabotage(
        unplugged.believe_the_future,
        "simulation",
        "the sweep was held by somebody",
        "a lease that a wrong clock set too far ahead stays in force",
        200,
    ),
    "sweep-lease": Sabotage(
        unplugged.sweep_whoever_does,
        "simulation",
        "two processes swept at once",
        "a process sweeps while another does",
        30,
    ),
    "sweep-release": Sabotage(
        unplugged.keep_the_sweep,
        "simulation",
        "the sweep was held by somebody",
        "a sweep does not release its lease",
        200,  # it shows only if another process sweeps within a minute; 40 boards once had none
    ),
    "lock-order": Sabotage(
        unplugged.lock_in_any_order, "writers", "deadlock", "payments are not locked in the order of their ids", 2000
    ),
    "surplus": Sabotage(
        unplugged.keep_surplus, "simulation", "and nothing went back", "a second payment is not refunded", 120
    ),
}


def unplug(name: str) -> None:
    """Remove a safeguard in this process."""
    SABOTAGES[name].unplug()


def is_noticed(name: str, rows: Sequence[Row]) -> bool:
    """Tell whether a run without a safeguard turned red for the right reason."""
    return any(SABOTAGES[name].sign in finding for row in rows for finding in row.findings)
