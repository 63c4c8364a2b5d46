"""The site: what all pages are made of, which is the board's settings, the assets and the templates."""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

from paidchat import wire
from paidchat.pages.assets import Assets, Tree, files_in
from paidchat.pages.formats import author_of, day, iso, price_of, spaceless, utc, weight_of

LANGUAGE: Final = "en"
_TEMPLATES: Final = Path(__file__).parent / "templates"

Versions = dict[str, tuple[int, int]]  # modification time and size of each file


class _Compiled(BytecodeCache):
    """Templates as this process has compiled them, which takes 35 ms: once, however many boards it has."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket, unless the template has changed since."""
        if kept := self._kept.get(bucket.key):
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what is in the bucket."""
        self._kept[bucket.key] = bucket.bytecode_to_string()


_COMPILED: Final = _Compiled()


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
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=watches,
            bytecode_cache=_COMPILED,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._templates.filters |= {"day": day, "iso": iso, "spaceless": spaceless, "utc": utc}
        self._templates.filters |= {"author": author_of, "price": price_of}
        self._templates.filters["weight"] = partial(weight_of, price=board.price)
        self._templates.globals["one_price"] = len(board.price.tiers) == 1  # then no message shows what it cost

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


def _versions(directories: Iterable[Path]) -> Versions:
    return {file.path: _version(file.stat()) for directory in directories for file in files_in(directory)}


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_size
