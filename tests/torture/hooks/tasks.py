"""Task hooks: cancel a board's background tasks by name, in random order."""

import asyncio
import random
from typing import Any

from paidchat.background import Supervisor
from tests.torture.hooks.patches import replace

PREFIX = "paidchat:"
_killers: set[asyncio.Task[None]] = set()


def kill_tasks(times: int, every_s: float) -> None:
    """Make a board cancel one of its own tasks again and again, with a pause, a given number of times."""

    def entering(enter: Any) -> Any:
        async def enter_and_kill(supervisor: Supervisor) -> Any:
            _killers.add(asyncio.create_task(_kill(times, every_s)))
            return await enter(supervisor)

        return enter_and_kill

    replace(Supervisor, "__aenter__", entering)


async def _kill(times: int, every_s: float) -> None:
    for _ in range(times):
        await asyncio.sleep(random.uniform(0, 2 * every_s))
        alive = [task for task in asyncio.all_tasks() if task.get_name().startswith(PREFIX)]
        if alive:
            random.choice(alive).cancel()
