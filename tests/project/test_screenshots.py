"""`./dev screenshots`: the pictures that are committed are of states that exist."""

from tools.screenshots.__main__ import CHOSEN, COMMITTED, DEVICES, THEMES
from tools.screenshots.states import STATES


def test_the_chosen_pictures_can_be_taken() -> None:
    """Each committed picture is chosen from a state, a theme and a width that are taken, and no other is committed."""
    widths = {size["width"] for device in DEVICES for size in device.sizes}
    for name, (state, theme, width) in CHOSEN.items():
        assert (state in STATES, theme in THEMES, width in widths) == (True, True, True), name
    assert {file.stem for file in COMMITTED.iterdir()} == set(CHOSEN)


def test_states_are_described() -> None:
    """Each state says in a sentence what it shows."""
    assert [name for name, state in STATES.items() if not state.reach.__doc__] == []
