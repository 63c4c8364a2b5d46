"""The launcher, a script: imports and warms paidchat once, and forks a process of its command line at each start.

A start then takes a tenth of a second instead of the seconds that the imports take, so a thousand kills fit into
a quarter of an hour. The child runs the real command line with its arguments.

It reads one JSON object per line, and writes its answers the same way:

    {"start": ID, "arguments": […], "environment": {…}, "folder": "…", "log": "…", "errors": "…", "hooks": {…}}
                                                                          → {"started": ID, "pid": PID}
    {"signal": PID, "number": 9}                                          (nothing if it has ended)
                                              when a child has ended      → {"ended": PID, "status": STATUS}

STATUS is as in `subprocess`: negative for a signal. At the end of its input it kills its children.
Without "errors", standard error goes to the log as well.
"""

import ctypes
import gc
import json
import os
import selectors
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).parents[3]))

from paidchat.cli import main as cli
from tests.torture.harness.warmth import warm_up
from tests.torture.hooks import install as hooks

ANSWERS = os.dup(1)  # a copy, because anything may print to standard output
PR_SET_PDEATHSIG = 1
MOST_FILES = 64  # open in this process


class Launcher:
    """Forks children and reports when they end."""

    def __init__(self) -> None:
        self._alive: set[int] = set()
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Obey orders until the input ends."""
        woken, waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waking)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        os.set_blocking(0, False)
        self._selector.register(0, selectors.EVENT_READ)
        self._selector.register(woken, selectors.EVENT_READ)
        unread = b""
        while True:
            for key, _ in self._selector.select():
                if key.fd == woken:
                    os.read(woken, 4096)
                    self._reap()
                    continue
                read = os.read(0, 65536)
                if not read:
                    self._end()
                    return
                *lines, unread = (unread + read).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))

    def _obey(self, order: dict[str, Any]) -> None:
        if "signal" in order:
            if order["signal"] in self._alive:  # not reaped yet, so the pid is still its own
                os.kill(order["signal"], order["number"])
            return
        pid = os.fork()
        if pid == 0:
            _be_child(order)
        self._alive.add(pid)
        _tell(started=order["start"], pid=pid)

    def _reap(self) -> None:
        while self._alive:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._alive.discard(pid)
            _tell(ended=pid, status=os.waitstatus_to_exitcode(status))

    def _end(self) -> None:
        for pid in self._alive:
            os.kill(pid, signal.SIGKILL)
        for pid in self._alive:
            os.waitpid(pid, 0)


def _tell(**what: Any) -> None:
    os.write(ANSWERS, json.dumps(what).encode() + b"\n")


def _be_child(order: dict[str, Any]) -> NoReturn:
    """Become the requested process; never returns to the launcher."""
    status = 70
    try:
        _die_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _redirect(order["log"], order.get("errors", order["log"]))
        os.chdir(order["folder"])  # so that the .env of this checkout is not read
        os.environ.clear()
        os.environ.update(order["environment"])
        hooks.install(order["hooks"])
        sys.argv = ["paidchat", *order["arguments"]]
        cli.main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - the outermost frame of this process, so the error goes to the log
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter does at its end, which a fork skips
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _die_with_parent() -> None:
    """Ask the kernel to SIGKILL this process when the launcher ends, even if it is killed (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _redirect(log: str, errors: str) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for written, file in ((1, log), (2, errors)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), written)
    os.closerange(3, MOST_FILES)


def main() -> None:
    """Warm up, report that, and obey orders."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warm_up()
    gc.freeze()  # children share these objects, and their garbage collectors can skip them
    _tell(ready=True)
    Launcher().run()


if __name__ == "__main__":
    main()
