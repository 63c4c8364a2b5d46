"""Events: records what happened as Stripe's `event` objects, and queues them for the webhook endpoint."""

from dataclasses import dataclass

from paidchat.sandbox.clock import Clock
from paidchat.sandbox.delivery.foreign import sell_elsewhere
from paidchat.sandbox.faults import Faults
from paidchat.sandbox.ids import new_id
from paidchat.sandbox.objects.account import API_VERSION, SUBSCRIBED
from paidchat.sandbox.shapes import Json
from paidchat.sandbox.store import Store


@dataclass(frozen=True)
class Cause:
    """The API call behind an event; empty if a buyer, a bank or time caused it."""

    request_id: str | None = None
    idempotency_key: str | None = None


BY_ITSELF = Cause()


class Events:
    """Writes events inside the caller's transaction, each together with its delivery."""

    def __init__(self, store: Store, clock: Clock, faults: Faults) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults

    def record(
        self,
        kind: str,
        body: Json,
        *,
        session: str | None,
        cause: Cause = BY_ITSELF,
        previous: Json | None = None,
    ) -> str:
        """Record that `kind` happened to `body`, and return the event's id.

        Args:
            kind: The event's type, such as `charge.refunded`.
            body: The object as it is now; the event keeps this snapshot.
            session: The checkout session it is about, whose API version the event gets.
            cause: The API call that caused it.
            previous: For `*.updated`, the old values of the changed fields.
        """
        data: Json = {"object": body}
        if previous is not None:
            data["previous_attributes"] = previous
        subscribed = kind in SUBSCRIBED
        private = self._store.private(session) if session else {}
        event: Json = {
            "id": new_id("evt_1"),
            "object": "event",
            "api_version": private.get("api_version", API_VERSION),
            "created": self._clock.stamp(),
            "data": data,
            "livemode": False,
            "pending_webhooks": int(subscribed),
            "request": {"id": cause.request_id, "idempotency_key": cause.idempotency_key},
            "type": kind,
        }
        self._store.insert(event, session=session)
        if subscribed:
            self._queue(event, session)
        if subscribed and self._faults.webhook.foreign_events and not private.get("foreign"):
            foreign, about = sell_elsewhere(self._store, kind, created=self._clock.stamp())
            self.record(kind, about, session=foreign)
        return str(event["id"])

    def _queue(self, event: Json, session: str | None) -> None:
        begun = self._clock.now()
        self._store.rows(
            "INSERT INTO deliveries (event, session, type, state, begun, due) VALUES (?, ?, ?, 'pending', ?, ?)",
            (event["id"], session, event["type"], begun, begun + self._faults.hold_s()),
        )
