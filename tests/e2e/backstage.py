"""Backstage: what happens away from the browser, at Stripe's stand-in and in other people's hands."""

from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Backstage:
    """Works a board and its sandbox over HTTP."""

    http: httpx.AsyncClient

    async def post(self, text: str, author: str | None = None) -> int:
        """Have somebody else pay for a message; gives its id."""
        answer = await self.http.post("/api/payments", json={"text": text, "author": author})
        assert answer.status_code == 201, answer.text
        payment = answer.json()
        await self.act(payment["checkout_url"].rsplit("/", 1)[1], "pay")
        paid = (await self.http.get(f"/api/payments/{payment['id']}")).json()
        assert paid["status"] == "fulfilled", paid
        return int(paid["message_id"])

    async def act(self, session: str, verb: str) -> None:
        """Do to a checkout session what a person, a bank or time would."""
        answer = await self.http.post(f"/sandbox/test/sessions/{session}/{verb}")
        assert answer.status_code == 200, answer.text

    async def set_faults(self, **faults: dict[str, Any]) -> None:
        """Set what goes wrong from now on: `webhook={…}`, `api={…}`."""
        answer = await self.http.put("/sandbox/test/faults", json=faults)
        assert answer.status_code == 200, answer.text

    async def clear_faults(self) -> None:
        """Let everything work again."""
        answer = await self.http.delete("/sandbox/test/faults")
        assert answer.is_success, answer.text

    async def sessions(self) -> list[dict[str, Any]]:
        """Return every checkout session there ever was, as the sandbox's ledger has it."""
        ledger = (await self.http.get("/sandbox/test/ledger")).json()
        return list(ledger["sessions"])
