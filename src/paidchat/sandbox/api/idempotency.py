"""Idempotency: responses kept under the caller's key (docs.stripe.com/api/idempotent_requests)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from paidchat.sandbox.api.calls import Call
from paidchat.sandbox.clock import Clock
from paidchat.sandbox.errors import ApiError
from paidchat.sandbox.store import Store

_KEPT_S = 24 * 3600


@dataclass(frozen=True)
class Reply:
    """A response: status, JSON text, and the id of the request that first got it."""

    status: int
    text: str
    request_id: str
    replayed: bool = False


class Idempotency:
    """Keeps responses in the store, and the keys of calls in progress in memory."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._in_use: set[str] = set()

    def replay(self, call: Call) -> Reply | None:
        """Return the response kept under the call's key, or None if the call must be made.

        Raises:
            ApiError: The key was used with other parameters.
        """
        row = self._store.row("SELECT * FROM idempotency WHERE key = ?", (call.idempotency_key,))
        if row is None:
            return None
        if row["fingerprint"] != call.fingerprint:
            message = "Keys for idempotent requests can only be used with the parameters they were first used with."
            raise ApiError(message, kind="idempotency_error")
        return Reply(row["status"], row["body"], row["request_id"], replayed=True)

    @contextmanager
    def claim(self, call: Call) -> Iterator[None]:
        """Claim the call's key while the call is made.

        Raises:
            ApiError: Another call with this key is in progress.
        """
        key = call.idempotency_key
        if key is None:
            yield
            return
        if key in self._in_use:
            message = "There is currently another in-progress request using this Idempotent Key."
            raise ApiError(message, status=409, kind="idempotency_error", code="idempotency_key_in_use")
        self._in_use.add(key)
        try:
            yield
        finally:
            self._in_use.discard(key)

    def remember(self, call: Call, reply: Reply) -> None:
        """Store a response under the call's key, in the caller's transaction, and delete keys older than a day."""
        if call.idempotency_key is None:
            return
        now = self._clock.stamp()
        self._store.rows("DELETE FROM idempotency WHERE at < ?", (now - _KEPT_S,))
        self._store.rows(
            "INSERT INTO idempotency (key, fingerprint, status, body, request_id, at) VALUES (?, ?, ?, ?, ?, ?)",
            (call.idempotency_key, call.fingerprint, reply.status, reply.text, reply.request_id, now),
        )
