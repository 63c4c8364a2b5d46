"""Glyphs: which characters a font has, as its own table says (OpenType specification, `cmap`, format 12)."""

import struct

_SEGMENTED_COVERAGE = 12
_HEADER, _TABLES, _TABLE = 12, 4, ">4s4xLL"
_SUBTABLE, _GROUP = ">4xL", ">LLL"


def characters_of(font: bytes) -> frozenset[int]:
    """Return the code points for which a TrueType font has a glyph.

    Raises:
        ValueError: it has no table of all of Unicode.
    """
    (tables,) = struct.unpack_from(">H", font, _TABLES)
    for name, offset, _ in (struct.unpack_from(_TABLE, font, _HEADER + 16 * index) for index in range(tables)):
        if name == b"cmap":
            return _characters_at(font, offset)
    raise ValueError("the font has no cmap")


def _characters_at(font: bytes, cmap: int) -> frozenset[int]:
    (subtables,) = struct.unpack_from(">H", font, cmap + 2)
    for index in range(subtables):
        start = cmap + struct.unpack_from(_SUBTABLE, font, cmap + 4 + 8 * index)[0]
        kind, groups = *struct.unpack_from(">H", font, start), *struct.unpack_from(">L", font, start + 12)
        if kind == _SEGMENTED_COVERAGE:
            found = (struct.unpack_from(_GROUP, font, start + 16 + 12 * group) for group in range(groups))
            return frozenset(code for first, last, glyph in found for code in range(first, last + 1) if glyph)
    raise ValueError("the font has no table of all of Unicode")
