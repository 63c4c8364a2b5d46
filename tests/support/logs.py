"""The log of boards in this process, captured while they run in threads of their own."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog


@contextmanager
def captured_logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """Collect what is logged until the block ends.

    structlog's own `capture_logs` empties the list of processors for a moment, and a thread that logs just then fails.
    """
    before = structlog.get_config()["processors"]
    capture = structlog.testing.LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    try:
        yield capture.entries
    finally:
        structlog.configure(processors=before)
