"""Languages: which one is chosen, and that every sentence of the pages has a translation."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from paidchat.pages import languages
from paidchat.pages.languages import LANGUAGES, Language, preferred_language, say, words_in

PAGES = Path(languages.__file__).parent
PAGE = Path(__file__).parents[2] / "frontend"
ASKED: list[tuple[list[str], Language]] = [
    ([], "en"),
    ([""], "en"),
    (["de"], "de"),
    (["DE-at"], "de"),
    (["de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7"], "de"),
    (["en-US,en;q=0.9,de;q=0.8"], "en"),
    (["en", "de"], "en"),
    (["fr", "de;q=0.1"], "de"),
    (["de;q=0.5,en;q=0.5"], "de"),
    (["fr-CH, fr;q=0.9, *;q=0.5"], "en"),
    (["en;q=0.3, *"], "de"),
    (["*"], "en"),
    (["de;q=0"], "en"),
    (["de;q=0, *"], "en"),
    (["en;q=0, *;q=0.1"], "de"),
    (["den, deutsch"], "en"),
    (["de;q=2, de;q=x, ;;, =,"], "en"),
    (["x" * 100_000 + ",de"], "de"),
]
# A literal in the code, and where one is found: `say("…")`, with whatever follows.
SAID = re.compile(r'\bsay\(\s*"((?:[^"\\]|\\.)*)"')
SENTENCE = re.compile(r'"[A-Z][^"]*[a-z] [a-z][^"]*"|`[A-Z][^`]*[a-z] [a-z][^`]*`')
BRACES = re.compile(r"\{\w+\}")


def sources() -> Iterator[Path]:
    """Yield the files with sentences for readers."""
    yield from sorted(PAGES.glob("templates/*.html"))
    yield from sorted(PAGES.glob("*.py"))
    yield from (path for path in sorted(PAGE.rglob("*.js")) if "node_modules" not in path.parts)


@pytest.mark.parametrize(("lines", "language"), ASKED)
def test_the_language_that_is_wanted_most_is_chosen(lines: list[str], language: Language) -> None:
    """Ranges ask for their language whatever follows, 0 refuses one, and what is malformed counts as absent."""
    assert preferred_language(lines) == language
    assert preferred_language(lines) == language  # also when it is remembered


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_sentence_has_a_translation(language: Language) -> None:
    """A table has the sentences that pages say, with the same braces, and no others."""
    said = {sentence for path in sources() for sentence in SAID.findall(path.read_text())}
    table = words_in(language)
    assert set(table) == said
    for english, translated in table.items():
        assert Counter(BRACES.findall(translated)) == Counter(BRACES.findall(english)), english
        assert translated.strip(), english


def test_no_sentence_is_written_past_the_table() -> None:
    """No script of the page has a sentence outside of `say()`, other than for developers."""
    for path in sorted(PAGE.rglob("*.js")):
        if "node_modules" in path.parts:
            continue
        code = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", path.read_text(), flags=re.DOTALL)
        rest = SAID.sub("", code)
        found = [sentence for sentence in SENTENCE.findall(rest) if "ResizeObserver" not in sentence]
        assert found == [], path


def test_values_stand_in_the_sentence() -> None:
    """Values replace the braces in each language; a sentence without a translation stays English."""
    assert say("Pay {price} and send", "en", price="$1") == "Pay $1 and send"
    assert say("Pay {price} and send", "de", price="1 $") == "1 $ zahlen und senden"
    assert say("Not in a table: {what}", "de", what="{x}") == "Not in a table: {x}"
