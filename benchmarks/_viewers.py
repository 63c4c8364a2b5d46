"""Viewers of a feed, in a process of their own that checks that each gets every entry in order."""

import contextlib
import subprocess
from typing import Self

from benchmarks._processes import HERE, compiled

TIMEOUT_S = 60
SETTLED_S = 0.5  # a viewer that connects too soon after a message also gets that one, after its first frame


class Viewers:
    """So many viewers, connected inside `with`."""

    def __init__(self, port: int, count: int, path: str = "/api/feed") -> None:
        self._total = 0
        self._process = subprocess.Popen(
            [compiled(HERE / "viewers.c"), str(port), str(count), path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> Self:
        line = self._read_line()
        assert line == "connected", line
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def await_entries(self, count: int) -> float:
        """Wait until each viewer has got so many more; returns when the last did, on the monotonic clock.

        Raises:
            AssertionError: an entry is missing, out of order or there twice.
        """
        self._total += count
        self._order(self._total)
        return self._read_time()

    def let_end(self) -> None:
        """Expect that each viewer is closed or cut off."""
        self._order(-1)

    def await_end(self) -> float:
        """Wait until each has been, after `let_end`; returns when the last was, on the monotonic clock.

        Raises:
            AssertionError: one was not.
        """
        return self._read_time()

    def _order(self, total: int) -> None:
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # then its last line says what was wrong
            self._process.stdin.write(f"{total} {TIMEOUT_S}\n")

    def _read_time(self) -> float:
        line = self._read_line()
        assert line.isdecimal(), line
        return int(line) / 1e9

    def _read_line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()
