"""Links in documents: the same addresses as in the page's script, and the text unchanged."""

import json
from pathlib import Path
from typing import Any

import pytest

from paidchat.pages.links import linked
from tests.support.documents import Element, parse

# The page's tests read it too (tests/frontend/format.test.js).
LOOK = {"rel": "nofollow ugc noopener", "target": "_blank", "dir": "ltr", "tabindex": "-1"}
CASES = json.loads((Path(__file__).parents[1] / "support/links.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["text"][:40] for case in CASES])
def test_addresses_are_links_as_on_the_page(case: Any) -> None:
    """The links of each text are those of the table, their words are their addresses, and nothing else changes."""
    shown = parse(f"<p>{linked(case['text'])}</p>").one("p")
    assert [(link.attributes["href"], link.text) for link in shown.all("a")] == [(link, link) for link in case["links"]]
    assert all(link.attributes.items() >= LOOK.items() for link in shown.all("a"))
    assert shown.text == case["text"]


@pytest.mark.parametrize(
    "host",
    [
        "example.org:99999",
        "1.2.3.256",
        "example.0x",
        "a_b.example",
        "-a.example",
        "a-.example",
        "xn--a.example",
        "a..b",
    ],
)
def test_what_browsers_cannot_read_is_no_link(host: str) -> None:
    """A port too large, a number that is no address, and labels that no host has."""
    assert linked(f"https://{host}/") == f"https://{host}/"


def test_what_is_written_stays_text() -> None:
    """No address gets markup past the escaping."""
    text = "<b>https://example.org/?a=1&b='x'</b> & \"https://example.org/\"onclick=alert(1)"
    shown = parse(f"<p>{linked(text)}</p>").one("p")
    assert shown.text == text
    assert [set(child.attributes) for child in shown.children if isinstance(child, Element)] == [{"href", *LOOK}] * 2
