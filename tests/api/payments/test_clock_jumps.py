"""The board's clock jumps: nothing stored meanwhile blocks anything once the clock is right, and no money is lost."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update

from paidchat.storage import queries, refund_queue
from tests.support.board_client import act, http_client, look_up, messages_with, sessions_of, start, until_status
from tests.support.forking import launcher
from tests.support.rows import first_sweep_over, opened
from tests.support.served import SECRET, Served, free_port, paidchat, served_board
from tests.support.transactions import reading, transaction
from tests.support.wrong_clock import BoardClock, ahead_by

HOUR, MINUTES, SECONDS = timedelta(hours=1), timedelta(minutes=10), timedelta(seconds=20)
LEASE = timedelta(seconds=60)
PATIENCE_S = 30
HELLO = {"text": "Hello"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> BoardClock:
    """The clock of the boards under test."""
    return BoardClock(monkeypatch)


@pytest.fixture(scope="module")
async def quiet(backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A board whose own reconciler does not run during the test."""
    with served_board(tmp_path_factory.mktemp(backend), reconcile_seconds=3600) as served:
        await first_sweep_over(served.settings.database_url)
        yield served


@pytest.fixture
async def deaf(quiet: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that board, which gets no webhooks."""
    async with http_client(quiet) as http:
        await lose_webhooks(http)
        yield http
        await http.delete("/sandbox/test/faults")


async def lose_webhooks(client: httpx.AsyncClient) -> None:
    """Drop every webhook."""
    await client.put("/sandbox/test/faults", json={"webhook": {"drop": "all"}})


def environment(served: Served) -> dict[str, str]:
    """The settings of another process on a board's database."""
    return {
        "PAIDCHAT_DATABASE_URL": served.settings.database_url,
        "PAIDCHAT_PUBLIC_URL": served.url,
        "PAIDCHAT_STRIPE_API_BASE": f"{served.url}/sandbox",
        "STRIPE_SECRET_KEY": "sk_test_of_the_tests",
        "STRIPE_WEBHOOK_SECRET": SECRET,
    }


async def reconcile(served: Served) -> str:
    """Make a full pass of the reconciler, as an operator would beside the running server, and return its result."""
    done = await asyncio.to_thread(paidchat, "reconcile", **environment(served))
    assert done.returncode == 0, done.stderr
    return done.stdout


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not await holds():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)


async def is_gone(client: httpx.AsyncClient, message_id: int) -> bool:
    """Tell whether a message is off the board."""
    return (await client.get(f"/api/messages/{message_id}")).status_code == 410


async def change(served: Served, payment_id: str, **values: Any) -> None:
    """Change a payment's row, as another process would leave it."""
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        await connection.run_sync(queries.update_payment, payment_id, **values)


# --- money ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [HOUR, SECONDS], ids=str)
@pytest.mark.parametrize("told_by", ["webhook", "reconcile"])
async def test_a_refund_after_the_clock_was_set_right_takes_the_message_off(
    quiet: Served, deaf: httpx.AsyncClient, clock: BoardClock, ahead: timedelta, told_by: str
) -> None:
    """An answer recorded while the clock was ahead does not outweigh a refund that comes once it is right."""
    payment = await start(deaf, f"Ahead {uuid.uuid4()}")
    await act(deaf, payment, "pay")
    clock.ahead = ahead
    posted = await until_status(deaf, payment["id"], "fulfilled")
    clock.set_right()
    if told_by == "webhook":
        await deaf.delete("/sandbox/test/faults")
    await act(deaf, payment, "refund")
    if told_by == "reconcile":
        await reconcile(quiet)
    await until(lambda: is_gone(deaf, posted["message_id"]), "the message is on the board and its money went back")
    assert (await look_up(deaf, payment["id"]))["status"] == "refunded"


async def test_a_refund_that_failed_after_the_clock_was_set_right_brings_the_message_back(
    deaf: httpx.AsyncClient, clock: BoardClock
) -> None:
    """A refund recorded while the clock was ahead does not outweigh the news that it failed."""
    payment = await start(deaf, f"Ahead {uuid.uuid4()}")
    await act(deaf, payment, "pay")
    posted = await until_status(deaf, payment["id"], "fulfilled")
    await deaf.delete("/sandbox/test/faults")
    clock.ahead = SECONDS
    await act(deaf, payment, "refund")
    await until(lambda: is_gone(deaf, posted["message_id"]), "the message is on the board and its money went back")
    clock.set_right()
    await act(deaf, payment, "refund_fail")
    await until_status(deaf, payment["id"], "fulfilled")
    assert len(await messages_with(deaf, payment["text"])) == 1


