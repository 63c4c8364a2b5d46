"""The site: what all pages are made of, which is the board's settings, the assets and the templates."""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from paidchat import wire
from paidchat.pages.assets import Assets, Tree, files_in
from paidchat.pages.formats import iso, price_of, utc

LANGUAGE: Final = "en"
_TEMPLATES: Final = Path(__file__).parent / "templates"

Versions = dict[str, tuple[int, int]]  # modification time and size of each file


class Site:
    """Renders templates. With `watches`, as in the demo, files are read again when they change; otherwise at the start.

    Attributes:
        board: the settings that the page needs to know.
        public_url: which every absolute address begins with, without a trailing slash.
    """

    def __init__(self, board: wire.BoardInfo, public_url: str, frontend: Path, *, watches: bool = False) -> None:
        self.board = board
        self.public_url = public_url
        self.assets = Assets(Tree(frontend))
        self._frontend = frontend
        self._watches = watches
        self._versions = _versions((frontend, _TEMPLATES))
        self._templates = _environment(watches=watches)

    def refresh(self) -> bool:
        """Return whether files had changed and were read again. 50 files take 0.4 ms to look at."""
        if not self._watches or (found := _versions((self._frontend, _TEMPLATES))) == self._versions:
            return False
        self._versions = found
        self.assets.tree = Tree(self._frontend)
        return True

    def render(self, template: str, **values: Any) -> str:
        """Return a document."""
        names = {"asset": self.assets.address, "board": self.board, "language": LANGUAGE, "site": self}
        return self._templates.get_template(template).render(names, **values)


@cache
def _environment(*, watches: bool) -> Environment:
    """Return what compiles the templates, which takes 35 ms: once, however many boards a process has."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=watches,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"iso": iso, "price": price_of, "utc": utc}
    return environment


def _versions(directories: Iterable[Path]) -> Versions:
    return {file.path: _version(file.stat()) for directory in directories for file in files_in(directory)}


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_size
