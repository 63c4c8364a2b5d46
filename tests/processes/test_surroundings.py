"""The operator's environment: folders with odd names, locales, signals, proxies."""

import asyncio
import os
import signal
import stat
from pathlib import Path

import pytest

from paidchat.storage import queries
from paidchat.storage.schema import migrate
from tests.support.board_client import post
from tests.support.cluster import Node, client_of
from tests.support.following import following
from tests.support.network.strangers import counting
from tests.support.rows import opened, write_messages
from tests.support.served import SECRET, free_port, paidchat, process, process_anew
from tests.support.transactions import transaction

NOWHERE = {
    "PAIDCHAT_DATABASE_URL": "sqlite:////nonexistent/paidchat.db",
    "PAIDCHAT_PUBLIC_URL": "http://localhost:8000",
    "PAIDCHAT_STRIPE_API_BASE": "http://127.0.0.1:1",
    "STRIPE_SECRET_KEY": "sk_test_of_the_tests",
    "STRIPE_WEBHOOK_SECRET": SECRET,
}


@pytest.mark.parametrize("name", ["a%20b", "what?now", "Zoë #1 100%"])
def test_the_demo_keeps_its_data_in_the_folder_that_was_named(tmp_path: Path, name: str) -> None:
    """A folder's name is taken literally, whatever it would mean in a URL."""
    data = tmp_path / name
    with process("demo", "--no-open", "--port", str(free_port()), "--data", str(data)):
        assert [folder.name for folder in tmp_path.iterdir()] == [name]
        assert {"paidchat.db", "sandbox.db"} <= {file.name for file in data.iterdir()}


IN_ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
IN_LATIN_1 = {"PYTHONIOENCODING": "latin-1"}


@pytest.mark.long
async def test_a_locale_that_lacks_a_character_costs_no_command(tmp_path: Path) -> None:
    """If the locale cannot encode an arrow or an emoji, a command prints an escape instead and does its work."""
    there = {**NOWHERE, "PAIDCHAT_DATABASE_URL": f"sqlite:///{tmp_path / 'paidchat.db'}"}
    async with opened(there["PAIDCHAT_DATABASE_URL"]) as database:
        await migrate(database)
        async with transaction(database) as connection:
            await connection.run_sync(queries.ensure_board, tag="tag", epoch="epoch")
        await write_messages(database, 1, "Zoë → 🎉")
    listed = paidchat("messages", "list", **there, **IN_LATIN_1)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "Anonymous: Zo" in listed.stdout
    examined = paidchat("doctor", **there, **IN_ASCII)
    assert "Traceback" not in examined.stderr
    assert "Stripe" in examined.stdout


def test_a_setting_that_is_no_text_is_refused_in_words() -> None:
    """A value that the locale cannot decode is reported by its variable's name."""
    refused = paidchat("doctor", **NOWHERE, **IN_ASCII, PAIDCHAT_TITLE="Zoë")
    assert refused.returncode == 2
    assert "PAIDCHAT_TITLE: " in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_live_key_without_tls_starts_with_a_warning(tmp_path: Path) -> None:
    """A live key with an http:// URL is warned about before the board is ready."""
    live = {
        **NOWHERE,
        "PAIDCHAT_DATABASE_URL": f"sqlite:///{tmp_path / 'paidchat.db'}",
        "PAIDCHAT_PUBLIC_URL": "http://chat.example.com",
        "STRIPE_SECRET_KEY": "rk_live_of_nobody",
    }
    del live["PAIDCHAT_STRIPE_API_BASE"]
    with process("serve", "--port", str(free_port()), ready="PAIDCHAT_PUBLIC_URL is http://", **live):
        pass


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_nobody_else_reads_the_files(tmp_path: Path, umask: int) -> None:
    """A demo's files, and the folders made for them, are only for its own user; an existing folder is unchanged."""
    data = tmp_path / "made" / "for it"
    tmp_path.chmod(0o755)
    before = os.umask(umask)
    try:
        with process_anew("demo", "--no-open", "--port", str(free_port()), "--data", str(data)):
            files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in data.iterdir()}
    finally:
        os.umask(before)
    names = [name + more for name in ("paidchat.db", "sandbox.db") for more in ("", "-wal", "-shm")]
    assert files == dict.fromkeys(names, 0o600)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (data, data.parent, tmp_path)] == [0o700, 0o700, 0o755]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM], ids=lambda number: number.name)
