"""Anything in Stripe's place: the gateway raises its own errors for bad responses, but not for bugs of ours."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from paidchat.domain import Question, SessionFact
from paidchat.settings import Settings
from paidchat.stripe.gateway import (
    AccessDenied,
    AttemptFailed,
    GatewayError,
    OutcomeUnknown,
    StripeGateway,
    UnreadableAnswer,
)
from tests.support.board_client import http_client
from tests.support.logs import captured_logs
from tests.support.network.strangers import Echo, counting
from tests.support.served import SECRET, served_board
from tests.support.webhooks import deliver, event

pytestmark = pytest.mark.any_database

Call = Callable[[StripeGateway], Awaitable[Any]]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def stripe() -> AsyncIterator[Echo]:
    """The server in Stripe's place."""
    async with counting() as echo:
        yield echo


@pytest.fixture
async def gateway(stripe: Echo) -> AsyncIterator[StripeGateway]:
    """A gateway that calls it."""
    made = StripeGateway(
        Settings(
            database_url="sqlite:////nonexistent/paidchat.db",
            public_url="https://chat.example.com",
            stripe_secret_key="sk_test_of_the_tests",
            stripe_webhook_secrets=SECRET,
            stripe_api_base=stripe.url,
            _env_file=None,
        )
    )
    yield made
    await made.close()


async def list_sessions(gateway: StripeGateway) -> list[SessionFact]:
    """List all paid sessions."""
    return [fact async for fact in gateway.list_paid_sessions(LONG_AGO)]


QUESTION = Question(number=1, at=LONG_AGO)
CALLS: dict[str, Call] = {
    "create_session": lambda gateway: gateway.create_session({"mode": "payment"}, "key"),
    "retrieve_session": lambda gateway: gateway.retrieve_session("cs_1", QUESTION),
    "retrieve_intent": lambda gateway: gateway.retrieve_intent("pi_1", QUESTION),
    "create_refund": lambda gateway: gateway.create_refund("pi_1", "key"),
    "check_access": lambda gateway: gateway.check_access(),
    "webhook_endpoints": lambda gateway: gateway.webhook_endpoints(),
    "tax_status": lambda gateway: gateway.tax_status(),
    "list_paid_sessions": list_sessions,
    "list_events": lambda gateway: gateway.list_events(LONG_AGO),
}
GARBAGE: list[Any] = [
    None,
    [],
    {},
    "x",
    7,
    True,
    [{"id": "cs_1"}],
    {"id": None},
    {"id": "\0", "status": None, "data": None},
    {"id": [], "object": "list", "data": {"0": 1}},
    {"error": None},
    {"error": "invalid_grant"},
    {"error": []},
    {"error": {"type": 7, "message": [], "code": {}, "param": {"a": [[]]}}},
    b"",
    b"<html>Please log in</html>",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"error": ' * 50_000,
    b'{"error": {"message": "\xff"}}',
    b"NaN",
    b"9" * 5000,
]


@pytest.mark.parametrize("number", range(len(CALLS)), ids=CALLS)
async def test_garbage_is_an_answer_that_cannot_be_read(gateway: StripeGateway, stripe: Echo, number: int) -> None:
    """A 200 with anything that Stripe does not document, or a 4xx without one of its errors, is an unknown outcome.

    Each of the calls gets every third of the bodies, so that each body is the answer to three of the calls.
    """
    call = list(CALLS.values())[number]
    for body, unusual, refusal in zip(
        GARBAGE[number % 3 :: 3], cycle((302, 418)), cycle((400, 404, 402)), strict=False
    ):
        stripe.body = body
        for stripe.status in (200, unusual):
            with pytest.raises(OutcomeUnknown):
                await call(gateway)
        stripe.status = refusal
        with pytest.raises(GatewayError):
            await call(gateway)
    stripe.status, stripe.body = 200, b"<html>Please log in</html>"
    with pytest.raises(UnreadableAnswer, match="not Stripe's"):
        await call(gateway)


async def test_errors_of_stripe_are_told_apart(gateway: StripeGateway, stripe: Echo) -> None:
    """A refused key, a failure that Stripe stores, and garbage are told apart."""
    stripe.body = {"error": {"type": "invalid_request_error", "message": "No"}}
    for stripe.status in (401, 403):
        with pytest.raises(AccessDenied):
            await gateway.create_session({}, "key")
    stripe.status, stripe.body = 403, b"<html>Blocked by your administrator</html>"
    with pytest.raises(UnreadableAnswer):
        await gateway.create_session({}, "key")
    stripe.status, stripe.body = 500, {"error": {"type": "api_error", "message": "Sorry"}}
    with pytest.raises(AttemptFailed):
        await gateway.create_session({}, "key")


