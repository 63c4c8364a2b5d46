"""The rate limit on starting payments, per client address: counted in the database, so it is one for all processes."""

import hashlib
import hmac
import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy.ext.asyncio import AsyncConnection

from paidchat.domain import RateLimited
from paidchat.storage import queries

_LIMIT = re.compile(r"(?P<count>\d+)/(?P<times>\d*)(?P<unit>second|minute|hour|day)")
IPV6_CLIENT_BITS = 64  # what one subscriber is given; each address in it is as good as the next


@dataclass(frozen=True, slots=True)
class RateLimiter:
    """Admits `count` payments of one client in any `period`."""

    count: int
    period: timedelta

    @classmethod
    def parse(cls, limit: str) -> "RateLimiter | None":
        """Read a setting that was checked, such as `10/minute`; None for `off`."""
        found = _LIMIT.fullmatch(limit)
        if found is None:
            return None
        period = timedelta(**{f"{found['unit']}s": int(found["times"] or 1)})
        return cls(int(found["count"]), period)

    async def admit(self, connection: AsyncConnection, client: str, now: datetime) -> None:
        """Let a client start one more payment, in the transaction that inserts it.

        Raises:
            RateLimited: with the time until the next one is admitted, in whole seconds.
        """
        await queries.lock_client(connection, client)
        times = await queries.payment_times(connection, client, since=now - self.period, limit=self.count)
        if len(times) == self.count:
            wait = times[-1] + self.period - now
            raise RateLimited(retry_after=max(1, math.ceil(wait.total_seconds())))


def client_id(address: str, secret: str) -> str:
    """Return what a client is counted under: a keyed hash, so that the database holds no addresses."""
    try:
        ip = ip_address(address)
    except ValueError:
        network = address
    else:
        ip = getattr(ip, "ipv4_mapped", None) or ip
        network = str(ip_network((ip, IPV6_CLIENT_BITS), strict=False) if isinstance(ip, IPv6Address) else ip)
    return hmac.new(secret.encode(), network.encode(), hashlib.sha256).hexdigest()[:32]
