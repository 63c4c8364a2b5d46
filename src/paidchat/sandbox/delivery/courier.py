"""Courier: posts queued events to the webhook endpoint until they are accepted; each attempt is signed anew."""

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import httpx

from paidchat.sandbox.clock import Clock
from paidchat.sandbox.delivery.signatures import signature_header
from paidchat.sandbox.faults import Faults
from paidchat.sandbox.settings import SandboxSettings
from paidchat.sandbox.store import Store
from paidchat.sandbox.upkeep import Upkeep

_LOG = logging.getLogger(__name__)

REDIRECT_WAIT_S = 10.0
"""How long Checkout waits for the webhook's response before it redirects (docs.stripe.com/checkout/fulfillment)."""

_ATTEMPT_TIMEOUT_S = 20.0
_FIRST_BACKOFF_S = 1.0
_FIRST_BACKOFF_UNREACHABLE_S = 0.25  # connection refused: the demo that hosts us may still be starting
_LONGEST_BACKOFF_S = 60.0
_GIVE_UP_AFTER_S = 3 * 24 * 3600
_MOST_AT_ONCE = 64
_SHORTEST_PAUSE_S = 0.01
_IDLE_S = 1.0  # the longest pause between two looks for due events
_KEEPALIVE_S = 2.0  # below uvicorn's 5 s, so that no connection is reused while the receiver is closing it


