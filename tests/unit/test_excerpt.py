"""Excerpts: one line, short enough, cut where a reader sees no cut through a character."""

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from paidchat.excerpt import excerpt

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
FLAG, ENGLAND = "🇩🇪", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
JAMO = "\u1100\u1161\u11a8"
STACKED = "e\u0323\u0302"  # NFC would compose it, and has other letters that stay apart

CASES = [
    pytest.param("Hello", 10, "Hello", id="short"),
    pytest.param("0123456789", 10, "0123456789", id="exactly as long"),
    pytest.param("0123456789a", 10, "012345678…", id="one too long"),
    pytest.param("one\ntwo\n\n three \u2028four", 200, "one two three four", id="lines"),
    pytest.param("a\u3000\u00a0\u2003b", 200, "a b", id="other white space"),
    pytest.param("one two three", 9, "one two…", id="no space before the ellipsis"),
    pytest.param(FAMILY * 3, 15, f"{FAMILY * 2}…", id="a family"),
    pytest.param(FAMILY * 3, 14, f"{FAMILY}…", id="a family, not half of one"),
    pytest.param(f"ab{FLAG}{FLAG}", 6, f"ab{FLAG}{FLAG}", id="flags that fit"),
    pytest.param(f"ab{FLAG}{FLAG}c", 6, f"ab{FLAG}…", id="a flag, not half of one"),
    pytest.param(f"a{ENGLAND}b", 8, "a…", id="a flag of tags"),
    pytest.param(f"ab{STACKED}c", 5, "ab…", id="accents"),
    pytest.param("नमस्ते दुनिया", 5, "नम…", id="a conjunct of Devanagari"),
    pytest.param(JAMO * 3, 5, f"{JAMO}…", id="a syllable in parts"),
    pytest.param(f"{FAMILY}\u200d👦", 8, "…", id="not even the first one fits"),
]


@pytest.mark.parametrize(("text", "most", "expected"), CASES)
def test_texts_are_cut_between_graphemes(text: str, most: int, expected: str) -> None:
    """A text becomes one line; one that is too long keeps as many whole graphemes as fit, and an ellipsis."""
    assert excerpt(text, most) == expected


PIECES = st.sampled_from([*"aé \n字", FAMILY, FLAG, ENGLAND, "🇩", "\u0301", "\u200d", "\ufe0f", "👍🏽", "क्ष", "\r\n"])


@given(st.lists(PIECES, max_size=80).map("".join).filter(str.strip), st.integers(1, 60))
def test_any_text_fits_in_one_line(text: str, most: int) -> None:
    """Whatever the text, its excerpt is one line, not empty and not too long, and begins as the text does."""
    line = " ".join(text.split())
    found = excerpt(text, most)
    assert found
    assert len(found) <= most
    assert not regex.search(r"\s\s|[^\S ]", found)
    if found != line:
        kept = found.removesuffix("…")
        assert line.startswith(kept)
        whole = regex.findall(r"\X", line)
        assert kept in {"".join(whole[:count]).rstrip() for count in range(len(whole) + 1)}
