"""Comments: left out of scripts and styles as they are served. They were a third of what a first visit loads."""

import re
from typing import Final

# Those that have lines of their own: others are short, and finding them would take a parser. `./dev check` compares
# what is left with the files by their syntax trees (tools/comments.py).
_OWN_LINES: Final = re.compile(rb"^[ \t]*(?:/\*(?:[^*]|\*(?!/))*\*/|//[^\n]*)[ \t]*$", re.MULTILINE)
KINDS: Final = frozenset({".js", ".css"})


def without_comments(code: bytes) -> bytes:
    """Return code without its comments; every line keeps its number, by which errors are reported."""
    return _OWN_LINES.sub(lambda found: b"\n" * found[0].count(b"\n"), code)
