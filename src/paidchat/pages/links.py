"""Links in messages: the addresses in a text, as documents show them, which is as the page's script does."""

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address
from typing import Final

import regex
from markupsafe import Markup, escape

_ADDRESS: Final = regex.compile(r"""https?://[^\s\p{Default_Ignorable_Code_Point}<>"\\^`{|}]+""", regex.IGNORECASE)
_PUNCTUATION: Final = ".,:;!?'\")]*_~’”»…。、，！？）」"  # noqa: RUF001 - as people write it
_HOST: Final = regex.compile(r"https?://([a-z0-9.-]+)(?::([0-9]{1,5}))?(?=[/?#]|$)", regex.IGNORECASE | regex.ASCII)
_LABEL: Final = regex.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", regex.IGNORECASE | regex.ASCII)
_NUMBER: Final = regex.compile(r"[0-9]+|0x[0-9a-f]*", regex.IGNORECASE | regex.ASCII)
_IN_A_WORD: Final = regex.compile(r"[\p{L}\p{N}_]")
_LARGEST_PORT: Final = 65_535
_LINK: Final = Markup('<a href="{0}" rel="nofollow ugc noopener" target="_blank" dir="ltr" tabindex="-1">{0}</a>')


def linked(text: str) -> Markup:
    """Return a text as HTML, in which web addresses of a named host, without user-info, are links.

    The text stays as it is letter for letter. tests/support/links.json has the cases, for this and for the script.
    """
    html, end = Markup(), 0
    for start, address in _addresses(text):
        html += escape(text[end:start]) + _LINK.format(address)
        end = start + len(address)
    return html + escape(text[end:])


def _addresses(text: str) -> Iterator[tuple[int, str]]:
    for match in _ADDRESS.finditer(text):
        start = match.start()
        address = _without_punctuation(match[0])
        if not (start and _IN_A_WORD.match(text, start - 1)) and _is_linkable(address):
            yield start, address


def _without_punctuation(address: str) -> str:
    """Return an address without the punctuation of the sentence around it.

    A closing bracket stays if it was opened in the address.
    """
    end = len(address)
    opened, closed = address.count("("), address.count(")")
    while end and address[end - 1] in _PUNCTUATION:
        if address[end - 1] == ")":
            if opened >= closed:
                break
            closed -= 1
        end -= 1
    return address[:end]


def _is_linkable(address: str) -> bool:
    """Whether browsers can read the address (url.spec.whatwg.org). Punycode is left to them, and so to the script."""
    match = _HOST.match(address)
    if match is None or int(match[2] or 0) > _LARGEST_PORT:
        return False
    labels = match[1].split(".")
    if len(labels) == 1 or any(not _LABEL.fullmatch(label) or label.lower().startswith("xn--") for label in labels):
        return False
    return not _NUMBER.fullmatch(labels[-1]) or _is_ipv4(match[1])


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True
