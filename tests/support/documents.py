"""HTML documents, parsed with the standard library: elements, their attributes and their text."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

from tests.support.shapes import Json

VOID: Final = {"meta", "link", "input", "br", "img"}


@dataclass
class Element:
    """An element; `text` is all text in it."""

    name: str
    attributes: dict[str, str]
    children: "list[Element | str]" = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of the element and of those inside it."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def classes(self) -> set[str]:
        """Its classes."""
        return set(self.attributes.get("class", "").split())

    def all(self, name: str, **attributes: str) -> Iterator["Element"]:
        """Yield the elements inside it with this name and these attributes, of which `class_` names one class."""
        for child in self.children:
            if isinstance(child, str):
                continue
            if child.name == name and child._has(attributes):
                yield child
            yield from child.all(name, **attributes)

    def one(self, name: str, **attributes: str) -> "Element":
        """Return the only such element."""
        [found] = self.all(name, **attributes)
        return found

    def _has(self, attributes: dict[str, str]) -> bool:
        wanted = dict(attributes)
        of_class = wanted.pop("class_", None)
        return (of_class is None or of_class in self.classes) and wanted.items() <= self.attributes.items()


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("document", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(html: str) -> Element:
    """Parse a document whose elements are all closed."""
    tree = _Tree()
    tree.feed(html)
    tree.close()
    [document] = tree.open
    return document


def opening_of(document: Element) -> Json:
    """Return what the page's script goes on from."""
    found: Json = json.loads(document.one("script", id="opening").text)
    return found


def shown(list_: Element) -> list[Json]:
    """Return the messages in a list, as they are drawn."""
    return [
        {
            "id": int(item.attributes["data-id"]),
            "text": item.one("span", class_="words").text,
            "author": None if "anonymous" in (author := item.one("span", class_="author")).classes else author.text,
            "posted_at": item.one("time").attributes["datetime"],
            "price": item.one("span", class_="amount").text,
            "link": item.one("a", class_="when").attributes["href"],
        }
        for item in list_.all("li", class_="message")
    ]
