"""The template engine: whatever is inserted is escaped."""

from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from paidchat.excerpt import excerpt
from paidchat.pages.formats import author_of, day, iso, price_of, spaceless, utc, weight_of, xml_text
from paidchat.pages.links import linked

TEMPLATES: Final = Path(__file__).parent / "templates"


@cache
def environment(*, watches: bool = False) -> Environment:
    """Return the engine for the templates of this package, which reads them again when they change if it `watches`.

    Compiling them takes 35 ms: once, however many boards a process has.
    """
    engine = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=watches,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    engine.filters |= {"author": author_of, "excerpt": excerpt, "price": price_of, "weight": weight_of}
    engine.filters |= {"linked": linked, "day": day, "iso": iso, "utc": utc, "spaceless": spaceless, "xml": xml_text}
    return engine