async def test_a_refund_put_off_while_the_clock_was_ahead_is_sent_once_it_is_right(
    quiet: Served, deaf: httpx.AsyncClient
) -> None:
    """A refund that became due by a clock an hour ahead is sent by the next pass of the reconciler."""
    payment = await start(deaf, f"Back {uuid.uuid4()}")
    await act(deaf, payment, "pay")
    await until_status(deaf, payment["id"], "fulfilled")
    async with opened(quiet.settings.database_url) as database, transaction(database) as connection:
        row = await connection.run_sync(queries.find_payment, payment["id"])
        assert row is not None
        now = datetime.now(UTC)
        wanted = {"cause": "operator", "status": "wanted", "attempts": 0, "due_at": now + HOUR, "created_at": now}
        keys = {"payment_intent": row.payment_intent, "payment_id": row.id, "stripe_key": str(uuid.uuid4())}
        await connection.execute(insert(refund_queue.refund).values(wanted | keys))
    assert "sent 1 refunds" in await reconcile(quiet)
    [session] = await sessions_of(deaf, payment["id"])
    assert session["amount_refunded"] == 100


# --- asking -----------------------------------------------------------------------------------------


async def test_a_question_asked_while_the_clock_was_ahead_does_not_stop_the_next(
    quiet: Served, deaf: httpx.AsyncClient, clock: BoardClock
) -> None:
    """Stripe is asked about a payment again seconds later, not when the wrong clock would have allowed it."""
    payment = await start(deaf, f"Asked {uuid.uuid4()}")
    clock.ahead = HOUR
    await look_up(deaf, payment["id"])
    await until(lambda: was_asked(quiet, payment["id"]), "Stripe is not asked")
    clock.set_right()
    await act(deaf, payment, "pay")
    await until_status(deaf, payment["id"], "fulfilled")


@pytest.mark.parametrize("way", ["repeat", "reconcile"])
async def test_a_claim_taken_while_the_clock_was_ahead_holds_nothing(
    quiet: Served, deaf: httpx.AsyncClient, way: str
) -> None:
    """A payment whose process died with a claim an hour ahead continues with its key and with the reconciler."""
    body, key = {"text": f"Claimed {uuid.uuid4()}"}, {"Idempotency-Key": str(uuid.uuid4())}
    payment = (await deaf.post("/api/payments", json=body, headers=key)).json()
    claimed = datetime.now(UTC) + HOUR
    await change(quiet, payment["id"], session_id=None, checkout_url=None, claimed_until=claimed)
    if way == "repeat":
        again = await deaf.post("/api/payments", json=body, headers=key)
        assert (again.status_code, again.json()["checkout_url"]) == (201, payment["checkout_url"])
    else:
        await reconcile(quiet)
        assert (await look_up(deaf, payment["id"]))["checkout_url"] == payment["checkout_url"]
    assert len(await sessions_of(deaf, payment["id"])) == 1


# --- the sweep --------------------------------------------------------------------------------------


async def test_a_lease_of_a_process_that_was_ahead_locks_nobody_out(
    backend: str, quiet: Served, deaf: httpx.AsyncClient
) -> None:
    """The lease of a dead process an hour ahead is ignored on SQLite, and lasts a minute by PostgreSQL's clock."""
    await deaf.put("/sandbox/test/faults", json={"api": {"hang_s": 3}})
    before = (await sweep_row(quiet)).holder
    with running("reconcile", **environment(quiet), **ahead_by(3600)):
        await until(lambda: held_by_another(quiet, before), "the sweep does not begin")
    await deaf.delete("/sandbox/test/faults")
    await lose_webhooks(deaf)
    if backend == "postgresql":
        assert (await sweep_row(quiet)).held_until <= datetime.now(UTC) + LEASE
        await let_pass(quiet, LEASE)
    await reconcile(quiet)


async def test_a_server_that_was_ahead_leaves_no_lease_behind(tmp_path: Path, clock: BoardClock) -> None:
    """After a server that ran an hour ahead was stopped, one with the right clock takes over at once."""
    clock.ahead = HOUR
    with served_board(tmp_path, reconcile_seconds=3600) as served:
        await until(lambda: has_swept(served), "no sweep after the start")
    clock.set_right()
    with served_board(tmp_path, reconcile_seconds=1) as served:
        async with http_client(served) as client:
            await lose_webhooks(client)
            payment = await start(client, "Unheard")
            await act(client, payment, "pay")
            await until(lambda: is_shown(client, "Unheard"), "nobody asks Stripe")


async def test_events_lost_after_a_first_sweep_that_was_ahead_are_found(tmp_path: Path, clock: BoardClock) -> None:
    """A start position for reading events that lies in the future is ignored: current events are read."""
    clock.ahead = HOUR
    with served_board(tmp_path, reconcile_seconds=1) as served:
        await until(lambda: has_swept(served), "no sweep after the start")
        clock.set_right()
        async with http_client(served) as client:
            await lose_webhooks(client)
            payment = await start(client, "Refunded unheard")
            await act(client, payment, "pay")
            posted = await until_status(client, payment["id"], "fulfilled")
            await act(client, payment, "refund")
            await until(lambda: is_gone(client, posted["message_id"]), "the refund is not found")


