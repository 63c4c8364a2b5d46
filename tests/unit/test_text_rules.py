"""The rules for texts and authors: what is accepted unchanged, what is normalised, what is refused."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paidchat.domain import InvalidText
from paidchat.text import clean_author, clean_text

ACUTE = "\N{COMBINING ACUTE ACCENT}"
FIVE_MARKS = "\u0316\u0317\u0318\u0319\u0315"
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        ("a", "a"),
        ("a\r\nb", "a\nb"),
        ("  a  ", "a"),
        ("\r\n\r\na\n\n", "a"),
        ("\u00a0\u2003\u3000a\u2009\u202f", "a"),
        ("a  b", "a  b"),
        ("a\n\n\nb", "a\n\n\nb"),
        (f"e{ACUTE}", "\u00e9"),
        ("\u212b", "\u00c5"),
    ],
)
def test_text_is_normalised(raw: str, stored: str) -> None:
    """CRLF becomes LF, surrounding white space is removed, and the rest becomes NFC."""
    assert clean_text(raw) == stored


@pytest.mark.parametrize(
    "text",
    [
        "a" * 500,
        "\U0001f600" * 500,
        "\n".join("a" * 20),
        f"q{FIVE_MARKS}",
        FAMILY,
        SCOTLAND,
        "1\ufe0f\u20e3",
        "\u2764\ufe0f",
        "\U0001fae8",  # an emoji of Unicode 15, younger than Python 3.11
        "\U0001fae9",  # and one of Unicode 16
        "\u05e9\u05dc\u05d5\u05dd \u200f(1)",
        "\u0645\u0631\u062d\u0628\u0627",
        "\u0928\u092e\u0938\u094d\u0924\u0947",
        "\u0e01\u0e33\u0e25\u0e31\u0e07",
        "\ud55c\uad6d\uc5b4",
        "\u0f04\u0f05 \u0f56\u0f7c\u0f51",
        "<script>alert(1)</script> &amp; javascript:alert(1)",
        "'; DROP TABLE message; --",
        "\ufffd",
        "?",
    ],
    ids=lambda text: text.encode("ascii", "namereplace").decode()[:40],
)
def test_text_of_every_script_is_taken_as_it_is(text: str) -> None:
    """A valid text is stored unchanged, letter for letter."""
    assert clean_text(text) == text


def test_length_is_counted_after_normalising() -> None:
    """A thousand code points that become five hundred in NFC count as five hundred."""
    assert len(clean_text(f"e{ACUTE}" * 500)) == 500


def test_white_space_around_the_text_is_not_counted() -> None:
    """Trimmed characters count neither as characters nor as lines."""
    assert clean_text("\n" * 30 + "a" * 500 + " " * 30) == "a" * 500


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\r\n \n",
        "\u00a0\u3000",
        "a" * 501,
        "\U0001f600" * 501,
        f"e{ACUTE}" * 501,
        "\n".join("a" * 21),
        "\r\n".join("a" * 21),
        "a" + "\n" * 20 + "b",
        "a\tb",
        "\ta",
        "a\t",
        "a\x00b",
        "\x00",
        "a\x1b[31m",
        "a\x7f",
        "a\x85b",
        "a\x9f",
        "a\rb",
        "a\r",
        "a\x0bb",
        "a\x0cb",
        "a\ud800",
        "\udfff",
        "\udc00\ud800",
        *(f"a{chr(bidi)}b" for bidi in (0x202A, 0x202B, 0x202C, 0x202D, 0x202E)),
        *(f"a{chr(bidi)}b" for bidi in (0x2066, 0x2067, 0x2068, 0x2069)),
        f"q{ACUTE * 3}",
        f"a\U0001f600{FIVE_MARKS}{ACUTE}b",
        f"q{FIVE_MARKS}\u200d{ACUTE}",
        f"q{FIVE_MARKS}\u0335",
    ],
    ids=lambda text: text.encode("ascii", "backslashreplace").decode()[:40],
)
def test_text_that_breaks_a_rule_is_refused(text: str) -> None:
    """Empty, too long, too many lines, controls, surrogates, bidi controls, piled-up marks: refused, not changed."""
    with pytest.raises(InvalidText) as refusal:
        clean_text(text)
    assert refusal.value.field == "text"
    assert refusal.value.message


@pytest.mark.parametrize(
    "text",
    [
        "\u200b",
        "\ufeff",
        "\u2060",
        "\u00ad",
        "\u200d\u200c",
        "\u200e\u200f",
        "\u061c",
        "\u180e",
        "\u034f",
        "\ufe0f",
        "\U000e0100",
        "\U000e0041\U000e007f",
        "\u3164",
        "\u115f",
        "\u1160",
        "\uffa0",
        "\u2800",
        "\u17b4\u17b5",
        ACUTE,
        "\u200b \u3164\n\u2800",
    ],
    ids=lambda text: text.encode("ascii", "backslashreplace").decode(),
)
def test_invisible_text_is_refused(text: str) -> None:
    """A text or a name without a visible character is refused."""
    with pytest.raises(InvalidText):
        clean_text(text)
    with pytest.raises(InvalidText):
        clean_author(text)


@pytest.mark.parametrize("text", ["\u3164a", "a\u200b", "\u2800.", f"{ACUTE}a"])
def test_one_visible_character_is_enough(text: str) -> None:
    """Invisible characters beside a visible one are accepted."""
    assert clean_text(text) == text


@pytest.mark.parametrize("blank", [None, "", " ", "\u00a0\u3000 "])
def test_a_blank_author_is_none(blank: str | None) -> None:
    """A blank name is no name."""
    assert clean_author(blank) is None


@pytest.mark.parametrize(
    ("raw", "stored"),
    [("Ann", "Ann"), ("  Ann ", "Ann"), ("a" * 50, "a" * 50), (f"Ren{ACUTE}e", "Re\u0144e"), (FAMILY, FAMILY)],
)
def test_an_author_is_normalised(raw: str, stored: str) -> None:
    """A name is trimmed, becomes NFC, and may have up to fifty code points."""
    assert clean_author(raw) == stored


@pytest.mark.parametrize(
    "name",
    ["a" * 51, "a\nb", "a\r\nb", "a\u2028b", "a\u2029b", "a\tb", "a\x00", "\ud83d", "a\u202eb", f"q{ACUTE * 5}"],
    ids=lambda text: text.encode("ascii", "backslashreplace").decode()[:40],
)
def test_an_author_that_breaks_a_rule_is_refused(name: str) -> None:
    """A name is one line of at most fifty code points, under the rules for texts."""
    with pytest.raises(InvalidText) as refusal:
        clean_author(name)
    assert refusal.value.field == "author"


hostile = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\r\n\t \u00a0\u2028\u200b\u202e\u2066\u3164\x00\x85" + ACUTE),
        st.characters(categories=["Cs", "Mn", "Zs", "Cf"]),
    ),
    max_size=600,
)


@given(hostile)
def test_what_is_stored_keeps_every_rule(raw: str) -> None:
    """Any text is either refused or stored in a valid form that cleaning does not change."""
    try:
        text = clean_text(raw)
    except InvalidText:
        return
    assert clean_text(text) == text
    assert unicodedata.is_normalized("NFC", text)
    assert text == text.strip()
    assert 1 <= len(text) <= 500
    assert text.count("\n") < 20
    assert not [char for char in text if unicodedata.category(char) in {"Cc", "Cs"} and char != "\n"]
    assert set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069").isdisjoint(text)
    text.encode()


@given(hostile)
def test_a_stored_author_keeps_every_rule(raw: str) -> None:
    """Any name is either refused, empty, or one clean line that cleaning does not change."""
    try:
        author = clean_author(raw)
    except InvalidText:
        return
    if author is None:
        assert not raw.strip()
        return
    assert clean_author(author) == author
    assert 1 <= len(author) <= 50
    assert len(author.splitlines()) == 1


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=80))
def test_plain_words_are_never_refused(raw: str) -> None:
    """Letters, digits, punctuation and symbols are accepted, whatever their script, and stored as their NFC."""
    visible = f"a{raw}"
    assert clean_text(visible) == unicodedata.normalize("NFC", visible)