async def test_a_single_process_says_goodbye(tmp_path: Path, number: signal.Signals) -> None:
    """On SIGHUP as on SIGTERM, a single process closes its viewers with 1012 and ends by that signal."""
    port = free_port()
    with process("demo", "--no-open", "--port", str(port), "--data", str(tmp_path)) as running:
        async with following(Node(f"http://127.0.0.1:{port}", running)) as follower:
            running.send_signal(number)
            assert await follower.closed(20) == 1012
        assert await asyncio.to_thread(running.wait, 20) == -number


async def test_under_nohup_a_hangup_is_ignored(tmp_path: Path) -> None:
    """A process that was started with SIGHUP ignored keeps serving after one."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    port = free_port()
    try:
        with process_anew("demo", "--no-open", "--port", str(port), "--data", str(tmp_path)) as running:
            node = Node(f"http://127.0.0.1:{port}", running)
            running.send_signal(signal.SIGHUP)
            async with client_of(node) as client:
                assert (await client.get("/readyz")).status_code == 200
            assert running.poll() is None
    finally:
        signal.signal(signal.SIGHUP, before)


NO_ONE = f"http://127.0.0.1:{free_port()}"
ASTRAY = {"HTTP_PROXY": NO_ONE, "HTTPS_PROXY": NO_ONE, "ALL_PROXY": "socks5://127.0.0.1:1080"}


async def test_no_proxy_comes_between_the_demo_and_its_sandbox(tmp_path: Path) -> None:
    """Whatever proxies are in the environment, a demo accepts payments, and the sandbox's events reach it."""
    port = free_port()
    with process("demo", "--no-open", "--port", str(port), "--data", str(tmp_path), **ASTRAY) as running:
        async with client_of(Node(f"http://127.0.0.1:{port}", running)) as client:
            message = await post(client, "Straight through")
    assert message["text"] == "Straight through"


async def test_a_proxy_is_used_on_the_way_to_stripe() -> None:
    """Stripe, on another machine, is reached through the environment's proxy, unless NO_PROXY names it."""
    elsewhere = {**NOWHERE, "PAIDCHAT_STRIPE_API_BASE": "http://stripe.invalid"}
    async with counting() as proxy:
        through = {**elsewhere, "HTTP_PROXY": proxy.url}
        asked = await asyncio.to_thread(paidchat, "doctor", **through)
        assert proxy.asked
        assert all(each.path.startswith("http://stripe.invalid/") for each in proxy.asked)
        assert "check what is between here and http://stripe.invalid (a proxy is set in HTTP_PROXY)." in asked.stdout
        proxy.asked.clear()
        around = await asyncio.to_thread(paidchat, "doctor", **through, NO_PROXY="stripe.invalid")
        assert not proxy.asked
        assert "Stripe: no answer" in around.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("doctor",),
        ("migrate",),
        ("reconcile",),
        ("messages", "list"),
        ("payments", "show", "x"),
    ],
    ids=" ".join,
)
def test_a_socks_proxy_is_refused_in_words(command: tuple[str, ...]) -> None:
    """Without its package, a SOCKS proxy for Stripe ends any command with a sentence."""
    settings = {name: value for name, value in NOWHERE.items() if name != "PAIDCHAT_STRIPE_API_BASE"}
    refused = paidchat(*command, **settings, ALL_PROXY="socks5://127.0.0.1:1080")
    assert refused.returncode == 2
    assert "ALL_PROXY: a SOCKS proxy needs" in refused.stderr
    assert "Traceback" not in refused.stderr
