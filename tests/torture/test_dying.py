"""The simulated crash reaches whatever a board does to its database, in a thread too."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from paidchat.storage import queries
from paidchat.storage.database import Database
from tests.support.rows import migrated
from tests.torture.harness.dying import Died, dying

Deed = Callable[[Database], Awaitable[None]]


async def write(database: Database) -> None:
    """Take a number in a transaction: BEGIN, UPDATE, and two sides of a COMMIT."""
    await database.write(queries.take_question)


async def read(database: Database) -> None:
    """Read the board: BEGIN and SELECT."""
    await database.read(queries.read_board)


@pytest.mark.parametrize(("deed", "steps"), [(write, 4), (read, 2)])
async def test_a_board_dies_at_each_step(tmp_path: Path, deed: Deed, steps: int) -> None:
    """A board dies at each statement and side of a commit, in its threads too, and can do nothing after that."""
    async with migrated(f"sqlite:///{tmp_path / 'paidchat.db'}") as database:
        for number in range(steps):
            with dying(database, number) as death:
                for _ in range(2):
                    with pytest.raises(Died):
                        await deed(database)
            assert death.dead
        with dying(database, steps) as death:
            await deed(database)
        assert not death.dead
