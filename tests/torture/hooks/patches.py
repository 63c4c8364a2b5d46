"""Patches: how a hook changes the board's code, in the process where it runs and nowhere else."""

from collections.abc import Callable
from typing import Any


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(original)` in the place of an attribute of a module or a class.

    Raises:
        AttributeError: there is none of this name, so the hook is out of date.
    """
    setattr(owner, name, make(getattr(owner, name)))
