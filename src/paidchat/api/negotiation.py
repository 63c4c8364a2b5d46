"""Conditional requests and content codings: what a request's head asks of the form of its answer."""

import re
from typing import Final

from starlette.datastructures import Headers

_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')
_QUALITY: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_GZIP: Final = ("gzip", "x-gzip")  # two names for one coding (RFC 9110, section 8.4.1.3)


def is_not_modified(headers: Headers, etag: str) -> bool:
    """Tell whether the client has what `etag` names: RFC 9110, section 13.1.2, compared weakly.

    The field may come in several lines, each with several tags, or be `*` for whatever there is.
    """
    lines = headers.getlist("if-none-match")
    if any(line.strip() == "*" for line in lines):
        return True
    ours = _TAG.fullmatch(etag)
    return ours is not None and any(ours[1] == theirs for line in lines for theirs in _TAG.findall(line))


def prefers_gzip(headers: Headers) -> bool:
    """Tell whether to send gzip where there is a choice: RFC 9110, section 12.5.3.

    Where the client accepts neither gzip nor the content as it is, it gets the latter (section 12.4.1).
    """
    lines = headers.getlist("accept-encoding")
    if not lines:
        return False  # it would take any coding, but may be too simple to know one
    wanted = _qualities(",".join(lines))
    gzip = max((wanted[name] for name in _GZIP if name in wanted), default=wanted.get("*"))
    identity = wanted.get("identity", wanted.get("*") if wanted.get("*") == 0 else None)
    if gzip is None:  # not named: to be sent only to those who refuse the content as it is, and not everything
        return identity == 0 and "*" not in wanted
    return gzip > 0 and gzip >= (identity or 0)


def _qualities(field: str) -> dict[str, float]:
    """Return the codings that a field names, in lower case, and how much each is wanted; 0 is a refusal.

    An element that cannot be read counts for nothing.
    """
    found = {}
    for element in field.split(","):
        name, *parameters = (part.strip().lower() for part in element.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                quality = float(value) if _QUALITY.fullmatch(value := value.strip()) else -1.0
        if name and quality >= 0:
            found[name] = quality
    return found
