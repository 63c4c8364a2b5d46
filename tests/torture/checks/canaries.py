"""Canaries: secrets and addresses that are sent everywhere and must not appear in any log."""

import json
import secrets
from dataclasses import dataclass, fields

from tests.support.rows import opened
from tests.support.transactions import transaction
from tests.support.webhooks import completed, signature
from tests.torture.harness.world import World
from tests.torture.table import Row

Headers = dict[str, str]

TABLES = ("payment", "message", "stripe_event")


@dataclass(frozen=True)
class Canaries:
    """Values that must not be logged, each of them unique."""

    stripe_key: str
    webhook_secret: str
    admin_token: str
    guessed_token: str
    guessed_secret: str
    idempotency_key: str
    buyer: str
    writer: str

    @classmethod
    def planted(cls) -> "Canaries":
        """Make new ones."""
        return cls(
            stripe_key=f"sk_test_{secrets.token_hex(12)}",
            webhook_secret=f"whsec_{secrets.token_hex(12)}",
            admin_token=f"admin-{secrets.token_hex(12)}",
            guessed_token=f"guess-{secrets.token_hex(12)}",
            guessed_secret=f"whsec_{secrets.token_hex(12)}",
            idempotency_key=f"key-{secrets.token_hex(12)}",
            buyer=f"buyer.{secrets.token_hex(6)}@mail.example",
            writer=f"writer.{secrets.token_hex(6)}@mail.example",
        )


async def check_canaries(world: World, row: Row) -> None:
    """Send canaries, cause every error that could mention them, and search the log. This ruins the database."""
    planted = Canaries.planted()
    await world.restart_board(
        STRIPE_SECRET_KEY=planted.stripe_key,
        STRIPE_WEBHOOK_SECRET=planted.webhook_secret,
        PAIDCHAT_ADMIN_TOKEN=planted.admin_token,
    )
    before = len(world.log.read_text())
    await _go_wrong(world, planted)
    await world.faults(api={"status": 500})
    await _go_wrong(world, planted)
    await world.faults()
    # One message for each author: the database driver quotes the rows that this index refuses.
    await _change_schema(world, "CREATE UNIQUE INDEX one_each ON payment (author)")
    await _go_wrong(world, planted, "again")
    await _change_schema(world, *(f"ALTER TABLE {table} RENAME TO {table}_of_before" for table in TABLES))
    await _go_wrong(world, planted, "once more")
    await world.kill_board()
    logged = world.log.read_text()[before:]
    row.counts["log lines searched"] = logged.count("\n")
    if "Traceback" not in logged and "request.failed" not in logged:
        row.wrong.append("no error was bad enough for the canaries to prove anything")
    row.wrong += [f"{each.name} is in the log" for each in fields(planted) if getattr(planted, each.name) in logged]


async def _go_wrong(world: World, planted: Canaries, key_ending: str = "") -> None:
    """Make all kinds of requests that contain canaries; most of them fail."""
    session = {"object": "checkout.session", "id": "cs_1", "customer_details": {"email": planted.buyer}}
    event = json.dumps(completed(session)).encode()
    signed = signature(event, planted.webhook_secret)
    forged = signature(event, planted.guessed_secret)
    about = {"text": f"Write to {planted.writer}", "author": planted.writer}
    tokens = [f"Bearer {planted.admin_token}", f"Bearer {planted.guessed_token}", planted.guessed_token]
    requests: list[tuple[str, str, bytes, Headers]] = [
        (
            "POST",
            "/api/payments",
            json.dumps(about).encode(),
            {"Idempotency-Key": f"{planted.idempotency_key}{key_ending}"},
        ),
        ("POST", "/api/payments", json.dumps(about | {"email": planted.buyer}).encode(), {}),
        ("POST", "/api/payments", f'{{"text": "{planted.writer}'.encode(), {"Idempotency-Key": "short"}),
        ("POST", "/stripe/webhook", event, {"Stripe-Signature": signed}),
        ("POST", "/stripe/webhook", event, {"Stripe-Signature": f"{forged},secret={planted.guessed_secret}"}),
        ("POST", "/stripe/webhook", event[:-9], {"Stripe-Signature": signature(event[:-9], planted.webhook_secret)}),
        ("GET", f"/api/payments/{planted.buyer}?email={planted.buyer}", b"", {"Cookie": planted.guessed_token}),
        *[("DELETE", "/api/admin/messages/1?refund=true", b"", {"Authorization": token}) for token in tokens],
        *[("POST", "/api/admin/messages/1/restore", b"", {"Authorization": token}) for token in tokens],
    ]
    for method, path, body, headers in requests:
        sent = {"Content-Type": "application/json", **headers}
        await world.http.request(method, path, content=body, headers=sent)


async def _change_schema(world: World, *statements: str) -> None:
    async with opened(world.records.url) as database, transaction(database) as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)
