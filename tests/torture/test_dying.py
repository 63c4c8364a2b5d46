"""The simulated crash reaches whatever a board does to its database, in a thread too, and what it left is found."""

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from paidchat.storage import queries
from paidchat.storage.database import Database
from tests.support.rows import migrated
from tests.torture.checks.scrutiny import scrutinise_at_rest
from tests.torture.harness.dying import Died, dying
from tests.torture.harness.miniature import miniature
from tests.torture.harness.stage import Stage

Deed = Callable[[Database], Awaitable[None]]


async def write(database: Database) -> None:
    """Take a number in a transaction: BEGIN, UPDATE, and two sides of a COMMIT."""
    await database.write(queries.take_question)


async def read(database: Database) -> None:
    """Read the board: BEGIN and SELECT."""
    await database.read(queries.read_board)


@pytest.mark.parametrize(("deed", "steps"), [(write, 4), (read, 2)])
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
async def test_a_board_dies_at_each_step(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str, deed: Deed, steps: int
) -> None:
    """A board dies at each statement and side of a commit, in its threads too, and can do nothing after that."""
    url = f"sqlite:///{tmp_path / 'paidchat.db'}"
    if backend == "postgresql":
        url = request.getfixturevalue("postgres").create_database()
        steps -= 1  # the driver begins transactions by itself
    async with migrated(url) as database:
        for number in range(steps):
            with dying(database, number) as death:
                for _ in range(2):
                    with pytest.raises(Died):
                        await deed(database)
            assert death.dead
        with dying(database, steps + 1) as death:  # PostgreSQL is also told that there is news
            await deed(database)
        assert not death.dead


@pytest.mark.parametrize("steps", range(17, 21))
async def test_what_a_sweep_decided_before_it_died_the_next_one_does(steps: int) -> None:
    """A surplus payment goes back, whenever the sweep that found it dies, though its event does not start it again."""
    async with miniature() as made, made.fresh():
        stage = Stage(made, Counter())
        await stage.pay_for("Paid twice")
        await stage.pay(0)
        while stage.undelivered:
            await stage.deliver(0, 1)
        await stage.open_second_session(stage.accounts[0])
        await stage.pay_everything(stage.accounts[0])
        await stage.crash("sweep", 0, steps)
        assert stage.died
        await scrutinise_at_rest(stage, by_mail=True)