async def test_bad_items_cost_no_others(gateway: StripeGateway, stripe: Echo) -> None:
    """Every readable item of a list is returned."""
    good = {"id": "cs_1", "status": "complete", "payment_status": "paid", "livemode": False}
    endpoint = {"url": "https://x.example.com", "status": "enabled", "enabled_events": ["*"]}
    junk: list[Any] = [None, 7, [], {}, {"id": 7}, {"url": 1}]
    stripe.body = {"object": "list", "data": [*junk, good, *junk, endpoint, *junk], "has_more": False}
    assert [fact.session_id for fact in await list_sessions(gateway)] == ["cs_1"]
    assert [found.url for found in await gateway.webhook_endpoints()] == ["https://x.example.com"]


@pytest.mark.parametrize("depth", [50, 70, 500, 990, 5_000, 200_000])
@pytest.mark.parametrize("brackets", ["[]", '{"a":}'])
async def test_a_deep_item_costs_no_others(gateway: StripeGateway, stripe: Echo, depth: int, brackets: str) -> None:
    """However deeply one event is nested, the others on its page are read."""
    good = event("refund.created", {"id": "re_1", "payment_intent": "pi_1", "reason": '"]}'})
    nested = brackets[:-1] * depth + "1" + brackets[-1] * depth
    stripe.body = (
        f'{{"object": "list", "data": [{json.dumps(good)}, {nested}, {{"id": "evt_deep", "data": {nested}}}, '
        f'{json.dumps({**good, "id": "evt_2"})}], "has_more": false}}'
    ).encode()
    listed = await gateway.list_events(LONG_AGO)
    assert [news.event_id for news in listed.news] == ["evt_2", good["id"]]
    assert [error.event_id for error in listed.unreadable][:1] == ["evt_deep"]
    assert len(listed.unreadable) == 2


@pytest.mark.parametrize(
    ("created", "moves"),
    [(1_600_000_000, True), (None, False), ("x", False), (True, False), (-5, False), (10**30, False), (1.5, False)],
)
async def test_the_cursor_follows_only_what_is_a_time(
    gateway: StripeGateway, stripe: Echo, created: Any, *, moves: bool
) -> None:
    """The position in the events is the newest usable time among them, and is never in the future."""
    listed = [{**event("refund.created", {}), "created": each} for each in (created, 1_590_000_000)]
    stripe.body = {"object": "list", "data": listed, "has_more": False}
    until = (await gateway.list_events(LONG_AGO)).until
    assert int(until.timestamp()) == (created if moves else 1_590_000_000)


def break_(*_: Any, **__: Any) -> Any:
    """Fail like a bug."""
    raise AttributeError("a bug of ours")


async def test_a_bug_of_ours_is_a_500(tmp_path: Path, stripe: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AttributeError in our code is an internal error with a traceback, not an outage of Stripe's."""
    stripe.body = {"id": "cs_1", "url": "https://x.example.com"}
    refund = event("refund.created", {"id": "re_1", "object": "refund", "payment_intent": "pi_1"})
    for layer in ("digestible", "read_intent", "_read"):
        with monkeypatch.context() as patched:
            patched.setattr(f"paidchat.stripe.gateway.{layer}", break_)
            intent = {"id": "pi_1", "livemode": False, "amount": 100, "currency": "usd"}
            stripe.body = {**intent, "url": "https://x.example.com"}
            data = tmp_path / layer
            data.mkdir()
            with captured_logs() as logs, served_board(data, stripe_api_base=stripe.url) as served:
                async with http_client(served) as client:
                    asked: dict[str, Any] = {"webhook": await deliver(client, refund)}
                    asked["payment"] = await client.post("/api/payments", json={"text": "Hello"})
            failed = {name for name, answer in asked.items() if answer.status_code == 500}
            codes = {asked[name].json()["code"] for name in failed}
            assert failed == {"digestible": {*asked}, "read_intent": {"webhook"}, "_read": {"payment"}}[layer]
            assert codes == {"internal_error"}
            assert [line for line in logs if line.get("exc_info")]
