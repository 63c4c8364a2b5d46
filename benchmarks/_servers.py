"""The servers to measure: a checkout's board, its peers, and the floor."""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks._processes import (
    LOAD_CORE,
    NODE,
    PEERS,
    ROOT,
    SERVER_CORE,
    Process,
    compiled,
    free_port,
    paidchat,
    running,
    wait_until_listening,
)
from benchmarks._stores import SECRET, Store, settings

SWEEP_S = 20  # in which the first one ends
NOBODY_SWEPT = "UPDATE sweep SET holder = NULL"
SWEPT = "SELECT count(*) FROM sweep WHERE holder IS NOT NULL AND held_until < '2020-01-01'"


@dataclass
class Server:
    """A running server with its database; the floor has none."""

    port: int
    process: Process
    store: Store | None = None
    stripe: str = ""  # the sandbox's address, if it has one
    posted: int = 0  # on the floor, which doesn't count them itself


@contextlib.contextmanager
def board(store: Store, checkout: Path = ROOT, *, host: str = "127.0.0.1") -> Iterator[Server]:
    """Run a checkout's board on a database, beside a sandbox on the load's core; its pages are at `http://{host}`."""
    port, stripe_port = free_port(), free_port()
    url, stripe = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{stripe_port}"
    public = f"http://{host}:{port}"
    store.sql(NOBODY_SWEPT)
    with tempfile.TemporaryDirectory() as folder:
        webhook = ("--webhook-url", f"{url}/stripe/webhook", "--webhook-secret", SECRET)
        sandbox = ("sandbox", "--port", str(stripe_port), "--data", folder, *webhook)
        serve = ("serve", "--port", str(port))
        with (
            paidchat(checkout, *sandbox, core=LOAD_CORE),
            paidchat(checkout, *serve, core=SERVER_CORE, **settings(store, public, stripe)) as process,
        ):
            _await_sweep(store)
            yield Server(port, process, store, stripe)


def _await_sweep(store: Store) -> None:
    """Wait until the sweep at the start is over: it would ask Stripe about the payments that a benchmark makes up.

    Each costs more than a webhook, and only a board that has just started would ask. Each process on a database does.
    """
    deadline = time.monotonic() + SWEEP_S
    while store.sql(SWEPT) != [["1"]]:
        assert time.monotonic() < deadline, "the first sweep has not ended"
        time.sleep(0.05)


@contextlib.contextmanager
def peer(file: str, store: Store) -> Iterator[Server]:
    """Run a peer on a database."""
    port = free_port()
    interpreter = NODE if file.endswith(".mjs") else sys.executable
    environment = {"PORT": str(port), "DATABASE": store.address, "STRIPE_WEBHOOK_SECRET": SECRET}
    with running(interpreter, PEERS / file, core=SERVER_CORE, **environment) as process:
        wait_until_listening(port)
        yield Server(port, process, store)


@contextlib.contextmanager
def floor() -> Iterator[Server]:
    """Run the floor."""
    port = free_port()
    with running(compiled(PEERS / "floor.c"), str(port)) as process:
        yield Server(port, process)
