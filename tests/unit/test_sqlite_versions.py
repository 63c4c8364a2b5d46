"""Which versions of SQLite have the bug that can corrupt a database in WAL mode."""

import pytest

from paidchat.storage.sqlite_library import has_wal_reset_bug


@pytest.mark.parametrize(
    ("version", "has_bug"),
    [
        ("3.40.1", True),
        ("3.44.5", True),
        ("3.44.6", False),
        ("3.44.7", False),
        ("3.45.0", True),
        ("3.49.2", True),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.51.0", True),
        ("3.51.1", True),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.52.0", False),
        ("3.53.4", False),
        ("4.0.0", False),
    ],
)
def test_the_versions_with_the_bug_are_known(version: str, *, has_bug: bool) -> None:
    """The bug is in every version up to 3.51.2, except from 3.44.6 and 3.50.7 on in their branches."""
    assert has_wal_reset_bug([int(part) for part in version.split(".")]) is has_bug
