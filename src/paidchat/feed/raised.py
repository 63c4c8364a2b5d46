"""The money raised: the sum of what was paid for the messages on the board, in the board's currency."""

import structlog

from paidchat.feed.feed import Feed
from paidchat.storage.database import Database
from paidchat.storage.outages import DatabaseUnavailable
from paidchat.storage.raised import raised_after

log = structlog.get_logger(__name__)


class Raised:
    """The sum, read from the log once, and from then on only what the log has gained.

    Attributes:
        currency: lower-case ISO 4217 code; messages paid in others don't count.
        amount: in its minor units; None before it was read.
    """

    def __init__(self, database: Database, feed: Feed, currency: str) -> None:
        self._database = database
        self._feed = feed
        self._epoch: str | None = None
        self._seq = 0
        self.currency = currency
        self.amount: int | None = None

    async def follow(self) -> None:
        """Read what has changed; while the database can't be read, the sum stays as it is."""
        epoch = self._feed.epoch
        is_new = epoch != self._epoch  # of another epoch, the log may lack entries that were counted
        if self._feed.seq == self._seq and not is_new:
            return
        after = 0 if is_new else self._seq
        try:
            seq, change = await self._database.read(raised_after, after, self.currency)
        except DatabaseUnavailable as error:
            log.warning("raised.not_read", error=str(error))
            return
        self._epoch, self._seq = epoch, seq
        self.amount = change if is_new or self.amount is None else self.amount + change
