"""Around the board: description, health, metrics, documentation, and refusing to start."""

import asyncio
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from paidchat.app import create_app
from paidchat.cli.main import cli
from paidchat.serving.server import server_config
from paidchat.settings import Settings
from paidchat.storage import schema
from tests.support.board_client import http_client, post
from tests.support.logs import captured_logs
from tests.support.rows import opened
from tests.support.served import Served, free_port, process, served_board, serving
from tests.support.transactions import transaction

Run = Callable[..., Result]


@pytest.fixture
def paidchat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command to its end, in an empty folder, with only the given settings."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("PAIDCHAT_", "STRIPE_")):
            monkeypatch.delenv(name)

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(cli, arguments, env=environment)

    return run


async def test_the_board_describes_itself(client: httpx.AsyncClient) -> None:
    """What a page needs at the start: title, price, tax, limits, and whether money is real."""
    answer = await client.get("/api/board")
    assert answer.status_code == 200
    assert answer.json() == {
        "title": "paidchat",
        "price": {"amount": 100, "currency": "usd", "tiers": [{"amount": 100, "pinned_seconds": 0}]},
        "tax_behavior": None,
        "max_text_length": 500,
        "max_author_length": 50,
        "test_mode": True,
        "terms_url": None,
        "privacy_url": None,
        "contact": None,
        "links": True,
    }


@pytest.mark.any_database
@pytest.mark.parametrize(("log_requests", "logged"), [("all", {200, 304, 404}), ("slow-or-failed", {404})])
async def test_fast_successes_need_not_be_logged(tmp_path: Path, log_requests: str, logged: set[int]) -> None:
    """A board logs every request, or only those that are slow or fail; the metrics count every one."""
    with captured_logs() as logs, served_board(tmp_path, log_requests=log_requests) as served:
        async with http_client(served) as client:
            etag = (await client.get("/api/board")).headers["etag"]
            await client.get("/api/board", headers={"If-None-Match": etag})
            await client.get("/nowhere.html")
            counted = (await client.get("/metrics")).text
    ours = [entry for entry in logs if entry["event"] == "request" and not entry["path"].startswith("/v1/")]
    assert {entry["status"] for entry in ours} == logged  # the others are the sandbox's
    for labels in ('route="/api/board",status="200"', 'route="/api/board",status="304"', 'status="404"'):
        assert labels in counted


@pytest.mark.any_database
@pytest.mark.parametrize("tax", ["exclusive", "inclusive"])
async def test_the_description_follows_the_settings(tmp_path: Path, tax: str) -> None:
    """Title, price, tax, and what lets people trust the board, come from the operator's settings."""
    options: dict[str, Any] = {"price_amount": 250, "price_currency": "EUR", "title": "Ours", "automatic_tax": tax}
    trust = {"terms_url": "https://example.com/terms", "privacy_url": "http://example.com", "contact": "a@example.com"}
    options |= {**trust, "links": "off"}
    with served_board(tmp_path, **options) as served:
        async with http_client(served) as client:
            described = (await client.get("/api/board")).json()
    assert described["title"] == "Ours"
    tiers = [{"amount": 250, "pinned_seconds": 0}]
    assert described["price"] == {"amount": 250, "currency": "eur", "tiers": tiers}
    assert described["tax_behavior"] == tax
    assert {name: described[name] for name in trust} == trust
    assert described["links"] is False


async def test_healthz_says_ok(client: httpx.AsyncClient) -> None:
    """A running process reports that it is healthy."""
    assert (await client.get("/healthz")).status_code == 200


async def test_readyz_says_ok(client: httpx.AsyncClient) -> None:
    """A board whose database responds and whose feed follows the log is ready."""
    assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    ("works_with", "status", "said"),
    [
        pytest.param(schema.HEAD, 200, "newer", id="compatible"),
        pytest.param("9999", 503, "needs at least a program of revision 9999. Update the program.", id="incompatible"),
    ],
)
async def test_readyz_obeys_a_newer_schema(tmp_path: Path, works_with: str, status: int, said: str) -> None:
    """A board stays ready while a newer program's schema allows it; otherwise it is not ready, with the reason."""
    with served_board(tmp_path) as served:
        async with http_client(served) as client, opened(served.settings.database_url) as database:
            async with transaction(database) as connection:
                await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
                await connection.execute(text("UPDATE compatibility SET works_with = :new"), {"new": works_with})
            answer = await client.get("/readyz")
            assert answer.status_code == status
            assert said in answer.text
            if status == 200:
                assert (await post(client, "Meanwhile"))["text"] == "Meanwhile"


