"""Patches: how a hook replaces code of the board in its process."""

from collections.abc import Callable
from typing import Any


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace an attribute of a module or class by `make(original)`.

    Raises:
        AttributeError: there is no such attribute, so the hook is out of date.
    """
    setattr(owner, name, make(getattr(owner, name)))
