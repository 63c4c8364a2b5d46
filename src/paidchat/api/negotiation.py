"""Content negotiation: conditional requests and content codings."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal

_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')
_QUALITY: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_GZIP: Final = ("gzip", "x-gzip")  # two names for the same coding (RFC 9110, section 8.4.1.3)


def is_not_modified(lines: Sequence[str], *etags: str) -> bool:
    """Tell whether If-None-Match matches one of `etags`, by weak comparison (RFC 9110, section 13.1.2).

    The field may have several lines, each with several tags, or be `*`.
    """
    if not lines:
        return False
    if any(line.strip() == "*" for line in lines):
        return True
    ours = {match[1] for etag in etags if (match := _TAG.fullmatch(etag))}
    return any(theirs in ours for line in lines for theirs in _TAG.findall(line))


def prefers_gzip(lines: Sequence[str]) -> bool:
    """Tell whether Accept-Encoding asks for gzip rather than identity (RFC 9110, section 12.5.3).

    A client that accepts neither gets identity (section 12.4.1).
    """
    if not lines:
        return False  # it accepts any coding, but may not actually support gzip
    wanted = qualities(",".join(lines))
    gzip = _gzip(wanted)
    identity = wanted.get("identity", wanted.get("*") if wanted.get("*") == 0 else None)
    if gzip is None:  # not named: only for a client that refuses identity and not everything
        return identity == 0 and "*" not in wanted
    return gzip > 0 and gzip >= (identity or 0)


def preferred_coding(lines: Sequence[str]) -> Literal["br", "gzip", "identity"]:
    """Return the coding to send: Brotli (RFC 7932) only if it is named, and no other is wanted more."""
    wanted = qualities(",".join(lines))
    brotli = wanted.get("br", 0)
    if brotli > 0 and brotli >= max(_gzip(wanted) or 0, wanted.get("identity", 0)):
        return "br"
    return "gzip" if prefers_gzip(lines) else "identity"


def _gzip(wanted: Mapping[str, float]) -> float | None:
    return max((wanted[name] for name in _GZIP if name in wanted), default=wanted.get("*"))


def qualities(field: str) -> dict[str, float]:
    """Return the codings or languages in a field, in lower case, with their quality values; 0 means not acceptable.

    Malformed elements are ignored.
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
