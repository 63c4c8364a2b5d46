"""Adoption: a payment made at Stripe that is missing here is posted by hand, once, by the usual rules."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete, update

from paidchat.domain import Conflict, InvalidText, NotFound
from paidchat.payments.adoption import Adopted
from paidchat.payments.core import core
from paidchat.storage import queries
from tests.support.board_client import (
    act,
    http_client,
    look_up,
    messages_with,
    session_of,
    start,
    stripe_session,
    until_status,
)
from tests.support.following import following
from tests.support.rows import first_sweep_over, opened
from tests.support.served import Served, served_board
from tests.support.shapes import Json
from tests.support.transactions import transaction
from tests.support.webhooks import completed, deliver


@pytest.fixture(scope="module")
async def deaf(backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A board that learns nothing by itself: no webhook arrives, and the reconciler's first pass is over."""
    with served_board(tmp_path_factory.mktemp(backend), reconcile_seconds=3600) as served:
        await first_sweep_over(served.settings.database_url)
        async with http_client(served) as http:
            await http.put("/sandbox/test/faults", json={"webhook": {"drop": "all"}})
        yield served


@pytest.fixture
async def client(deaf: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that board."""
    async with http_client(deaf) as http:
        yield http


async def lost(served: Served, client: httpx.AsyncClient, *verbs: str) -> Json:
    """Start a payment, apply these verbs to it at Stripe, and delete its row, as if a backup had been restored."""
    payment = await start(client, "What was lost")
    async with opened(served.settings.database_url) as database, transaction(database) as connection:
        await connection.execute(delete(queries.payment).where(queries.payment.c.id == payment["id"]))
    for verb in verbs:
        await act(client, payment, verb)
    return payment


async def adopted(
    served: Served, session_id: str, text: str = "Found", author: str | None = None, *, livemode: bool = False
) -> Adopted:
    """Adopt a session, as the command does."""
    async with core(served.settings) as parts:
        return await replace(parts.adoption, livemode=livemode).adopt(session_id, text, author)


async def test_what_was_lost_is_posted_once(deaf: Served, client: httpx.AsyncClient) -> None:
    """Adopted five times at once, a lost payment is recreated from its session once and posts one message, live."""
    payment = await lost(deaf, client, "pay")
    async with following(deaf) as follower:
        done = await asyncio.gather(*(adopted(deaf, session_of(payment), "Found once", "Zoë") for _ in range(5)))
        posted = await follower.receive()
        await follower.nothing()
    assert {each.message_id for each in done} == {posted["seq"]}
    assert [each.is_new for each in done].count(True) == 1
    assert all(each.says_the_same for each in done)
    assert (posted["message"]["text"], posted["message"]["author"]) == ("Found once", "Zoë")
    found = await look_up(client, payment["id"])
    assert (found["status"], found["message_id"]) == ("fulfilled", posted["seq"])
    for name in ("amount", "currency", "expires_at"):
        assert found[name] == payment[name]


async def test_a_repeat_with_another_text_changes_nothing(deaf: Served, client: httpx.AsyncClient) -> None:
    """Adopting again gives the same message, and says that the newly given text was not used."""
    payment = await lost(deaf, client, "pay")
    first = await adopted(deaf, session_of(payment), "The first text")
    again = await adopted(deaf, session_of(payment), "The second text")
    assert (first.is_new, first.says_the_same) == (True, True)
    assert again == Adopted(first.message_id, is_new=False, says_the_same=False)
    assert await messages_with(client, "The second text") == []


async def test_a_payment_that_is_here_posts_its_own_text(deaf: Served, client: httpx.AsyncClient) -> None:
    """A paid session whose payment was not lost is fulfilled in the same way, with the payer's own text."""
    payment = await start(client, "What its payer wrote")
    await act(client, payment, "pay")
    done = await adopted(deaf, session_of(payment), "What the operator wrote")
    assert (done.is_new, done.says_the_same) == (False, False)
    [message] = await messages_with(client, "What its payer wrote")
    assert message["id"] == done.message_id


async def test_a_refund_still_takes_it_off(deaf: Served, client: httpx.AsyncClient) -> None:
    """Refunds and disputes after an adoption affect the message as usual."""
    payment = await lost(deaf, client, "pay")
    done = await adopted(deaf, session_of(payment))
    async with core(deaf.settings) as parts:
        await parts.fulfilment.refund_payment(payment["id"])
    await until_status(client, payment["id"], "refunded")
    assert (await client.get(f"/api/messages/{done.message_id}")).json()["reason"] == "refunded"
    with pytest.raises(Conflict, match="was refunded"):
        await adopted(deaf, session_of(payment))


REFUSED = [
    pytest.param((), "is not paid: Stripe says unpaid", id="not paid yet"),
    pytest.param(("expire",), "is not paid: Stripe says unpaid", id="expired"),
    pytest.param(("pay_later",), "is not paid: Stripe says unpaid", id="on its way"),
    pytest.param(("pay", "refund"), "was refunded", id="refunded"),
    pytest.param(("pay", "dispute"), "is disputed", id="disputed"),
]


@pytest.mark.parametrize(("verbs", "words"), REFUSED)
async def test_what_no_money_is_held_for_is_refused(
    deaf: Served, client: httpx.AsyncClient, verbs: tuple[str, ...], words: str
) -> None:
    """A session that was not paid, was refunded or is disputed posts nothing and leaves no row."""
    payment = await lost(deaf, client, *verbs)
    with pytest.raises(Conflict, match=words):
        await adopted(deaf, session_of(payment))
    assert (await client.get(f"/api/payments/{payment['id']}")).status_code == 404


async def test_what_is_not_ours_is_refused(deaf: Served, client: httpx.AsyncClient) -> None:
    """A session of another mode or board, or unknown to Stripe, is refused, and so is an invalid text."""
    payment = await lost(deaf, client, "pay")
    session_id = session_of(payment)
    with pytest.raises(Conflict, match="was made in test mode, and this board is in live mode"):
        await adopted(deaf, session_id, livemode=True)
    with pytest.raises(NotFound, match="Stripe does not know the session cs_test_nothing"):
        await adopted(deaf, "cs_test_nothing")
    for no_session in ("pi_123", "", payment["id"]):
        with pytest.raises(NotFound, match="is not a Checkout Session's id"):
            await adopted(deaf, no_session)
    for text, author in (("", None), ("x" * 501, None), ("fine", "two\nlines")):
        with pytest.raises(InvalidText):
            await adopted(deaf, session_id, text, author)
    assert (await client.get(f"/api/payments/{payment['id']}")).status_code == 404


async def test_a_session_of_another_board_is_refused(tmp_path: Path) -> None:
    """A session without this board's tag belongs to another application, even on the same account."""
    with served_board(tmp_path) as served:
        async with http_client(served) as client, opened(served.settings.database_url) as database:
            payment = await lost(served, client, "pay")
            async with transaction(database) as connection:
                await connection.execute(update(queries.board).values(tag="another"))
            with pytest.raises(Conflict, match="does not bear its tag"):
                await adopted(served, session_of(payment))


async def test_tax_stays_out_of_the_price(tmp_path: Path) -> None:
    """With exclusive tax, the adopted payment has the price without tax, and later events from Stripe still match."""
    with served_board(tmp_path, automatic_tax="exclusive") as served:
        async with http_client(served) as client:
            await client.put("/sandbox/test/tax", json={"head_office": True, "rate_percent": 20})
            await client.put("/sandbox/test/faults", json={"webhook": {"drop": "all"}})
            payment = await lost(served, client, "pay")
            done = await adopted(served, session_of(payment))
            assert (await look_up(client, payment["id"]))["amount"] == 100
            session = await stripe_session(client, payment)
            assert session["amount_total"] == 120
            assert (await deliver(client, completed(session))).status_code == 200
            metrics = (await client.get("/metrics")).text
            assert (await look_up(client, payment["id"]))["message_id"] == done.message_id
    assert 'verdict="wrong_amount"' not in metrics
