"""Several processes on one PostgreSQL, with one sandbox, as a larger board would run."""

import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.board_client import session_of
from tests.support.http_client import NO_TLS
from tests.support.postgres import Postgres
from tests.support.served import SECRET, Running, free_port, process
from tests.support.shapes import Json


@dataclass
class Node:
    """One `paidchat serve`."""

    url: str
    running: Running

    @property
    def feed_url(self) -> str:
        """The URL of its WebSocket."""
        return f"ws{self.url.removeprefix('http')}/api/feed"

    def stop(self) -> None:
        """Stop it, as a deployment would, and wait until it has ended."""
        self.running.send_signal(signal.SIGTERM)
        self.running.wait(15)


@dataclass
class Cluster:
    """A database, a sandbox, and any number of boards."""

    postgres: Postgres
    database_url: str
    sandbox_url: str
    environment: dict[str, str]
    _stack: ExitStack
    nodes: list[Node] = field(default_factory=list)

    def start_node(self, port: int | None = None, *arguments: str) -> Node:
        """Start one more board."""
        port = port or free_port()
        running = self._stack.enter_context(process("serve", "--port", str(port), *arguments, **self.environment))
        self.nodes.append(Node(f"http://127.0.0.1:{port}", running))
        return self.nodes[-1]

    async def act(self, client: httpx.AsyncClient, payment: Json, verb: str) -> None:
        """Apply a verb of the sandbox to a payment's session."""
        answer = await client.post(f"{self.sandbox_url}/test/sessions/{session_of(payment)}/{verb}")
        assert answer.status_code == 200, answer.text

    async def post(self, client: httpx.AsyncClient, text: str) -> Json:
        """Pay for a message through the board of this client, and return the payment."""
        answer = await client.post("/api/payments", json={"text": text})
        assert answer.status_code == 201, answer.text
        payment: Json = answer.json()
        await self.act(client, payment, "pay")
        return payment

    async def ledger(self, client: httpx.AsyncClient) -> Json:
        """Return the sandbox's ledger."""
        ledger: Json = (await client.get(f"{self.sandbox_url}/test/ledger")).json()
        return ledger


@contextlib.contextmanager
def running_cluster(postgres: Postgres, data: Path) -> Iterator[Cluster]:
    """Run a sandbox, with its file in this folder, and one board on a new database, until the block ends."""
    first, sandbox_port = free_port(), free_port()
    environment = {
        "PAIDCHAT_DATABASE_URL": postgres.create_migrated(),
        "PAIDCHAT_PUBLIC_URL": f"http://127.0.0.1:{first}",
        "PAIDCHAT_STRIPE_API_BASE": f"http://127.0.0.1:{sandbox_port}",
        "PAIDCHAT_RATE_LIMIT": "off",
        "PAIDCHAT_RECONCILE_SECONDS": "1",
        "STRIPE_SECRET_KEY": "sk_test_of_the_tests",
        "STRIPE_WEBHOOK_SECRET": SECRET,
    }
    sandbox = ("--port", str(sandbox_port), "--data", str(data), "--webhook-secret", SECRET)
    with ExitStack() as stack:
        stack.enter_context(process("sandbox", *sandbox, "--webhook-url", f"http://127.0.0.1:{first}/stripe/webhook"))
        made = Cluster(
            postgres,
            environment["PAIDCHAT_DATABASE_URL"],
            environment["PAIDCHAT_STRIPE_API_BASE"],
            environment,
            stack,
        )
        made.start_node(first)
        yield made


@contextlib.asynccontextmanager
async def client_of(node: Node, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Open an HTTP client for one board."""
    async with httpx.AsyncClient(base_url=node.url, trust_env=False, verify=NO_TLS, timeout=20, **options) as client:
        yield client
