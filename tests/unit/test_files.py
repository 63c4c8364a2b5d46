"""Static files: what is cached, and when a file is read again."""

import os
from pathlib import Path

import httpx

from paidchat.api.files import Files


async def test_a_file_that_changes_shows_at_once(tmp_path: Path) -> None:
    """A file is served as it is now, with a tag of its content: different bytes, different tag."""
    page = tmp_path / "page.html"
    tags: list[str] = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(Files(tmp_path)), base_url="http://board") as client:
        for time_ns, text in ((1, "one"), (2, "two"), (3, "one")):
            page.write_text(text)
            os.utime(page, ns=(time_ns, time_ns))
            answer = await client.get("/page.html", headers={"If-None-Match": tags[-1]} if tags else {})
            assert (answer.status_code, answer.text) == (200, text)
            tags.append(answer.headers["etag"])
        assert (await client.get("/page.html", headers={"If-None-Match": tags[0]})).status_code == 304
    assert tags[0] == tags[2] != tags[1]
