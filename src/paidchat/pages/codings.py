"""Content codings: bodies in gzip (RFC 1952) and Brotli (RFC 7932), each made when it is first wanted."""

import gzip
from functools import lru_cache
from typing import Final, Literal

import brotli

Coding = Literal["br", "gzip", "identity"]

QUICK: Final = 5  # Brotli's quality for what changes: 50 messages, 51 KB, become 3.6 KB in 0.7 ms; in gzip 4.5
BEST: Final = 11  # for what stays: 10 % smaller than the quick one, but 260 ms for all scripts together


def compress(body: bytes, coding: Coding, quality: int) -> bytes:
    """Return a body in a coding."""
    if coding == "br":
        compressed: bytes = brotli.compress(body, mode=brotli.MODE_TEXT, quality=quality)
        return compressed
    return gzip.compress(body, mtime=0) if coding == "gzip" else body


@lru_cache(maxsize=256)
def compress_once(body: bytes, coding: Coding) -> bytes:
    """Return a body that stays in a coding, as small as possible. It blocks: run it in a thread."""
    return compress(body, coding, BEST)
