"""Passing time: sessions expire and refunds arrive when they are due by the sandbox's clock."""

import asyncio
import logging
import sqlite3

from paidchat.sandbox.lifecycle.refunds import settle_refund
from paidchat.sandbox.lifecycle.sessions import expire_session
from paidchat.sandbox.parts import Parts

_LOG = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
_AT_ONCE = 100


LONGEST_ADVANCE_S = 366 * 24 * 3600


def advance(parts: Parts, seconds: float) -> None:
    """Advance the sandbox's clock, and do everything whose moment comes by that."""
    parts.clock.advance(seconds)
    let_time_pass(parts)


def let_time_pass(parts: Parts) -> None:
    """Do everything that is due, each in a transaction of its own, and wake the courier."""
    while overdue := parts.store.overdue(parts.clock.now(), _AT_ONCE):
        for body in overdue:
            if body["object"] == "refund":
                settle_refund(parts, body)
            else:
                expire_session(parts, body["id"])
    parts.courier.wake()


async def keep_time(parts: Parts) -> None:
    """Let time pass until cancelled."""
    while True:
        try:
            let_time_pass(parts)
        except sqlite3.OperationalError:  # such as a full disk: what is due stays due
            _LOG.exception("The sandbox could not store what was due")
        await asyncio.sleep(_LOOK_EVERY_S)
