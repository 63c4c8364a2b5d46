"""Backstage: what happens away from the browser, at the stand-in for Stripe and by other people."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.http_client import NO_TLS
from tests.support.served import Served

PATIENCE_S = 30  # long, for steps that take milliseconds on an idle machine


@dataclass(frozen=True)
class Backstage:
    """Controls a board and its sandbox over HTTP."""

    http: httpx.AsyncClient

    async def post(self, text: str, author: str | None = None, *, amount: int | None = None) -> int:
        """Have somebody else pay for a message, the lowest amount unless told; return its id."""
        body = {"text": text, "author": author, "amount": amount}
        answer = await self.http.post("/api/payments", json=body)
        assert answer.status_code == 201, answer.text
        payment = answer.json()
        await self.act(payment["checkout_url"].rsplit("/", 1)[1], "pay")
        paid = (await self.http.get(f"/api/payments/{payment['id']}")).json()
        assert paid["status"] == "fulfilled", paid
        return int(paid["message_id"])

    async def act(self, session: str, verb: str) -> None:
        """Apply a verb of the sandbox to a checkout session."""
        answer = await self.http.post(f"/sandbox/test/sessions/{session}/{verb}")
        assert answer.status_code == 200, answer.text

    async def set_faults(self, **faults: dict[str, Any]) -> None:
        """Set the sandbox's faults: `webhook={…}`, `api={…}`."""
        answer = await self.http.put("/sandbox/test/faults", json=faults)
        assert answer.status_code == 200, answer.text

    async def clear_faults(self) -> None:
        """Clear all faults."""
        answer = await self.http.delete("/sandbox/test/faults")
        assert answer.is_success, answer.text

    async def sessions(self) -> list[dict[str, Any]]:
        """Return every checkout session in the sandbox's ledger."""
        ledger = (await self.http.get("/sandbox/test/ledger")).json()
        return list(ledger["sessions"])

    async def messages(self, *, after: int) -> list[dict[str, Any]]:
        """Return up to a hundred messages after an id, oldest first."""
        answer = await self.http.get("/api/messages", params={"after": after, "limit": 100})
        return list(answer.json()["messages"])


@asynccontextmanager
async def backstage_of(board: Served) -> AsyncIterator[Backstage]:
    """Open the controls of a board."""
    async with httpx.AsyncClient(base_url=board.url, timeout=PATIENCE_S, verify=NO_TLS, trust_env=False) as http:
        yield Backstage(http)
