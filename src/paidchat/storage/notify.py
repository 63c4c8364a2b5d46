"""Wake-ups: a hint that something was committed. Whoever is woken reads; nothing is ever carried in the hint."""

import asyncio


class Wakeups:
    """Wakes one waiter, in this process. Hints that arrive while it works are folded into one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Say that there may be something to read."""
        self._event.set()

    async def wait(self, timeout_s: float) -> None:
        """Return at the next hint, at the one that came since the last call, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return
        finally:
            self._event.clear()
