"""The stream overlay: new messages over a transparent page, one after the other, as in a browser source."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from PIL import Image
from playwright.async_api import Frame, Locator, Page, expect

from tests.e2e.backstage import Backstage, backstage_of
from tests.e2e.conftest import Windows
from tests.support.served import free_port, served_board

TOKEN = "token-of-the-administration"
HOSTILE = "<img src=x onerror=alert(1)>\n<b>bold</b>"
LOST_CONNECTION = r"WebSocket connection to|ERR_CONNECTION_REFUSED"
COUNT_NOTES = """
  window.notes = 0;
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...when) { window.notes += 1; return start.apply(this, when); };
"""
GREEN = (0, 255, 0)
STREAM = """<!doctype html><title>Stream</title>
<style>body { margin: 0; background: lime } iframe { border: 0; width: 800px; height: 500px }</style>
<iframe src="%s"></iframe>"""


@asynccontextmanager
async def another_site(html: str) -> AsyncIterator[str]:
    """Serve a page of another origin on this machine; yields the origin."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = html.encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def words(frame: Frame) -> Locator:
    """Return the text of the message on screen."""
    return frame.locator("#stage .message:not(.leaving) .text")


async def remove(backstage: Backstage, message_id: int) -> None:
    """Take a message off the board."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = await backstage.http.delete(f"/api/admin/messages/{message_id}", headers=headers)
    assert answer.status_code == 204


async def color_at(page: Page, x: int, y: int) -> tuple[int, ...]:
    """Return the color of a pixel of what is visible."""
    with Image.open(BytesIO(await page.screenshot())) as image:
        found = image.convert("RGB").getpixel((x, y))
    assert isinstance(found, tuple)
    return tuple(int(part) for part in found)


async def opened(page: Page, stream: str) -> Frame:
    """Open the stream's page with the overlay in its frame, and wait until that has heard of the board."""
    async with page.expect_websocket() as feed:
        await page.goto(stream)
    await (await feed.value).wait_for_event("framereceived")
    await page.mouse.click(5, 5)  # Chromium allows sound from here on; a streaming program always does
    return page.frames[1]


async def expect_a_card(page: Page, frame: Frame) -> None:
    """Check the message on screen: text and nothing but text, over a page that shows through around it."""
    await expect(words(frame)).to_have_text(HOSTILE)
    await expect(frame.locator("#stage .author")).to_have_text("Anonymous")
    await expect(frame.locator("#stage .amount")).to_have_text("$1")
    assert await frame.evaluate("getComputedStyle(document.querySelector('.text')).whiteSpace") == "pre-wrap"
    assert await frame.locator("#stage img, #stage b, a, button, input, form").count() == 0
    await page.clock.run_for(500)
    assert await color_at(page, 780, 20) == GREEN
    assert await color_at(page, 100, 470) != GREEN


async def expect_turns(page: Page, frame: Frame, backstage: Backstage) -> None:
    """Check that messages are shown one after the other, and that what is removed leaves queue and screen at once."""
    first = await backstage.post(HOSTILE)
    await expect_a_card(page, frame)
    await frame.wait_for_function("window.notes === 2")
    second, _, _ = [await backstage.post(text, "Ada") for text in ("Second", "Third", "Fourth")]
    await remove(backstage, second)
    await expect(words(frame)).to_have_text(HOSTILE)
    await remove(backstage, first)
    await expect(words(frame)).to_have_text("Third", timeout=2_000)
    await frame.wait_for_function("window.notes === 4")
    await frame.locator("body").press("m")  # muted
    await page.clock.run_for(6_000)
    await expect(words(frame)).to_have_text("Fourth")
    assert await frame.evaluate("window.notes") == 4


async def expect_accessible(page: Page, overlay: str, backstage: Backstage) -> None:
    """Check that the overlay by itself, with a message on screen, has no axe violations."""
    async with page.expect_websocket() as feed:
        await page.goto(overlay)
    await (await feed.value).wait_for_event("framereceived")
    await backstage.post("For axe", "Ada")
    await expect(words(page.main_frame)).to_have_text("For axe")
    await page.clock.run_for(500)
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


async def test_a_stream_shows_what_is_posted(windows: Windows, tmp_path: Path) -> None:
    """In a frame of an allowed page the overlay is transparent and shows new messages in turn, with sound if asked to.

    It goes on by itself when the server is there again.
    """
    port = free_port()
    device = await windows.device(color_scheme="dark", viewport={"width": 800, "height": 500})
    windows.expect_note(LOST_CONNECTION)
    await device.add_init_script(COUNT_NOTES)
    page = await device.new_page()
    await page.clock.install()
    overlay = f"http://127.0.0.1:{port}/overlay?sound=1&min=100&delay=soon"
    async with another_site(STREAM % overlay) as stream:
        options: dict[str, Any] = {"frame_ancestors": stream, "admin_token": TOKEN, "tiers": "1:0,5:300"}
        with served_board(tmp_path, port, **options) as board:
            async with backstage_of(board) as backstage:
                await backstage.post("Before the stream")
                frame = await opened(page, stream)
                assert await color_at(page, 100, 470) == GREEN
                await expect_turns(page, frame, backstage)
        await frame.evaluate("window.neverReloaded = true")
        await page.clock.run_for(9_000)
        await expect(words(frame)).to_have_count(0)
        with served_board(tmp_path, port, **options) as board:
            async with backstage_of(board) as backstage:
                await backstage.post("After the restart")
                for _ in range(60):
                    await page.clock.run_for(1_000)
                    if await words(frame).count():
                        break
                await expect(words(frame)).to_have_text("After the restart")
                assert await frame.evaluate("window.neverReloaded")
                await expect_accessible(page, overlay, backstage)
            await page.close()