# --- the rate limit ---------------------------------------------------------------------------------


async def test_payments_of_another_time_shut_nobody_out(backend: str, tmp_path: Path, clock: BoardClock) -> None:
    """A payment started an hour ahead does not count for an hour; on PostgreSQL it counts like any other."""
    with served_board(tmp_path, rate_limit="1/minute") as served:
        async with http_client(served) as client:
            clock.ahead = HOUR
            await start(client)
            clock.set_right()
            answer = await client.post("/api/payments", json=HELLO)
            if backend == "sqlite":
                assert answer.status_code == 201
                answer = await client.post("/api/payments", json=HELLO)
            is_limited(answer)


@pytest.mark.parametrize("ahead", [HOUR, -MINUTES, -SECONDS], ids=str)
async def test_the_limit_holds_by_a_wrong_clock(tmp_path: Path, clock: BoardClock, ahead: timedelta) -> None:
    """While the clock is wrong, one payment a minute is allowed, and Retry-After is at most a minute."""
    with served_board(tmp_path, rate_limit="1/minute") as served:
        async with http_client(served) as client:
            clock.ahead = ahead
            await start(client)
            is_limited(await client.post("/api/payments", json=HELLO))


# --- all of it --------------------------------------------------------------------------------------


@pytest.mark.long
async def test_restarts_by_other_clocks_lose_and_double_nothing(tmp_path: Path, clock: BoardClock) -> None:
    """A board that is restarted with one wrong clock after another posts each paid message once."""
    port, paid, gone = free_port(), [], []
    for number, ahead in enumerate((HOUR, -MINUTES, SECONDS, timedelta(0))):
        clock.ahead = ahead
        with served_board(tmp_path, port, reconcile_seconds=1) as served:
            async with http_client(served) as client:
                await lose_webhooks(client)
                started = [await start(client, f"Life {number}, payment {each}") for each in range(3)]
                for payment in started[:2]:
                    await act(client, payment, "pay")
                    paid.append(payment)
                await until_status(client, started[0]["id"], "fulfilled")
                await act(client, started[0], "refund")
                gone.append(started[0])
    with served_board(tmp_path, port, reconcile_seconds=1) as served:
        async with http_client(served) as client:
            for payment in paid:
                await until_status(client, payment["id"], "refunded" if payment in gone else "fulfilled")
            page = (await client.get("/api/messages", params={"limit": 100})).json()
            shown = sorted(message["text"] for message in page["messages"])
            assert shown == sorted(payment["text"] for payment in paid if payment not in gone)
            for payment in paid:
                assert len(await sessions_of(client, payment["id"])) == 1


def is_limited(answer: httpx.Response) -> None:
    """Check that a client is rate limited, and for no longer than a minute."""
    assert answer.status_code == 429, answer.text
    assert 1 <= int(answer.headers["retry-after"]) <= 60


# --- reading rows, and processes --------------------------------------------------------------------


async def was_asked(served: Served, payment_id: str) -> bool:
    """Tell whether Stripe was asked about a payment."""
    async with opened(served.settings.database_url) as database, reading(database) as connection:
        row = await connection.run_sync(queries.find_payment, payment_id)
    return row is not None and row.asked_at is not None


async def sweep_row(served: Served) -> Any:
    """Return the sweep's row; None before the first pass."""
    async with opened(served.settings.database_url) as database, reading(database) as connection:
        return (await connection.execute(select(queries.sweep))).one_or_none()


async def has_swept(served: Served) -> bool:
    """Tell whether a first pass has started."""
    return await sweep_row(served) is not None


async def held_by_another(served: Served, holder: str | None) -> bool:
    """Tell whether another process holds the reconciler's lease by now."""
    return bool((await sweep_row(served)).holder != holder)


async def is_shown(client: httpx.AsyncClient, text: str) -> bool:
    """Tell whether a message is on the board."""
    return bool(await messages_with(client, text))


async def let_pass(served: Served, span: timedelta) -> None:
    """Let the reconciler's lease run out."""
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        held_until = (await connection.execute(select(queries.sweep.c.held_until))).scalar_one()
        await connection.execute(update(queries.sweep).values(held_until=held_until - span))


@contextmanager
def running(*arguments: str, **settings: str) -> Iterator[None]:
    """Run `paidchat …` until the block ends, and then kill it."""
    nowhere = Path(os.devnull)
    started = launcher().start(arguments, settings, nowhere, nowhere)
    try:
        yield
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait(10)
