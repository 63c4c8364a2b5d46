"""/overlay: which origins may frame it, what it contains, and that its query does not change the document."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.board_client import http_client
from tests.support.served import Served, served_board

pytestmark = pytest.mark.any_database

FRONT_END = Path(__file__).parents[3] / "frontend"
STREAMERS = ("https://stream.example.com", "http://localhost:3000")
TITLE = "Ada & <b>Grace</b>"


@pytest.fixture
def framed(tmp_path: Path) -> Iterator[Served]:
    """A board whose overlay may be framed by two origins."""
    with served_board(tmp_path, frame_ancestors=", ".join(STREAMERS), title=TITLE) as served:
        yield served


def ancestors_in(policy: str) -> list[str]:
    """Return the sources that a policy allows to frame the page."""
    [directive] = [part.split() for part in policy.split(";") if part.strip().startswith("frame-ancestors ")]
    return directive[1:]


class Tags(HTMLParser):
    """The tags of a document, its preloads and its title."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.preloads: list[str] = []
        self.data: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        attributes = dict(attrs)
        self.found.add(tag)
        assert not {name for name in attributes if name.startswith("on") or name == "style"}
        if attributes.get("rel") == "modulepreload":
            self.preloads.append(str(attributes["href"]))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.data.append(data)


async def test_only_the_overlay_may_be_framed(framed: Served, board: Served) -> None:
    """The configured origins may frame the overlay and nothing else; without any, nobody may."""
    async with http_client(framed) as client:
        for path in ("/", "/m/1", "/feed.atom", "/api/board", "/docs", "/nowhere"):
            assert ancestors_in((await client.get(path)).headers["content-security-policy"]) == ["'none'"], path
        for method in ("GET", "HEAD"):
            answer = await client.request(method, "/overlay?sound=1")
            assert ancestors_in(answer.headers["content-security-policy"]) == list(STREAMERS)
            assert len(answer.headers.get_list("content-security-policy")) == 1
            assert "x-frame-options" not in answer.headers
        unchanged = await client.get("/overlay", headers={"If-None-Match": answer.headers["etag"]})
        assert unchanged.status_code == 304
        assert ancestors_in(unchanged.headers["content-security-policy"]) == list(STREAMERS)
    async with http_client(board) as client:
        assert ancestors_in((await client.get("/overlay")).headers["content-security-policy"]) == ["'none'"]


async def test_the_document(framed: Served) -> None:
    """It has nothing to click or fill in, loads each module that its script imports, and heeds no query itself."""
    async with http_client(framed) as client:
        answer = await client.get("/overlay")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        tags = Tags(answer.text)
        assert TITLE in tags.data
        assert not tags.found & {"a", "button", "form", "input", "textarea", "b"}
        loaded = {re.sub("^/assets/[0-9a-f]{16}/", "", path) for path in tags.preloads}
        assert loaded == imported_by("overlay/overlay.js")
        for path in tags.preloads:
            assert (await client.get(path)).status_code == 200, path
        for query in ("sound=1&min=500&delay=10", "min=-1&delay=soon", "%00"):
            other = await client.get(f"/overlay?{query}")
            assert (other.content, other.headers["etag"]) == (answer.content, answer.headers["etag"])


async def test_it_is_in_the_language_that_is_asked_for(framed: Served) -> None:
    """Its words are in the table that the script reads; a cache keeps the languages apart, and each may be framed."""
    async with http_client(framed) as client:
        for asked, language in (("de-AT, en;q=0.5", "de"), ("fr", "en"), ("", "en")):
            answer = await client.get("/overlay", headers={"Accept-Language": asked})
            assert (answer.headers["content-language"], f'<html lang="{language}">' in answer.text) == (language, True)
            assert answer.headers["vary"] == "Accept-Language, Accept-Encoding"
            assert ancestors_in(answer.headers["content-security-policy"]) == list(STREAMERS)
            assert ('"Anonymous":"Anonym"' in answer.text) == (language == "de")
        german = (await client.get("/overlay", headers={"Accept-Language": "de"})).headers["etag"]
        for asked, status in (("de", 304), ("en", 200)):
            again = await client.get("/overlay", headers={"Accept-Language": asked, "If-None-Match": german})
            assert again.status_code == status


def imported_by(module: str) -> set[str]:
    """Return a module of the front end and all that it imports."""
    found, to_read = set(), [FRONT_END / module]
    while to_read:
        path = to_read.pop()
        name = path.relative_to(FRONT_END).as_posix()
        if name not in found:
            found.add(name)
            specifiers = re.findall(r'\bfrom "(\.[^"]+)"', path.read_text())
            to_read += [(path.parent / specifier).resolve() for specifier in specifiers]
    return found
