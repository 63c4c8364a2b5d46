"""Admission: how many subscribers may connect at once, in total and per client."""

from collections import Counter

from paidchat.clients import network_of


class ConnectionLimit:
    """Counts connections, and refuses those beyond its limits."""

    def __init__(self, most: int, most_per_client: int) -> None:
        self._most = most
        self._most_per_client = most_per_client
        self._clients: Counter[str] = Counter()
        self.count = 0

    def admit(self, address: str) -> str | None:
        """Take a slot for a client address, and return what to give back to `release`; None if there is no slot."""
        client = network_of(address)
        if self.count >= self._most or self._clients[client] >= self._most_per_client:
            return None
        self.count += 1
        self._clients[client] += 1
        return client

    def release(self, client: str) -> None:
        """Give a slot back."""
        self.count -= 1
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]
