"""Companions: packages that a library imports if they are installed, without our needing them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def left_out(*names: str) -> Iterator[None]:
    """Let the block import a library as if these packages were not installed; whoever needs one can import it later.

    Packages that were imported before stay. None in `sys.modules` makes an import fail with ModuleNotFoundError
    (docs.python.org/3/reference/import.html#the-module-cache).
    """
    modules: dict[str, Any] = sys.modules
    absent = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del modules[name]
