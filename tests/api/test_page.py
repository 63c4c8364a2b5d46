"""The page's files, as a browser asks for them."""

import re

import httpx


async def test_every_page_finds_its_icon(client: httpx.AsyncClient) -> None:
    """The icons that pages link exist, and so does the one that browsers request by default."""
    for page in ("/", "/docs", "/sandbox/", "/sandbox/pay/cs_test_nowhere"):
        named = re.findall(r'<link rel="icon" href="([^"]+)"', (await client.get(page)).text)
        assert named, page
        for icon in (*named, "/favicon.ico"):
            answer = await client.get(icon)
            assert answer.status_code == 200, f"{page}: {icon}"
            assert answer.headers["content-type"].startswith("image/"), f"{page}: {icon}"


async def test_the_opener_policy_is_sent_where_browsers_heed_it(client: httpx.AsyncClient) -> None:
    """In a secure context, a foreign window that opened the page gets no reference to it."""
    assert (await client.get("/")).headers["cross-origin-opener-policy"] == "same-origin"
