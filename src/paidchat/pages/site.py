"""The site: what all pages are made of, which is the board's settings, the assets and the templates."""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from paidchat import wire
from paidchat.pages.assets import Assets, Tree, files_in
from paidchat.pages.engine import TEMPLATES, environment
from paidchat.pages.languages import Language, words_in

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
        self._versions = _versions((frontend, TEMPLATES))
        self._templates = environment(watches=watches)

    def refresh(self) -> bool:
        """Return whether files had changed and were read again. 50 files take 0.4 ms to look at."""
        if not self._watches or (found := _versions((self._frontend, TEMPLATES))) == self._versions:
            return False
        self._versions = found
        self.assets.tree = Tree(self._frontend)
        return True

    def render(self, template: str, language: Language, **values: Any) -> str:
        """Return a document in a language."""
        names: dict[str, Any] = {"asset": self.assets.address, "board": self.board, "language": language, "site": self}
        names["say"] = partial(_say, language)
        names["one_price"] = len(self.board.price.tiers) == 1  # then no message shows what it cost
        return self._templates.get_template(template).render(names, **values)


def _say(language: Language, english: str, **values: object) -> Markup:
    """Return a sentence as HTML. Values that are HTML stay as they are, all others are escaped."""
    return escape(words_in(language).get(english, english)).format(**values)


def _versions(directories: Iterable[Path]) -> Versions:
    return {file.path: _version(file.stat()) for directory in directories for file in files_in(directory)}


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_size
