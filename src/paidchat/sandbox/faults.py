"""Faults: what is set to go wrong, in the delivery of webhooks and in the answers of the API."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from paidchat.sandbox.store import Store

_SETTING = "faults"
_MAX_SECONDS = 30 * 24 * 3600
_MAX_COUNT = 1_000_000
_MAX_COPIES = 200
_REORDER_HOLD_S = 3.0  # long enough for the next verb of a person or a script


class InvalidFaultError(ValueError):
    """A fault that cannot be set; its text says which and why."""


@dataclass(frozen=True)
class WebhookFaults:
    """What goes wrong between the sandbox and the webhook's receiver.

    Attributes:
        drop: How many of the next events never arrive, or "all" while set. Lost for good, as for an endpoint
            that was disabled; only a resend by hand brings one back.
        duplicate: How many extra copies of each event are sent, all at the same moment.
        delay_s: Seconds each new event is held before its first attempt.
        reorder: Whether every second event is held until the one after it has gone out.
        foreign_events: Whether each event is accompanied by one of another application on the same account.
    """

    drop: int | Literal["all"] = 0
    duplicate: int = 0
    delay_s: float = 0.0
    reorder: bool = False
    foreign_events: bool = False


@dataclass(frozen=True)
class ApiFaults:
    """What goes wrong in the API.

    Attributes:
        hang_s: Seconds before a call is acted on.
        status: 500 or 429 instead of an answer; nothing is acted on.
        drop_answer: How many of the next POST calls are acted on and then cut off without an answer.
        count: How many more calls these faults apply to; None: until cleared.
    """

    hang_s: float = 0.0
    status: int | None = None
    drop_answer: int = 0
    count: int | None = None


class Faults:
    """The faults in force; kept in the store, so a restart does not heal them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorded = 0
        self.webhook = WebhookFaults()
        self.api = ApiFaults()

    def load(self) -> None:
        """Take over what the store has kept."""
        kept = self._store.setting(_SETTING, {})
        self.webhook = WebhookFaults(**kept.get("webhook", {}))
        self.api = ApiFaults(**kept.get("api", {}))

    def as_json(self) -> dict[str, Any]:
        """Return `{"webhook": {…}, "api": {…}}`, every fault named."""
        return {"webhook": asdict(self.webhook), "api": asdict(self.api)}

    def put(self, given: Any) -> None:
        """Set one group or both; a group given replaces all of that group.

        Raises:
            InvalidFaultError: An unknown name, or a value that cannot be.
        """
        if not isinstance(given, dict) or set(given) - {"webhook", "api"}:
            raise InvalidFaultError("Faults are an object with the keys 'webhook' and 'api'.")
        webhook, api = self.webhook, self.api
        if "webhook" in given:
            webhook = WebhookFaults(**_checked(WebhookFaults, given["webhook"]))
        if "api" in given:
            api = ApiFaults(**_checked(ApiFaults, given["api"]))
        self.webhook, self.api = webhook, api
        self._keep()

    def clear(self) -> None:
        """Let everything work again."""
        self.webhook, self.api = WebhookFaults(), ApiFaults()
        self._keep()

    def hold_s(self) -> float:
        """Return how many seconds the event recorded now waits for its first attempt."""
        hold = self.webhook.delay_s
        if self.webhook.reorder:
            self._recorded += 1
            hold += _REORDER_HOLD_S * (self._recorded % 2)
        return hold

    def take_drop(self) -> bool:
        """Return whether the event about to be delivered is lost, counting it."""
        if self.webhook.drop == "all":
            return True
        if self.webhook.drop == 0:
            return False
        self.webhook = replace(self.webhook, drop=self.webhook.drop - 1)
        self._keep()
        return True

    def take_api(self, *, acts: bool) -> ApiFaults:
        """Return the faults for one call, counting it; `acts` is whether the call may change anything."""
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
        raise InvalidFaultError(f"These faults are an object with keys among {', '.join(sorted(names))}.")
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
        raise InvalidFaultError(f"The fault '{name}' cannot have that value.")
    return value
