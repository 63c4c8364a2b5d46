"""How often people who look payments up may make the board ask Stripe, whose limit is a hundred questions a second."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta

PER_SECOND = 10  # of one process
PER_CLIENT_SECOND = 5  # of one client, at one process
BURST = 2  # seconds' worth may be asked at once
MOST_CLIENTS = 10_000  # remembered; the longest unseen is forgotten first

SHORTEST_INTERVAL = timedelta(seconds=5)
LONGEST_INTERVAL = timedelta(minutes=5)
AGE_PER_INTERVAL = 60  # a payment of ten minutes is asked about every ten seconds


def question_interval(age: timedelta) -> timedelta:
    """Return how long after one question about an unsettled payment the next may follow: longer as it gets older."""
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
        """Add what has come since the last look, and return how much there is."""
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
        """Take one question on behalf of a client; False if there is none left for now."""
        buckets = (self._process, self._bucket(client))
        if any(bucket.fill() < 1 for bucket in buckets):
            return False
        for bucket in buckets:
            bucket.tokens -= 1
        return True

    def put_back(self, client: str) -> None:
        """Put back a question that was taken and not asked."""
        for bucket in (self._process, self._bucket(client)):
            bucket.tokens += 1

    def _bucket(self, client: str) -> _Bucket:
        bucket = self._clients.setdefault(client, _Bucket(PER_CLIENT_SECOND))
        self._clients.move_to_end(client)
        if len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        return bucket
