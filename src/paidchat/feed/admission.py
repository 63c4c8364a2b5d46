"""Admission: how many subscribers may connect at once, in total and per client."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from paidchat.clients import network_of


class ConnectionLimit:
    """Counts connections, and refuses those beyond its limits; a slot is held for as long as the context lasts."""

    def __init__(self, most: int, most_per_client: int) -> None:
        self._most = most
        self._most_per_client = most_per_client
        self._clients: Counter[str] = Counter()
        self.count = 0

    @contextmanager
    def admitted(self, address: str) -> Iterator[bool]:
        """Hold a slot for a client address; yields False if there is none."""
        client = network_of(address)
        if self.count >= self._most or self._clients[client] >= self._most_per_client:
            yield False
            return
        self.count += 1
        self._clients[client] += 1
        try:
            yield True
        finally:
            self.count -= 1
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
