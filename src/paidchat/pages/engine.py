"""The template engine: whatever is inserted is escaped."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES: Final = Path(__file__).parent / "templates"


def environment(*, watches: bool = False) -> Environment:
    """Return an engine for the templates of this package, which reads them again when they change if it `watches`."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=watches,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
