"""Length extension: continues SHA-256 from a known digest (FIPS 180-4), an attack that HMAC prevents."""

import struct
from typing import Final

BLOCK: Final = 64  # bytes
WORD: Final = 0xFFFFFFFF


def extend(digest: str, length: int, more: bytes) -> tuple[str, bytes]:
    """Return the digest of an unknown message, given by its digest and length, followed by padding and `more`.

    Also return the padding, which the longer message has between the two.
    """
    padding = _padding(length)
    state = struct.unpack(">8I", bytes.fromhex(digest))
    rest = more + _padding(length + len(padding) + len(more))
    for start in range(0, len(rest), BLOCK):
        state = _compress(state, rest[start : start + BLOCK])
    return struct.pack(">8I", *state).hex(), padding


def _padding(length: int) -> bytes:
    """Return the padding that SHA-256 appends to a message of this many bytes (section 5.1.1)."""
    return b"\x80" + bytes((55 - length) % BLOCK) + struct.pack(">Q", length * 8)


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _cube_root_bits(number: int) -> int:
    """Return the first 32 bits of the fractional part of a cube root, using integers only."""
    shifted = number << 96
    low, high = 0, 1 << 40
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= shifted else (low, middle - 1)
    return low & WORD


_CONSTANTS: Final = [_cube_root_bits(prime) for prime in _primes(BLOCK)]  # section 4.2.2


def _rotate(word: int, by: int) -> int:
    return (word >> by | word << (32 - by)) & WORD


def _compress(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    """Return the state after one block (section 6.2.2)."""
    words = list(struct.unpack(">16I", block))
    for index in range(16, BLOCK):
        w15, w2 = words[index - 15], words[index - 2]
        s0 = _rotate(w15, 7) ^ _rotate(w15, 18) ^ w15 >> 3
        s1 = _rotate(w2, 17) ^ _rotate(w2, 19) ^ w2 >> 10
        words.append((words[index - 16] + s0 + words[index - 7] + s1) & WORD)
    a, b, c, d, e, f, g, h = state
    for constant, word in zip(_CONSTANTS, words, strict=True):
        s1 = _rotate(e, 6) ^ _rotate(e, 11) ^ _rotate(e, 25)
        t1 = h + s1 + (e & f ^ ~e & g) + constant + word
        s0 = _rotate(a, 2) ^ _rotate(a, 13) ^ _rotate(a, 22)
        t2 = s0 + (a & b ^ a & c ^ b & c)
        h, g, f, e, d, c, b, a = g, f, e, (d + t1) & WORD, c, b, a, (t1 + t2) & WORD
    return tuple((old + new) & WORD for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True))
