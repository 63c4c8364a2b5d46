"""Full disks: a real file system of a few megabytes, or the closest to it that this machine allows."""

import os
import resource
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIZE = 24 * 1024 * 1024  # bytes; enough for a board's files, with a WAL that SQLite has not truncated yet
BALLAST = "ballast"
BLOCK = bytes(64 * 1024)
FULL = "full"


class Disk(ABC):
    """A place for a board's database that can be filled up.

    Attributes:
        what: describes how it fills up.
        folder: where to put the database.
        hooks: that the board must be started with.
    """

    what: str
    hooks: dict[str, Any]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hooks = {}

    @abstractmethod
    def fill(self, pid: int) -> None:
        """Leave no space for the process, or for any process."""

    @abstractmethod
    def clear(self, pid: int) -> None:
        """Free the space again."""


class SmallFileSystem(Disk):
    """A tmpfs filled to the last block: ENOSPC, as on any full disk."""

    what = "a full file system (ENOSPC)"

    def fill(self, pid: int) -> None:
        """Write until nothing more can be written."""
        del pid
        with (self.folder / BALLAST).open("wb", buffering=0) as ballast:
            for size in (len(BLOCK), 4096, 1):
                try:
                    while True:
                        ballast.write(BLOCK[:size])
                except OSError:
                    continue

    def clear(self, pid: int) -> None:
        """Delete what filled it."""
        del pid
        (self.folder / BALLAST).unlink()


class LimitedPages(Disk):
    """A database that SQLite refuses to grow, for machines where we may not mount anything."""

    what = "SQLite refuses to grow (PRAGMA max_page_count)"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._flag = folder / FULL
        self.hooks = {"full_when": str(self._flag)}

    def fill(self, pid: int) -> None:
        """Make SQLite refuse every new page."""
        del pid
        self._flag.touch()

    def clear(self, pid: int) -> None:
        """Let it grow again."""
        del pid
        self._flag.unlink()


class LimitedFiles(Disk):
    """A process whose writes fail because of a limit on the size of its files (EFBIG; SQLite: disk I/O error)."""

    what = "every write fails (RLIMIT_FSIZE)"

    def fill(self, pid: int) -> None:
        """Set the limit so low that hardly any file of the process can be written to."""
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

    def clear(self, pid: int) -> None:
        """Remove the limit."""
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def filling_disk(folder: Path) -> Iterator[Disk]:
    """Make a disk that can be filled: a mounted one if we may mount, else one that SQLite limits."""
    folder.mkdir()
    options = f"size={SIZE},mode=0700"
    mounted = os.geteuid() == 0 and _succeeds("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        yield SmallFileSystem(folder) if mounted else LimitedPages(folder)
    finally:
        if mounted:
            # Lazily, because a process that died of the fault may not be gone yet.
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
