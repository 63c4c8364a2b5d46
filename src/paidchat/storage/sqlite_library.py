"""SQLite's library: the one copy that opens the board's file, and whether its version has a bug that can corrupt it.

A process must not open a file with two copies: POSIX locks belong to the process, so when one copy closes the file, the
other's locks are gone (sqlite.org/howtocorrupt.html, 2.2.1). Whatever opens the board's file takes `sqlite3` from here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
else:
    try:
        from pysqlite3 import dbapi2 as sqlite3  # its wheels contain a newer SQLite than most systems have
    except ImportError:  # there is no wheel for this platform
        import sqlite3

__all__ = ["REMEDY", "VERSION", "has_wal_reset_bug", "sqlite3", "words"]

VERSION: Final[tuple[int, ...]] = tuple(sqlite3.sqlite_version_info)
REMEDY: Final = (
    "Install pysqlite3, or a Python with SQLite 3.51.3 or later. Until then, let nothing but paidchat's own commands "
    "write to the file or checkpoint it while the board runs."
)
_FIXED: Final = (3, 51, 3)
_FIXED_PATCHES: Final = {(3, 44): 6, (3, 50): 7}  # by branch


def has_wal_reset_bug(version: Sequence[int] = VERSION) -> bool:
    """Tell whether this version can corrupt a file that one process checkpoints while another writes.

    Fixed in 3.51.3, 3.50.7 and 3.44.6 (sqlite.org/wal.html#walresetbug).
    """
    major, minor, patch = version[:3]
    if (major, minor) in _FIXED_PATCHES:
        return patch < _FIXED_PATCHES[major, minor]
    return (major, minor, patch) < _FIXED


def words() -> str:
    """Return the version, and what is wrong with it, if anything."""
    version = ".".join(map(str, VERSION))
    if not has_wal_reset_bug():
        return version
    return f"{version} can corrupt the file if one program checkpoints it while another writes"
