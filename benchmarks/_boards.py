"""Boards for the benchmarks: real ones, in processes of their own, on files of their own."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECRET = "whsec_of_the_benchmark"  # noqa: S105 - of a board that lives for a minute
TICKS = os.sysconf("SC_CLK_TCK")


class Board:
    """A running board: its address, and its CPU and memory use."""

    def __init__(self, url: str, sandbox: str, data: Path, process: subprocess.Popen[str]) -> None:
        self.url = url
        self.sandbox = sandbox
        self.data = data
        self.pid = process.pid

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far (proc(5), fields 14 and 15)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_kib(self) -> int:
        """Return the resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run paidchat until the block ends."""
    command = [sys.executable, "-m", "paidchat", *arguments]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **environment}
    )
    try:
        assert process.stdout
        assert any("is ready" in line for line in process.stdout), f"{arguments} did not start"
        yield process
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def board(data: Path, checkout: Path = ROOT, **settings: str) -> Iterator[Board]:
    """Run a checkout's board and its sandbox on the files in a folder."""
    port, sandbox_port = free_port(), free_port()
    url, sandbox = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    environment = {
        "PYTHONPATH": str(checkout / "src"),
        "PAIDCHAT_DATABASE_URL": f"sqlite:///{data / 'paidchat.db'}",
        "PAIDCHAT_PUBLIC_URL": url,
        "PAIDCHAT_STRIPE_API_BASE": sandbox,
        "PAIDCHAT_RATE_LIMIT": "off",
        "PAIDCHAT_MAX_VIEWERS_PER_CLIENT": "100000",
        "STRIPE_SECRET_KEY": "sk_test_of_the_benchmark",
        "STRIPE_WEBHOOK_SECRET": SECRET,
        **settings,
    }
    webhook = ("--webhook-url", f"{url}/stripe/webhook", "--webhook-secret", SECRET)
    with (
        running("sandbox", "--port", str(sandbox_port), "--data", str(data), *webhook),
        running("serve", "--port", str(port), **environment) as process,
    ):
        yield Board(url, sandbox, data, process)
