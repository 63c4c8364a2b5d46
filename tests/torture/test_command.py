"""The kit's command: what it can't do is said before anything runs."""

import pytest

from tests.torture import command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kills", "--database", "sqlite"], "'sqlite' is not postgresql://…; leave it out to use SQLite"),
        (["kills", "--database", "mysql://host/board"], "leave it out to use SQLite"),
        (["kills", "kill"], "there is no run kill: kills, "),
        (["kills", "--short", "--report"], "leave out --short"),
    ],
)
def test_what_it_cannot_do_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong argument ends the command with the remedy and without a run."""
    with pytest.raises(SystemExit) as refused:
        command.main(arguments)
    assert refused.value.code == 2
    output = capsys.readouterr()
    assert said in output.err
    assert not output.out
