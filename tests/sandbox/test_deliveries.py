"""Deliveries: signed for each attempt, retried until accepted, across restarts, and independent of each other."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.conftest import Bench, Receiver

COMPLETED = "checkout.session.completed"


async def test_retries_until_received_each_signed_afresh(bench: Bench, receiver: Receiver) -> None:
    """A refused event is retried after about 1 and 2 s, each time with a new signature, until a 2xx."""
    receiver.answer = lambda _event: 200 if len(receiver.arrivals) == 2 else 503
    created = await bench.create()
    await bench.do(created.id, "pay")
    arrivals = receiver.wait_for(COMPLETED, count=3)
    pauses = [later.at - earlier.at for earlier, later in pairwise(arrivals)]
    assert 0.95 < pauses[0] < 3
    assert 1.95 < pauses[1] < 6
    assert len({arrival.signature for arrival in arrivals}) == 3
    assert len({arrival.event["id"] for arrival in arrivals}) == 1
    deliveries = await bench.attempts(3)
    assert [(item["attempt"], item["status"]) for item in deliveries] == [(1, 503), (2, 503), (3, 200)]
    assert {item["session"] for item in deliveries} == {created.id}


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_is_success(bench: Bench, receiver: Receiver, status: int) -> None:
    """With any 2xx from the endpoint, the event is delivered."""
    receiver.answer = lambda _event: status
    created = await bench.create()
    await bench.do(created.id, "pay")
    events = await bench.stripe.v1.events.list_async({"delivery_success": False})
    assert events.data == []


async def test_a_redirect_is_a_failure(bench: Bench, receiver: Receiver) -> None:
    """A 3xx is not a success and is not followed."""
    receiver.answer = lambda _event: 302
    created = await bench.create()
    await bench.do(created.id, "pay")
    assert len((await bench.stripe.v1.events.list_async({"delivery_success": False})).data) == 1


async def test_deliveries_go_on_after_a_restart(bench: Bench, receiver: Receiver) -> None:
    """Events pending when the sandbox stopped are delivered when it runs again on the same folder."""
    receiver.answer = lambda _event: 500
    created = await bench.create()
    await bench.do(created.id, "pay")
    bench.stop()
    seen = len(receiver.arrivals)
    receiver.answer = lambda _event: 200
    await asyncio.sleep(1.5)
    assert len(receiver.arrivals) == seen, "nothing is delivered while it is down"
    bench.start_again()
    receiver.wait_for(COMPLETED, count=seen + 1)
    session = await bench.session(created.id)
    assert session["payment_status"] == "paid"
    assert receiver.arrivals[-1].status == 200


async def test_a_slow_receiver_holds_up_the_answer_but_no_other_event(bench: Bench, receiver: Receiver) -> None:
    """Paying waits for the first response to `completed`, while other events are delivered concurrently."""
    receiver.delay_s = 1.5
    created = await bench.create()
    begun = time.monotonic()
    await bench.do(created.id, "pay")
    assert time.monotonic() - begun > 1.4
    await bench.do(created.id, "refund")
    refund, charge = receiver.wait_for("refund.created")[0], receiver.wait_for("charge.refunded")[0]
    assert abs(refund.at - charge.at) < 1.4, "one was sent before the other was answered"


async def test_the_wait_for_an_answer_ends_after_ten_seconds(bench: Bench, receiver: Receiver) -> None:
    """An endpoint that takes longer than 10 s no longer delays the buyer, and its late response still counts."""
    receiver.delay_s = 13
    created = await bench.create()
    begun = time.monotonic()
    await bench.do(created.id, "pay")
    assert 9.5 < time.monotonic() - begun < 12.5
    assert [item["status"] for item in await bench.attempts(1)] == [200]


def deliver_to(bench: Bench, webhook_url: str) -> None:
    """Start the sandbox again with another endpoint."""
    bench.stop()
    bench.settings = replace(bench.settings, webhook_url=webhook_url)
    bench.start_again()


async def test_nobody_listens(bench: Bench, receiver: Receiver) -> None:
    """An endpoint that refuses connections does not delay the buyer; the attempt is recorded."""
    port = bench.server.port
    deliver_to(bench, "http://127.0.0.1:9/hook")
    assert bench.server.port == port
    created = await bench.create()
    begun = time.monotonic()
    await bench.do(created.id, "pay")
    assert time.monotonic() - begun < 8
    attempt = (await bench.ledger())["deliveries"][0]
    assert (attempt["status"], attempt["note"]) == (None, "ConnectError")
    assert receiver.arrivals == []


async def test_an_endpoint_that_resets_connections(bench: Bench) -> None:
    """An endpoint that goes down while connections to it are being made fails an attempt, and nothing else."""
    with resetting_connections() as port:
        deliver_to(bench, f"http://127.0.0.1:{port}/hook")
        created = await bench.create()
        await bench.do(created.id, "pay")
        event = (await bench.stripe.v1.events.list_async({"delivery_success": False})).data[0].id
        for _ in range(20):
            answers = await asyncio.gather(*(bench.http.post(f"/test/events/{event}/resend") for _ in range(20)))
            assert [answer.json() for answer in answers] == [{"event": event, "status": None}] * 20
    assert {each["note"] for each in (await bench.ledger())["deliveries"]} <= {"ConnectError", "ReadError"}


@contextmanager
def resetting_connections() -> Iterator[int]:
    """A port on which every connection is reset as soon as it is made."""

    def reset_all() -> None:
        with suppress(OSError):
            while True:
                connected, _ = listening.accept()
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connected.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=reset_all)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


async def test_retries_end_after_three_days(bench: Bench, receiver: Receiver) -> None:
    """Three days after the first attempt the next failure is the last."""
    receiver.answer = lambda _event: 500
    created = await bench.create()
    await bench.do(created.id, "pay")
    await bench.http.post("/test/clock", json={"advance_s": 3 * 24 * 3600 + 1})
    await bench.attempts(2)
    await bench.http.post("/test/clock", json={"advance_s": 3600})
    await asyncio.sleep(1.2)
    assert len(receiver.arrivals) == 2
    event = (await bench.stripe.v1.events.list_async({"delivery_success": False})).data[0]
    receiver.answer = lambda _event: 200
    answer = await bench.http.post(f"/test/events/{event.id}/resend")
    assert answer.json() == {"event": event.id, "status": 200}


async def test_advancing_the_clock_moves_retries(bench: Bench, receiver: Receiver) -> None:
    """Retries due in 1, 2, 4 and 8 s happen at once when the clock is advanced past them."""
    receiver.answer = lambda _event: 500
    created = await bench.create()
    await bench.do(created.id, "pay")
    begun = time.monotonic()
    for count in range(2, 6):
        await bench.http.post("/test/clock", json={"advance_s": 61})
        await bench.attempts(count)
    assert time.monotonic() - begun < 10


async def test_resending(bench: Bench, receiver: Receiver) -> None:
    """A delivered event can be sent again on demand, also one not subscribed to; unknown ids are 404."""
    created = await bench.create()
    await bench.do(created.id, "pay")
    event = receiver.arrivals[0].event
    answer = await bench.http.post(f"/test/events/{event['id']}/resend")
    assert answer.json() == {"event": event["id"], "status": 200}
    assert [arrival.event["id"] for arrival in receiver.arrivals] == [event["id"]] * 2
    intents = await bench.stripe.v1.events.list_async({"type": "payment_intent.succeeded"})
    await bench.http.post(f"/test/events/{intents.data[0].id}/resend")
    receiver.wait_for("payment_intent.succeeded")
    assert (await bench.http.post("/test/events/evt_unknown/resend")).status_code == 404
