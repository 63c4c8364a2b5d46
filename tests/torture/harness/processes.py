"""Processes of a run: boards and sandboxes, forked by the launcher, signalled and waited for."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

IMPORT_TIMEOUT_S = 120
END_TIMEOUT_S = 30
SCRIPT = Path(__file__).parent / "launcher.py"


class Process:
    """A `paidchat …` process, running or ended."""

    def __init__(self, launcher: "Launcher", pid: int, log: Path) -> None:
        self._launcher = launcher
        self.pid = pid
        self.log = log
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def alive(self) -> bool:
        """Whether it is running, as far as is known."""
        return not self.ended.done()

    async def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; return the exit status, negative for a signal."""
        self._launcher.send(signal=self.pid, number=int(number))
        return await self.wait(END_TIMEOUT_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; does nothing if the process has ended."""
        self._launcher.send(signal=self.pid, number=int(number))

    async def wait(self, timeout_s: float) -> int:
        """Wait for the end and return the exit status.

        Raises:
            TimeoutError: it is still running.
        """
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self.ended)


class Launcher:
    """Starts processes through a running `launcher.py`."""

    def __init__(self, script: asyncio.subprocess.Process) -> None:
        assert script.stdin is not None
        assert script.stdout is not None
        self._script = script
        self._to, self._from = script.stdin, script.stdout
        self._starting: dict[int, tuple[asyncio.Future[Process], Path]] = {}
        self._running: dict[int, Process] = {}
        self._starts = 0

    async def start(
        self,
        arguments: list[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        hooks: Mapping[str, Any] | None = None,
    ) -> Process:
        """Start `paidchat ARGUMENTS…` in a folder, with only this environment; output goes to the log."""
        self._starts += 1
        started: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._starting[self._starts] = (started, log)
        self.send(
            start=self._starts,
            arguments=arguments,
            environment=dict(environment),
            folder=str(folder),
            log=str(log),
            hooks=dict(hooks or {}),
        )
        return await started

    def send(self, **order: Any) -> None:
        """Send the script an order."""
        self._to.write(json.dumps(order).encode() + b"\n")

    async def listen(self) -> None:
        """Read the script's answers until it ends."""
        async for line in self._from:
            told = json.loads(line)
            if "started" in told:
                started, log = self._starting.pop(told["started"])
                process = self._running[told["pid"]] = Process(self, told["pid"], log)
                if not started.done():
                    started.set_result(process)
            elif "ended" in told:
                self._running.pop(told["ended"]).ended.set_result(told["status"])


@asynccontextmanager
async def launching(given: Launcher | None = None) -> AsyncIterator[Launcher]:
    """Run a launcher, unless one is given; at the end, kill the processes it started that still run."""
    if given is not None:
        yield given
        return
    script = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    launcher = Launcher(script)
    assert script.stdout is not None
    assert script.stdin is not None
    try:
        async with asyncio.timeout(IMPORT_TIMEOUT_S):
            ready = await script.stdout.readline()
        assert b"ready" in ready, f"the launcher said {ready!r}"
    except BaseException:
        script.kill()
        await script.wait()
        raise
    listening = asyncio.create_task(launcher.listen())
    try:
        yield launcher
    finally:
        script.stdin.close()
        await script.wait()
        await listening
