"""Waiting for what happens in the background: until it is so, never for a fixed time."""

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 20


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: It did not within twenty seconds; `what` says what was expected.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)