async def test_metrics_count_what_happens(client: httpx.AsyncClient) -> None:
    """The metrics are in Prometheus's format and count payments; they contain no text, name or id of a payer."""
    message = await post(client, "CanaryText", author="CanaryName")
    for _ in range(100):  # a lookup may be faster than the feed
        answer = await client.get("/metrics")
        if re.search(rf"^paidchat_log_position {message['id']}\.0", answer.text, re.MULTILINE):
            break
        await asyncio.sleep(0.1)
    assert answer.headers["content-type"].startswith("text/plain")
    assert re.search(r"^paidchat_payments_started_total [1-9]", answer.text, re.MULTILINE)
    assert re.search(rf"^paidchat_log_position {message['id']}\.0", answer.text, re.MULTILINE)
    assert "Canary" not in answer.text


@pytest.mark.any_database
async def test_docs_need_no_other_host(client: httpx.AsyncClient) -> None:
    """The documentation page and its files come from the board itself."""
    page = await client.get("/docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    for source in sources:
        assert source.startswith("/")
        assert (await client.get(source)).status_code == 200


@pytest.mark.any_database
def test_serve_refuses_with_a_list(paidchat: Run) -> None:
    """Without its settings, production does not start, and lists everything that is missing."""
    run = paidchat("serve", PAIDCHAT_PRICE_AMOUNT="free")
    assert run.exit_code == 2
    for name in ("PAIDCHAT_PUBLIC_URL", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "PAIDCHAT_PRICE_AMOUNT"):
        assert name in run.stderr


SETTINGS = {
    "PAIDCHAT_PUBLIC_URL": "http://localhost:8000",
    "STRIPE_SECRET_KEY": "sk_test_canary",
    "STRIPE_WEBHOOK_SECRET": "whsec_canary",
}


@pytest.mark.any_database
def test_sqlite_refuses_several_workers(paidchat: Run) -> None:
    """Several workers on SQLite refuse to start."""
    run = paidchat("serve", "--workers", "2", **SETTINGS)
    assert run.exit_code == 2
    assert "SQLite" in run.stderr


@pytest.mark.any_database
def test_a_live_key_and_another_stripe_do_not_start(paidchat: Run) -> None:
    """A live key with another address for Stripe refuses to start, and the key is not printed."""
    both = {"STRIPE_SECRET_KEY": "sk_live_canary", "PAIDCHAT_STRIPE_API_BASE": "http://127.0.0.1:9"}
    run = paidchat("serve", **{**SETTINGS, **both})
    assert run.exit_code == 2
    assert "PAIDCHAT_STRIPE_API_BASE" in run.stderr
    assert "canary" not in run.output


@pytest.mark.any_database
async def test_production_has_no_sandbox(tmp_path: Path) -> None:
    """In production mode a board has no route of the sandbox."""
    port = free_port()
    settings = Settings(
        public_url=f"http://127.0.0.1:{port}",
        database_url=f"sqlite:///{tmp_path / 'paidchat.db'}",
        stripe_secret_key="sk_test_canary",
        stripe_webhook_secrets="whsec_canary",
        stripe_api_base=f"http://127.0.0.1:{free_port()}",
        _env_file=None,
    )
    with serving(server_config(create_app(settings), host="127.0.0.1", port=port)):
        async with http_client(Served(settings.public_url, settings)) as client:
            assert (await client.get("/api/board")).status_code == 200
            for path in ("/sandbox", "/sandbox/", "/sandbox/test/ledger", "/sandbox/v1/checkout/sessions"):
                for method in ("GET", "POST"):
                    answer = await client.request(method, path)
                    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.any_database
def test_the_demo_ignores_real_keys(tmp_path: Path) -> None:
    """The demo never uses a Stripe key from the environment."""
    port = str(free_port())
    keys = {"STRIPE_SECRET_KEY": "sk_live_canary", "STRIPE_WEBHOOK_SECRET": "whsec_canary"}
    with process("demo", "--no-open", "--port", port, "--data", str(tmp_path), **keys):
        answer = httpx.get(f"http://127.0.0.1:{port}/api/board", trust_env=False)
    assert answer.json()["test_mode"] is True


@pytest.mark.any_database
@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
async def test_the_committed_documents_are_current(client: httpx.AsyncClient, paidchat: Run, name: str) -> None:
    """The committed document is what the command prints, and what a board serves except for its own address."""
    committed = (Path(__file__).parents[3] / f"{name}.json").read_text()
    run = paidchat(name)
    assert (run.stdout, run.stderr, run.exit_code) == (committed, "", 0)
    served, expected = (await client.get(f"/{name}.json")).json(), json.loads(committed)
    for document in (served, expected):
        del document["servers"], document["info"]["contact"]
    assert served == expected