@dataclass(frozen=True)
class Answer:
    """The result of one attempt: an HTTP status, or None and the reason in `note`."""

    status: int | None
    note: str | None = None
    unreachable: bool = False

    @property
    def received(self) -> bool:
        """Whether the receiver accepted the event: any 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - the status class itself


class Courier:
    """Delivers each event in a task of its own, so that a slow one does not delay the others.

    Pending events are in the store, so a restart continues where the last process stopped.
    """

    def __init__(self, settings: SandboxSettings, store: Store, clock: Clock, faults: Faults, upkeep: Upkeep) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._faults = faults
        self._upkeep = upkeep
        self._wake = asyncio.Event()
        self._flying: set[str] = set()  # events
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._client: httpx.AsyncClient | None = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Hold the connections to the receiver. Deliveries end before the block does.

        Attempts in progress don't count and are repeated after a restart.
        """
        limits = httpx.Limits(max_connections=256, max_keepalive_connections=64, keepalive_expiry=_KEEPALIVE_S)
        timeout = httpx.Timeout(_ATTEMPT_TIMEOUT_S, pool=None)
        secure = self._settings.webhook_url.startswith("https:")  # no certificates to load for plain HTTP
        async with httpx.AsyncClient(verify=secure, trust_env=False, limits=limits, timeout=timeout) as self._client:
            try:
                yield
            finally:
                for waiters in self._waiting.values():
                    _release(waiters)

    def start(self) -> None:
        """Start delivering, on the running event loop."""
        self._wake = asyncio.Event()  # bound to this event loop
        self._store.after_commit = self._wake.set
        self._upkeep.keep("sandbox courier", self._run)

    def wake(self) -> None:
        """Look for due events now; called after the clock was advanced."""
        self._wake.set()

    async def first_answer(self, event_id: str) -> None:
        """Wait until the first attempt to deliver an event has got a response, or has failed.

        Returns at once if that has happened already or if a fault delays the event.
        """
        row = self._store.row("SELECT state, attempts, due FROM deliveries WHERE event = ?", (event_id,))
        if row is None or row["attempts"] or row["state"] != "pending" or row["due"] > self._clock.now():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(event_id, []).append(waiter)
        with suppress(TimeoutError):
            async with asyncio.timeout(REDIRECT_WAIT_S):
                await waiter

    async def resend(self, event_id: str) -> Answer | None:
        """Send an event once more, now, ignoring all faults; return None if there is no such event.

        If resending a dropped event fails, it is retried like any other.
        """
        event = self._store.get("event", event_id)
        if event is None:
            return None
        now = self._clock.now()
        self._store.rows(
            "INSERT INTO deliveries (event, session, type, state, begun, due) "
            "VALUES (?, ?, ?, 'dropped', ?, ?) ON CONFLICT (event) DO NOTHING",
            (event_id, self._store.session_of(event_id), event["type"], now, now),
        )
        answer = await self._post(event_id)
        row = self._store.row("SELECT * FROM deliveries WHERE event = ?", (event_id,))
        if row is not None:
            self._settle(row, [answer], begun=now if row["state"] != "pending" else row["begun"])
        return answer

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            pause = _IDLE_S
            try:
                next_due = self._launch()
            except sqlite3.OperationalError:  # such as a full disk: nothing is lost, so look again later
                _LOG.exception("The sandbox could not read its deliveries")
            else:
                if next_due is not None:
                    pause = min(_IDLE_S, max(next_due - self._clock.now(), _SHORTEST_PAUSE_S))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    def _launch(self) -> float | None:
        """Start the attempts that are due, as many as allowed at once; return when the next one is due."""
        free = _MOST_AT_ONCE - len(self._flying)
        if free <= 0:
            return None  # an attempt that ends wakes the loop
        rows = self._store.rows(
            "SELECT * FROM deliveries WHERE state = 'pending' ORDER BY due LIMIT ?", (_MOST_AT_ONCE + free,)
        )
        now = self._clock.now()
        for row in rows:
            if row["event"] in self._flying:
                continue
            if row["due"] > now:
                return float(row["due"])
            if len(self._flying) < _MOST_AT_ONCE:
                self._fly(row)
        return None

    def _fly(self, row: sqlite3.Row) -> None:
        event_id = row["event"]
        self._flying.add(event_id)
        task = self._upkeep.start(f"deliver {event_id}", partial(self._deliver, row))
        task.add_done_callback(lambda _: self._landed(event_id))

    def _landed(self, event_id: str) -> None:
        self._flying.discard(event_id)
        _release(self._waiting.pop(event_id, []))
        self._wake.set()

    async def _deliver(self, row: sqlite3.Row) -> None:
        try:
            await self._attempt(row)
        except Exception:  # noqa: BLE001 - a full disk or a bug of ours: logged, and retried after a pause
            _LOG.exception("A delivery of the sandbox failed and will be retried")
            await asyncio.sleep(_IDLE_S)

    async def _attempt(self, row: sqlite3.Row) -> None:
        if self._faults.take_drop():
            self._lose(row)
            return
        copies = 1 + self._faults.webhook.duplicate
        answers = await asyncio.gather(*(self._post(row["event"]) for _ in range(copies)))
        fresh = self._store.row("SELECT * FROM deliveries WHERE event = ?", (row["event"],))
        if fresh is not None:
            self._settle(fresh, answers, begun=fresh["begun"])

    async def _post(self, event_id: str) -> Answer:
        event = self._store.get("event", event_id)
        if event is None or self._client is None:
            return Answer(None, "not running")
        payload = json.dumps(event).encode()
        timestamp = int(time.time())  # wall time, because receivers compare it with their own clock
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (sandbox)",
            "Stripe-Signature": signature_header(payload, self._settings.webhook_secret, timestamp),
        }
        try:
            response = await self._client.post(self._settings.webhook_url, content=payload, headers=headers)
        except (httpx.ConnectError, AttributeError):  # anyio's, for a connection that is lost while it is being made
            return Answer(None, httpx.ConnectError.__name__, unreachable=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer(None, type(error).__name__)
        return Answer(response.status_code)

    def _lose(self, row: sqlite3.Row) -> None:
        with self._store.transaction():
            self._write_attempt(row, row["attempts"] + 1, Answer(None, "dropped"))
            self._store.rows(
                "UPDATE deliveries SET state = 'dropped', attempts = attempts + 1 WHERE event = ?",
                (row["event"],),
            )

    def _settle(self, row: sqlite3.Row, answers: list[Answer], *, begun: float) -> None:
        """Store the answers to all copies of one attempt, and the delivery's new state."""
        attempt = row["attempts"] + 1
        state, due = "pending", row["due"]
        if row["state"] == "delivered" or any(answer.received for answer in answers):
            state = "delivered"
        elif self._clock.now() - begun > _GIVE_UP_AFTER_S:
            state = "abandoned"
        else:
            due = self._clock.now() + _backoff_s(attempt, unreachable=answers[0].unreachable)
        with self._store.transaction():
            for answer in answers:
                self._write_attempt(row, attempt, answer)
            self._store.rows(
                "UPDATE deliveries SET state = ?, attempts = ?, begun = ?, due = ? WHERE event = ?",
                (state, attempt, begun, due, row["event"]),
            )

    def _write_attempt(self, row: sqlite3.Row, attempt: int, answer: Answer) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._store.rows(
            "INSERT INTO attempts (event, type, session, attempt, status, note, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (row["event"], row["type"], row["session"], attempt, answer.status, answer.note, at),
        )


def _backoff_s(attempt: int, *, unreachable: bool) -> float:
    """Return the seconds between a failed attempt (the first is 1) and the next."""
    first = _FIRST_BACKOFF_UNREACHABLE_S if unreachable else _FIRST_BACKOFF_S
    return float(min(_LONGEST_BACKOFF_S, first * 2 ** min(attempt - 1, 10)))


def _release(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
