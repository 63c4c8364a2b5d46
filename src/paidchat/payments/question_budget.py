"""The budget for asking Stripe when payments are looked up; Stripe's own limit is 100 requests a second."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta

PER_SECOND = 10  # per process
PER_CLIENT_SECOND = 5  # per client and process
BURST = 2  # seconds' worth of the rate, at once
MOST_CLIENTS = 10_000  # remembered; the least recently seen is forgotten first

SHORTEST_INTERVAL = timedelta(seconds=5)
LONGEST_INTERVAL = timedelta(minutes=5)
AGE_PER_INTERVAL = 60  # a ten-minute-old payment is asked about every ten seconds


def question_interval(age: timedelta) -> timedelta:
    """Return the interval between two questions about an unsettled payment of this age."""
    return min(max(age / AGE_PER_INTERVAL, SHORTEST_INTERVAL), LONGEST_INTERVAL)


@dataclass(slots=True)
class _Bucket:
    """A token bucket, on the monotonic clock."""

    rate: float
    tokens: float = field(init=False)
    filled_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens, self.filled_at = self.rate * BURST, time.monotonic()

    def fill(self) -> float:
        """Add the tokens since the last call; returns how many there are."""
        now = time.monotonic()
        self.tokens = min(self.rate * BURST, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        return self.tokens


class QuestionBudget:
    """A budget per process, and one per client within it."""

    def __init__(self) -> None:
        self._process = _Bucket(PER_SECOND)
        self._clients: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, client: str) -> bool:
        """Take one question for a client; returns False if the budget is used up for now."""
        buckets = (self._process, self._bucket(client))
        if any(bucket.fill() < 1 for bucket in buckets):
            return False
        for bucket in buckets:
            bucket.tokens -= 1
        return True

    def put_back(self, client: str) -> None:
        """Put back a question that was not asked."""
        for bucket in (self._process, self._bucket(client)):
            bucket.tokens += 1

    def _bucket(self, client: str) -> _Bucket:
        bucket = self._clients.setdefault(client, _Bucket(PER_CLIENT_SECOND))
        self._clients.move_to_end(client)
        if len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        return bucket
