"""Generates clients from openapi.json, compiles each and runs it through the flow against a demo.

    .venv/bin/python tools/clients.py [NAME …]

The flow: start a payment, pay it in the sandbox, look it up until it has its message, read the message, and check that
an unknown payment is a typed 404. The npm packages must be installed, and node on the PATH; `./dev clients` does both.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TOOLS = Path(__file__).parent
BIN = "node_modules/.bin"
UV = Path(sys.executable).with_name("uv")
IN_PYTHON = (UV, "run", "-q", "--no-project", "--python", sys.executable, "--with-requirements", "requirements.txt")

Command = tuple[str | Path, ...]


@dataclass(frozen=True)
class Client:
    """A generator of clients: its folder under tools/, and the commands that generate, compile and run its client.

    `run` gets the board's address as its last argument.
    """

    name: str
    folder: str
    generate: Command
    compile: Command
    run: Command


TSC: Command = ("node", f"{BIN}/tsc", "--project")
SCHEMA = "../../openapi.json"
CLIENTS = (
    Client(
        "openapi-typescript",
        "contract",
        ("node", f"{BIN}/openapi-typescript", SCHEMA, "--output", "generated/schema.ts"),
        (*TSC, "."),
        ("node", "build/loop.js"),
    ),
    Client(
        "hey-api",
        "clients",
        ("node", f"{BIN}/openapi-ts", "-i", SCHEMA, "-o", "generated/hey-api", "-c", "@hey-api/client-fetch"),
        (*TSC, "tsconfig.hey-api.json"),
        ("node", "build/hey-api.js"),
    ),
    Client(
        "orval",
        "clients",
        ("node", f"{BIN}/orval"),
        (*TSC, "tsconfig.orval.json"),
        ("node", "build/orval.js"),
    ),
    Client(
        "openapi-python-client",
        "clients",
        (
            *(*IN_PYTHON, "openapi-python-client", "generate", "--path", SCHEMA),
            *("--output-path", "generated/python", "--meta", "none", "--overwrite", "--fail-on-warning"),
        ),
        (*IN_PYTHON, "mypy", "--strict", "loop.py"),
        (*IN_PYTHON, "python", "loop.py"),
    ),
)


@dataclass
class Result:
    """A client's result: the seconds that each step took, what the client printed, and what failed."""

    seconds: list[float] = field(default_factory=list)
    said: str = ""
    failed: str = ""


@contextlib.contextmanager
def demo() -> Iterator[str]:
    """Run a demo in an empty folder; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        command = (sys.executable, "-m", "paidchat", "demo", "--no-open", "--port", str(port), "--data", data)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
            try:
                assert running.stdout is not None
                if not any("is ready" in line for line in running.stdout):
                    sys.exit("clients: the demo did not start")
                yield f"http://localhost:{port}"
            finally:
                running.terminate()


def try_client(client: Client, board: str) -> Result:
    """Generate a client, compile it, and run it through the flow."""
    result = Result()
    for step, command in (("generate", client.generate), ("compile", client.compile), ("run", (*client.run, board))):
        began = time.monotonic()
        done = subprocess.run(
            command,
            cwd=TOOLS / client.folder,
            env={**os.environ, "PYTHONPATH": "."},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        result.seconds.append(time.monotonic() - began)
        if done.returncode != 0:
            result.failed = f"{step} failed:\n{done.stdout}{done.stderr}"
            break
        result.said = done.stdout.strip()
    return result


def main(*names: str) -> None:
    """Try the named clients, or all; print a table, and exit with 1 if any failed."""
    clients = [client for client in CLIENTS if not names or client.name in names]
    with demo() as board:
        results = {client.name: try_client(client, board) for client in clients}
    print(f"{'client':<22} {'generate':>9} {'compile':>9} {'flow':>9}  result")
    for name, result in results.items():
        times = [f"{seconds:.1f} s" for seconds in result.seconds] + ["-"] * (3 - len(result.seconds))
        print(f"{name:<22} {times[0]:>9} {times[1]:>9} {times[2]:>9}  {'FAILED' if result.failed else result.said}")
    failures = {name: result.failed for name, result in results.items() if result.failed}
    for name, failure in failures.items():
        print(f"\n{name}: {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
