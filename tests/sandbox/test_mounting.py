"""Mounting and restarting: under a prefix of another application, and after a kill."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
import stripe
from starlette.applications import Starlette
from starlette.routing import Mount

from paidchat.sandbox import SandboxSettings, create_sandbox, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.sandbox.conftest import Bench, Receiver, Serve

SCRIPT = """
import sys, uvicorn
from pathlib import Path
from paidchat.sandbox import SandboxSettings, create_sandbox
data, port, hook, secret = sys.argv[1:]
settings = SandboxSettings(
    data=Path(data), public_url=f"http://127.0.0.1:{port}", webhook_url=hook, webhook_secret=secret
)
uvicorn.run(create_sandbox(settings), host="127.0.0.1", port=int(port), log_level="critical")
"""


async def test_mounted_under_a_prefix(tmp_path: Path, receiver: Receiver, serve: Serve) -> None:
    """Mounted under `/sandbox`, the API, pages, assets, controls and panel work as they do alone."""
    port = serve.free_port()
    settings = SandboxSettings(
        data=tmp_path,
        public_url=f"http://localhost:{port}/sandbox",
        webhook_url=receiver.url,
        webhook_secret=serve.secret,
    )
    sandbox = create_sandbox(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with running(sandbox):
            yield

    serve(Starlette(routes=[Mount("/sandbox", sandbox)], lifespan=lifespan), port)
    transport = stripe.HTTPXClient(timeout=4)
    client = stripe.StripeClient(
        "sk_test_x", base_addresses={"api": f"http://127.0.0.1:{port}/sandbox"}, http_client=transport
    )
    created = await client.v1.checkout.sessions.create_async(
        {
            "mode": "payment",
            "success_url": "http://board.example/",
            "line_items": [
                {
                    "price_data": {
                        "currency": "usd",
                        "unit_amount": 100,
                        "product_data": {"name": "A message"},
                    },
                    "quantity": 1,
                }
            ],
        }
    )
    assert created.url == f"http://localhost:{port}/sandbox/pay/{created.id}"
    assert (await client.v1.checkout.sessions.list_async()).url == "/v1/checkout/sessions"
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as http:
        page = await http.get(f"/sandbox/pay/{created.id}")
        assert 'href="/sandbox/static/checkout.css"' in page.text
        assert (await http.get("/sandbox/static/checkout.css")).status_code == 200
        assert (await http.post(f"/sandbox/pay/{created.id}")).status_code == 303
        panel = await http.get("/sandbox/")
        assert f'action="/sandbox/panel/sessions/{created.id}/refund"' in panel.text
        answer = await http.post(f"/sandbox/panel/sessions/{created.id}/refund")
        assert answer.headers["location"].startswith("/sandbox/?said=")
        unknown = await http.get("/sandbox/v1/nowhere", headers={"Authorization": "Bearer sk_test_x"})
        assert "GET: /v1/nowhere" in unknown.json()["error"]["message"]
    receiver.wait_for("charge.refunded")
    await serve.close(transport)


async def test_not_running(tmp_path: Path, serve: Serve) -> None:
    """Nothing is opened before the sandbox runs; used without its lifespan it says what is missing."""
    settings = SandboxSettings(data=tmp_path / "none", public_url="", webhook_url="", webhook_secret=serve.secret)
    sandbox = create_sandbox(settings)
    assert not settings.data.exists()
    transport = httpx.ASGITransport(sandbox)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
        with pytest.raises(RuntimeError, match="not running"):
            await http.get("/")


async def test_killed_at_any_moment(bench: Bench, receiver: Receiver) -> None:
    """A killed process loses nothing that it acknowledged: sessions, keys, pending deliveries, settings."""
    bench.stop()
    settings, port = bench.settings, bench.server.port
    arguments = [str(settings.data), str(port), settings.webhook_url, settings.webhook_secret]
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SCRIPT, *arguments)
    try:
        await _until_it_answers(bench.http)
        receiver.answer = lambda _event: 500
        created = await bench.create()
        await bench.do(created.id, "pay")
        await bench.faults(api={"hang_s": 0.01})
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    receiver.answer = lambda _event: 200
    seen = len(receiver.arrivals)
    bench.start_again()
    assert (await bench.session(created.id))["payment_status"] == "paid"
    assert (await bench.http.get("/test/faults")).json()["api"]["hang_s"] == 0.01
    receiver.wait_for("checkout.session.completed", count=seen + 1)


async def _until_it_answers(http: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            await http.get("/test/clock")
        except httpx.ConnectError:
            assert time.monotonic() < deadline, "the process does not answer"
            await asyncio.sleep(0.05)
        else:
            return


async def test_alone_it_redirects_to_nobody(bench: Bench) -> None:
    """Alone, HEAD is GET without a body, a 405 lists every method, and no response names the request's Host."""
    session = await bench.create()
    evil = {"Host": "evil.example"}
    for path in ("/", f"/pay/{session.id}", "/test/ledger", "/static/checkout.css"):
        head = await bench.http.head(path, headers=evil)
        assert (head.status_code, head.content) == (200, b"")
    for path in (f"/pay/{session.id}/", "/test/ledger/", "/static", "/static/", "/panel/live/", "//test/ledger"):
        answer = await bench.http.get(f"http://127.0.0.1:{bench.server.port}{path}", headers=evil)
        assert answer.status_code == 404
        assert "evil" not in f"{answer.headers} {answer.text}"
    for path, allowed in (("/test/clock", "GET, HEAD, POST"), ("/static/checkout.css", "GET, HEAD")):
        assert (await bench.http.patch(path)).headers["allow"] == allowed
