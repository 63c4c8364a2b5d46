"""Processes of paidchat's command line, forked from one that has already imported everything.

A start costs a tenth of the CPU time of a new interpreter's. What runs in the child is the real command line, from its
arguments on (see `tests/torture/harness/launcher.py`).
"""

import atexit
import contextlib
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[1] / "torture" / "harness" / "launcher.py"
START_TIMEOUT_S = 60
CLOCK_AHEAD_S = "CLOCK_AHEAD_S"  # in a process's environment: by how much its clock is ahead


class Forked:
    """A running `paidchat …`, with the interface of `subprocess.Popen`."""

    def __init__(self, launcher: "Launcher", pid: int) -> None:
        self._launcher = launcher
        self.pid = pid
        self.ended: Future[int] = Future()

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal; None while it is running."""
        return self.ended.result() if self.ended.done() else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        try:
            return self.ended.result(timeout)
        except NotYet:
            raise subprocess.TimeoutExpired("paidchat", timeout or 0) from None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; does nothing if the process has ended."""
        self._launcher.send(signal=self.pid, number=int(number))


class Launcher:
    """Starts processes through the launcher script, which runs until this process ends."""

    def __init__(self) -> None:
        self._script = subprocess.Popen([sys.executable, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._script.stdout is not None
        assert b"ready" in self._script.stdout.readline()
        self._numbers = itertools.count()
        self._starting: dict[int, Future[Forked]] = {}
        self._running: dict[int, Forked] = {}
        threading.Thread(target=self._listen, daemon=True).start()
        atexit.register(self._end)

    def start(self, arguments: tuple[str, ...], environment: Mapping[str, str], output: Path, errors: Path) -> Forked:
        """Start `paidchat ARGUMENTS…` with only this environment, and append its output to these files."""
        number = next(self._numbers)
        started = self._starting[number] = Future()
        self.send(
            start=number,
            arguments=arguments,
            environment=dict(environment),
            folder=str(Path.cwd()),
            log=str(output),
            errors=str(errors),
            hooks={"clock_ahead_s": float(environment[CLOCK_AHEAD_S])} if CLOCK_AHEAD_S in environment else {},
        )
        return started.result(START_TIMEOUT_S)

    def send(self, **order: Any) -> None:
        """Send the script an order. A write this short is atomic, so any thread may do it."""
        assert self._script.stdin is not None
        os.write(self._script.stdin.fileno(), json.dumps(order).encode() + b"\n")

    def _listen(self) -> None:
        assert self._script.stdout is not None
        for line in self._script.stdout:
            told = json.loads(line)
            if "started" in told:
                process = self._running[told["pid"]] = Forked(self, told["pid"])
                self._starting.pop(told["started"]).set_result(process)
            else:
                self._running.pop(told["ended"]).ended.set_result(told["status"])

    def _end(self) -> None:
        assert self._script.stdin is not None
        with contextlib.suppress(OSError):
            self._script.stdin.close()
        self._script.wait()


@functools.cache
def launcher() -> Launcher:
    """Return this process's launcher; start it on the first call."""
    return Launcher()
