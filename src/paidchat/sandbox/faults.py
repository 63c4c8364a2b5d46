"""Faults: failures to inject into webhook deliveries and API responses."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from paidchat.sandbox.store import Store

_SETTING = "faults"
_MAX_SECONDS = 30 * 24 * 3600
_MAX_COUNT = 1_000_000
_MAX_COPIES = 200
_REORDER_HOLD_S = 3.0  # long enough for the next action of a person or a script


class InvalidFaultError(ValueError):
    """A fault that cannot be set; the text says which and why."""


@dataclass(frozen=True)
class WebhookFaults:
    """Faults between the sandbox and the webhook's receiver.

    Attributes:
        drop: How many of the next events are lost, or "all". They are never retried, as for a disabled
            endpoint; only resending an event by hand delivers it.
        duplicate: How many extra copies of each event are sent, all at the same time.
        delay_s: Seconds to hold each new event before its first attempt.
        reorder: Whether every second event is held until the one after it has been sent.
        foreign_events: Whether each event is accompanied by one of another application on the same account.
    """

    drop: int | Literal["all"] = 0
    duplicate: int = 0
    delay_s: float = 0.0
    reorder: bool = False
    foreign_events: bool = False


@dataclass(frozen=True)
class ApiFaults:
    """Faults in the API.

    Attributes:
        hang_s: Seconds to wait before a call is executed.
        status: 500 or 429 to return instead; the call is not executed.
        drop_answer: How many of the next POST calls are executed but get no response.
        count: How many more calls these faults apply to; None means until cleared.
    """

    hang_s: float = 0.0
    status: int | None = None
    drop_answer: int = 0
    count: int | None = None


class Faults:
    """The current faults; kept in the store, so they survive a restart."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorded = 0
        self.webhook = WebhookFaults()
        self.api = ApiFaults()

    def load(self) -> None:
        """Load the stored faults."""
        kept = self._store.setting(_SETTING, {})
        self.webhook = WebhookFaults(**kept.get("webhook", {}))
        self.api = ApiFaults(**kept.get("api", {}))

    def as_json(self) -> dict[str, Any]:
        """Return `{"webhook": {…}, "api": {…}}` with every fault."""
        return {"webhook": asdict(self.webhook), "api": asdict(self.api)}

    def put(self, given: Any) -> None:
        """Set one group or both; a given group is replaced as a whole.

        Raises:
            InvalidFaultError: An unknown name or an invalid value.
        """
        if not isinstance(given, dict) or set(given) - {"webhook", "api"}:
            raise InvalidFaultError("Faults must be an object with the keys 'webhook' and 'api'.")
        webhook, api = self.webhook, self.api
        if "webhook" in given:
            webhook = WebhookFaults(**_checked(WebhookFaults, given["webhook"]))
        if "api" in given:
            api = ApiFaults(**_checked(ApiFaults, given["api"]))
        self.webhook, self.api = webhook, api
        self._keep()

    def clear(self) -> None:
        """Clear all faults."""
        self.webhook, self.api = WebhookFaults(), ApiFaults()
        self._keep()

    def hold_s(self) -> float:
        """Return how many seconds to hold the event that is being recorded before its first attempt."""
        hold = self.webhook.delay_s
        if self.webhook.reorder:
            self._recorded += 1
            hold += _REORDER_HOLD_S * (self._recorded % 2)
        return hold

    def take_drop(self) -> bool:
        """Return whether to drop the event about to be delivered, and count it."""
        if self.webhook.drop == "all":
            return True
        if self.webhook.drop == 0:
            return False
        self.webhook = replace(self.webhook, drop=self.webhook.drop - 1)
        self._keep()
        return True

    def take_api(self, *, acts: bool) -> ApiFaults:
        """Return the faults for one call, and count it; `acts` is whether the call may change anything."""
        now = self.api if acts else replace(self.api, drop_answer=0)
        if self.api.count is None and not now.drop_answer:
            return now
        left = None if self.api.count is None else self.api.count - 1
        remaining = replace(self.api, count=left, drop_answer=self.api.drop_answer - bool(now.drop_answer))
        self.api = ApiFaults() if left == 0 else remaining
        self._keep()
        return now

    def _keep(self) -> None:
        self._store.set_setting(_SETTING, self.as_json())


def _checked(group: type[WebhookFaults | ApiFaults], given: Any) -> dict[str, Any]:
    names = {field.name for field in fields(group)}
    if given is None:
        return {}
    if not isinstance(given, dict) or set(given) - names:
        raise InvalidFaultError(f"These faults must be an object with any of the keys {', '.join(sorted(names))}.")
    return {name: _value(name, value) for name, value in given.items() if value is not None}


def _value(name: str, value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = isinstance(value, int) and not isinstance(value, bool)
    valid = {
        "drop": value == "all" or (whole and 0 <= value <= _MAX_COUNT),
        "duplicate": whole and 0 <= value <= _MAX_COPIES,
        "delay_s": number and 0 <= value <= _MAX_SECONDS,
        "reorder": isinstance(value, bool),
        "foreign_events": isinstance(value, bool),
        "hang_s": number and 0 <= value <= _MAX_SECONDS,
        "status": whole and value in (429, 500),
        "drop_answer": whole and 0 <= value <= _MAX_COUNT,
        "count": whole and 1 <= value <= _MAX_COUNT,
    }
    if not valid[name]:
        raise InvalidFaultError(f"That is not a valid value for the fault '{name}'.")
    return value
