"""The rate limit on starting payments, per client address."""

import math
import time

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from paidchat.domain import RateLimited


class RateLimiter:
    """Admits so many payments per client and period, e.g. `10/minute`; `off` admits all."""

    def __init__(self, limit: str) -> None:
        self._limit = None if limit == "off" else parse(limit)
        self._window = MovingWindowRateLimiter(MemoryStorage())

    async def admit(self, client: str) -> None:
        """Count one payment of this client.

        Raises:
            RateLimited: with the exact time to wait, in whole seconds.
        """
        if self._limit is None or await self._window.hit(self._limit, client):
            return
        reset_at = (await self._window.get_window_stats(self._limit, client)).reset_time
        raise RateLimited(retry_after=max(1, math.ceil(reset_at - time.time())))
