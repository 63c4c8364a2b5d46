"""Unplugged: the safeguards of the way in and the way out that `sabotages` can do without."""

import asyncio
from typing import Any

from paidchat import refunds
from paidchat.api import webhooks
from paidchat.feed import Entry, Feed, Subscriber
from tests.torture.patches import replace

PAUSE_S = 0.2


def believe_everybody() -> None:
    """Take every webhook for Stripe's."""

    def verify_signature(*_: Any) -> None:
        return

    replace(webhooks, "verify_signature", lambda _: verify_signature)


def follow_late() -> None:
    """Let a pause pass between what a subscriber is sent at first and its following."""

    class Following(set[Subscriber]):
        """Takes its members in a while after they came."""

        def add(self, subscriber: Subscriber) -> None:
            asyncio.get_running_loop().call_later(PAUSE_S, super().add, subscriber)

    def late(make: Any) -> Any:
        def __init__(feed: Feed, *arguments: Any) -> None:  # noqa: N807 - it takes the place of one
            make(feed, *arguments)
            assert isinstance(feed._following, set)
            feed._following = Following()

        return __init__

    replace(Feed, "__init__", late)


def replay_everything() -> None:
    """Replay entries as they were, messages that are off the board by now among them."""

    def replayed(feed: Feed, entry: Entry) -> bytes:
        del feed
        return entry.frame

    replace(Feed, "_replayed", lambda _: replayed)


def keep_surplus() -> None:
    """Keep the money of whoever has paid twice."""

    def only_operators(want: Any) -> Any:
        async def want_unless_surplus(*arguments: Any) -> None:
            if "surplus" not in arguments:
                await want(*arguments)

        return want_unless_surplus

    replace(refunds, "want", only_operators)
