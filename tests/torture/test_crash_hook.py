"""The crash hook: its points are what the board does in a work that it knows, and it tells what it doesn't know."""

from pathlib import Path

from tests.torture.hooks.crash import ARMED, PASSED, UNKNOWN, Points


def test_what_belongs_to_no_known_work_is_told(tmp_path: Path) -> None:
    """What changes something outside of any work, such as a write in another thread's context, is listed once armed."""
    points = Points(tmp_path)
    points.pass_by("before", "INSERT board")  # at the start, before a story begins
    (tmp_path / ARMED).write_text("")
    for step in ("SELECT message", "INSERT message", "COMMIT", "GET /v1/disputes"):
        points.pass_by("before", step)
    unknown = (tmp_path / UNKNOWN).read_text().splitlines()
    assert unknown == ["before INSERT message", "before COMMIT", "before GET /v1/disputes"]
    assert (tmp_path / PASSED).read_text() == ""
