"""Third-party clients: each pays, looks up its payment, and finds its message on the board and in the feed."""

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import requests

from tests.support.served import Served
from tests.support.shapes import Json

pytestmark = pytest.mark.any_database
PROGRAMS = Path(__file__).parent / "clients"
PATIENCE_S = 20


def run(*command: str | Path) -> str:
    """Run a program to its end, without this machine's proxy settings, and return its output."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- curl -------------------------------------------------------------------------------------------


def curl(served: Served, path: str, *options: str) -> tuple[int, str, str]:
    """Make a request; return the status, the HTTP version and the body."""
    usual = ("--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(PATIENCE_S))
    told = run("curl", *usual, "--write-out", "\n%{http_code} %{http_version}", *options, f"{served.url}{path}")
    body, _, last = told.rpartition("\n")
    status, version = last.split()
    return int(status), version, body


def curl_loop(served: Served, text: str, *options: str) -> int:
    """Run the flow with curl."""
    ask = partial(curl, served)
    key, file = f"Idempotency-Key: {uuid.uuid4()}", "Content-Type: application/json"
    body = json.dumps({"text": text})
    status, version, answer = ask("/api/payments", *options, "--header", key, "--header", file, "--data", body)
    assert (status, version) == (201, "1.1")  # an upgrade to HTTP/2 is ignored
    payment = json.loads(answer)
    session = payment["checkout_url"].rsplit("/", 1)[1]
    assert ask(f"/sandbox/test/sessions/{session}/pay", *options, "--request", "POST")[0] == 200
    deadline = time.monotonic() + PATIENCE_S
    while (paid := json.loads(ask(f"/api/payments/{payment['id']}", *options)[2]))["status"] != "fulfilled":
        assert time.monotonic() < deadline
    head = ask(f"/api/messages/{paid['message_id']}", *options, "--head")
    assert head[0] == 200
    assert "content-type: application/json" in head[2]
    status, _, page = ask("/api/messages", *options, "--compressed", "--include")
    tag = next(line.partition(": ")[2].strip() for line in page.splitlines() if line.lower().startswith("etag:"))
    assert (status, text in page) == (200, True)
    assert ask("/api/messages", *options, "--header", f"If-None-Match: {tag}")[0] == 304
    return int(paid["message_id"])


# --- Python's -----------------------------------------------------------------------------------------


def requests_loop(served: Served, text: str) -> int:
    """Run the flow with requests."""
    with requests.Session() as session:
        session.trust_env = False
        ask = partial(session.request, timeout=PATIENCE_S)
        key = {"Idempotency-Key": str(uuid.uuid4())}
        started = ask("POST", f"{served.url}/api/payments", json={"text": text}, headers=key)
        assert started.status_code == 201
        where = f"{served.url}{started.headers['Location']}"
        to_pay = started.json()["checkout_url"].rsplit("/", 1)[1]
        assert ask("POST", f"{served.url}/sandbox/test/sessions/{to_pay}/pay").status_code == 200
        deadline = time.monotonic() + PATIENCE_S
        while (paid := ask("GET", where).json())["status"] != "fulfilled":
            assert time.monotonic() < deadline
        assert ask("HEAD", f"{served.url}/api/messages/{paid['message_id']}").content == b""
        page = ask("GET", f"{served.url}/api/messages")
        assert text in [message["text"] for message in page.json()["messages"]]
        tag = {"If-None-Match": page.headers["ETag"]}
        assert ask("GET", f"{served.url}/api/messages", headers=tag).status_code == 304
        return int(paid["message_id"])


async def aiohttp_loop(served: Served, text: str) -> int:
    """Run the flow with aiohttp, following the feed."""
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/api/feed") as feed:

        async def frame(kind: str, status: str = "") -> Json:
            while True:
                found: Json = await feed.receive_json(timeout=PATIENCE_S)
                if found["type"] == kind and (not status or found["payment"]["status"] == status):
                    return found

        await frame("snapshot")
        key = {"Idempotency-Key": str(uuid.uuid4())}
        async with session.post("/api/payments", json={"text": text}, headers=key) as started:
            assert started.status == 201
            payment = await started.json()
        await feed.send_json({"type": "watch", "payment_id": payment["id"]})
        await frame("payment.updated", "pending")
        to_pay = payment["checkout_url"].rsplit("/", 1)[1]
        async with session.post(f"/sandbox/test/sessions/{to_pay}/pay") as done:
            assert done.status == 200
        posted = await frame("message.posted")
        assert posted["message"]["text"] == text
        told = await frame("payment.updated", "fulfilled")
        async with session.get(f"/api/payments/{payment['id']}") as looked_up:
            assert await looked_up.json() == told["payment"]
        async with session.head(f"/api/messages/{posted['seq']}") as head:
            assert (head.status, await head.read()) == (200, b"")
        async with session.get("/api/messages") as page:
            assert posted["message"] in (await page.json())["messages"]
        async with session.get("/api/messages", headers={"If-None-Match": page.headers["ETag"]}) as again:
            assert again.status == 304
        return int(told["payment"]["message_id"])


# --- programs -----------------------------------------------------------------------------------------


def program_loop(served: Served, text: str, *command: str) -> int:
    """Run the flow with a separate program."""
    return int(run(*command, served.url, text))


Loop = Callable[[Served, str], int]
LOOPS: dict[str, Loop] = {
    "curl": curl_loop,
    "curl --http2": lambda served, text: curl_loop(served, text, "--http2"),
    "requests": requests_loop,
    "node": lambda served, text: program_loop(served, text, "node", str(PROGRAMS / "loop.mjs")),
}
if shutil.which("java") and shutil.which("javac"):  # we do not install Java
    quick = ("-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:+UseSerialGC")
    LOOPS["java"] = lambda served, text: program_loop(served, text, "java", *quick, str(PROGRAMS / "Loop.java"))


def is_on_the_board(served: Served, message_id: int, text: str) -> None:
    """Check that a message is what the client reported."""
    with requests.Session() as session:
        session.trust_env = False
        message = session.get(f"{served.url}/api/messages/{message_id}", timeout=PATIENCE_S).json()
    assert (message["id"], message["text"]) == (message_id, text)


@pytest.mark.parametrize("client", LOOPS)
def test_a_client_completes_the_loop(board: Served, client: str) -> None:
    """A client with its defaults pays, looks up its payment, and finds its message; unchanged pages get a 304."""
    text = f"Posted by {client}"
    is_on_the_board(board, LOOPS[client](board, text), text)


async def test_aiohttp_completes_the_loop(board: Served) -> None:
    """The same with aiohttp, which runs in the test's own loop."""
    is_on_the_board(board, await aiohttp_loop(board, "Posted by aiohttp"), "Posted by aiohttp")
