"""The table of cases for the rules for texts; the server, its API and the page are all checked against it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# A string is written as itself or as a list of parts, each a string or a string and its number of repeats.
_FILE = Path(__file__).parent / "text_cases.json"


@dataclass(frozen=True)
class TextCase:
    """One input, and its result.

    Attributes:
        stored: The form that is stored; None for a blank name.
    """

    rule: str
    field: Literal["text", "author"]
    raw: str
    is_accepted: bool
    stored: str | None

    def __str__(self) -> str:
        """Return a name for the test."""
        return f"{self.field}, {self.rule}: {self.raw.encode('ascii', 'backslashreplace').decode()[:24]}"


def text_cases() -> list[TextCase]:
    """Read the table."""
    return [_case(**each) for each in json.loads(_FILE.read_text())]


def _case(rule: str, field: Literal["text", "author"], raw: Any, stored: Any) -> TextCase:
    sent = _spelled_out(raw)
    kept = sent if stored is True else _spelled_out(stored or "") or None
    return TextCase(rule, field, sent, stored is not False, kept)


def _spelled_out(parts: Any) -> str:
    if isinstance(parts, str):
        return parts
    return "".join(part if isinstance(part, str) else part[0] * part[1] for part in parts)
