"""The stage: a demo with its messages, and what other people, the bank and time do there."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

PATIENCE_S: Final = 60


@dataclass(frozen=True)
class Demo:
    """A kind of demo: whether it has messages, and its settings."""

    filled: bool
    environment: tuple[tuple[str, str], ...] = ()


SAID: Final = (
    ("Ada", "First! A dollar well spent."),
    ("Grace", "Hello from the harbour. The ferry is late, the coffee is good."),
    (None, "Whoever reads this: call your grandmother."),
    ("Sven", "Does the board keep\n  two spaces\n    and line breaks? It does."),
    ("דנה", "שלום לכולם, איזה יופי"),
    ("Ada", "Second one, because the first felt lonely."),
    ("Ελένη", "Καλημέρα! Sending good weather to all of you."),
)


@dataclass
class Board:
    """A running demo."""

    url: str
    http: httpx.Client
    kept: set[str] = field(default_factory=set)  # the sessions of the messages that it began with

    def start(self, text: str, author: str | None = None, amount: int | None = None) -> str:
        """Have somebody go to checkout; returns the session."""
        content = {"text": text, "author": author, "amount": amount}
        payment = self.http.post("/api/payments", json=content).raise_for_status().json()
        return str(payment["checkout_url"].rsplit("/", 1)[1])

    def post(self, text: str, author: str | None = None, amount: int | None = None) -> str:
        """Have somebody pay for a message; returns the session."""
        session = self.start(text, author, amount)
        self.act(session, "pay")
        return session

    def act(self, session: str, verb: str) -> None:
        """Apply one of the sandbox's verbs to a session."""
        self.http.post(f"/sandbox/test/sessions/{session}/{verb}").raise_for_status()

    def set_faults(self, **faults: dict[str, Any]) -> None:
        """Set the sandbox's faults: `webhook={…}`, `api={…}`."""
        self.http.put("/sandbox/test/faults", json=faults).raise_for_status()

    def sessions(self) -> list[dict[str, Any]]:
        """Return the sandbox's sessions."""
        return list(self.http.get("/sandbox/test/ledger").json()["sessions"])

    def payment_of(self, session: str) -> dict[str, Any]:
        """Return the payment of a session."""
        found = next(each for each in self.sessions() if each["id"] == session)
        return dict(self.http.get(f"/api/payments/{found['client_reference_id']}").json())

    def clean(self) -> None:
        """Clear all faults, and refund what was posted beside the messages it began with.

        Raises:
            TimeoutError: What was refunded stays on the board.
        """
        self.http.delete("/sandbox/test/faults").raise_for_status()
        for each in self.sessions():
            stands = each["payment_status"] == "paid" and not each["amount_refunded"] and not each["disputed"]
            if stands and each["id"] not in self.kept:
                self.act(each["id"], "refund")
        deadline = time.monotonic() + PATIENCE_S
        while len(self.http.get("/api/messages").json()["messages"]) != len(self.kept):
            if time.monotonic() > deadline:
                raise TimeoutError("what was refunded is still on the board")
            time.sleep(0.05)


@contextlib.contextmanager
def demo(kind: Demo) -> Iterator[Board]:
    """Run a demo on a free port, in an empty folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "paidchat", "demo", "--no-open", "--port", str(port), "--data", data]
        environment = {**os.environ, **dict(kind.environment)}
        running = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        try:
            if running.stdout is None or not any("is ready" in line for line in running.stdout):
                sys.exit("the demo did not start")
            url = f"http://localhost:{port}"
            with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as http:
                board = Board(url, http)
                if kind.filled:
                    board.kept = {board.post(text, author) for author, text in SAID}
                yield board
        finally:
            running.terminate()
            running.wait()
