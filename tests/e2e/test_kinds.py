"""Core tests for each kind of Chromium on this machine; the other tests run in the lightest one."""

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.conftest import Windows


async def test_the_loop_in_each_kind_of_browser(
    kind: Browser, windows: Windows, request: pytest.FixtureRequest
) -> None:
    """A buyer comes back to the highlighted message, a second window sees it, and no console has an error."""
    buyer = await windows.open_tab(await windows.device(kind))
    watcher = await windows.open_tab(await windows.device(kind))
    text = f"By {request.node.name}"
    await (await buyer.go_to_checkout(text, "Ada")).pay()
    await buyer.expect_arrival(text)
    await expect(watcher.message(text)).to_be_visible()


async def test_no_console_misses_an_icon(kind: Browser, windows: Windows) -> None:
    """On pages, documents and errors alike, the browser finds the icon that it requests."""
    device = await windows.device(kind)
    windows.expect_note(r"404 \(Not Found\) \(.*/(nowhere|pay/cs_test_nowhere)\)")
    page = await device.new_page()
    for path in ("/docs", "/api/board", "/nowhere", "/sandbox/panel/live", "/sandbox/pay/cs_test_nowhere", "/sandbox/"):
        await page.goto(f"{windows.board.url}{path}")
