"""The rules for texts, checked against the table of cases that the page is checked against too."""

import unicodedata

import pytest

from paidchat.domain import InvalidText
from paidchat.text import clean_author, clean_text
from tests.support.text_cases import TextCase, text_cases

CASES = text_cases()


@pytest.mark.parametrize("case", [case for case in CASES if case.is_accepted], ids=str)
def test_what_keeps_the_rules_is_stored(case: TextCase) -> None:
    """A valid text or name is stored in the form that the table gives, and cleaning that form again changes nothing."""
    clean = clean_text if case.field == "text" else clean_author
    assert clean(case.raw) == case.stored
    assert case.stored is None or (clean(case.stored) == case.stored and unicodedata.is_normalized("NFC", case.stored))


@pytest.mark.parametrize("case", [case for case in CASES if not case.is_accepted], ids=str)
def test_what_breaks_a_rule_is_refused(case: TextCase) -> None:
    """An invalid text or name is refused with a sentence that doesn't repeat it, and never changed."""
    clean = clean_text if case.field == "text" else clean_author
    with pytest.raises(InvalidText) as refusal:
        clean(case.raw)
    assert refusal.value.field == case.field
    assert refusal.value.message.isascii()
