"""The sandbox's pages in a real browser: their scripts and their accessibility."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from playwright.async_api import async_playwright, expect

from tests.support.browsers import LAUNCH_ARGUMENTS, cheapest_chromium

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from tests.sandbox.conftest import Bench, Receiver


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """A browser, which must be installed."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=cheapest_chromium(), args=LAUNCH_ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(params=["light", "dark"])
async def page(chromium: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A phone's window, in both colour schemes; any console error fails the test."""
    context = await chromium.new_context(color_scheme=request.param, viewport={"width": 360, "height": 740})
    opened = await context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    await context.close()
    assert complaints == []


async def accessible(page: Page) -> None:
    """Check that axe finds no violations and that nothing overflows sideways."""
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_paying_with_picked_cards(bench: Bench, receiver: Receiver, page: Page) -> None:
    """A tap picks a test card, a decline is announced, and a double click pays once."""
    success = f"{bench.settings.public_url}/panel/live"
    created = await bench.create(success_url=success)
    await page.goto(str(created.url))
    for width, height in ((1280, 800), (390, 844), (320, 640), (360, 740)):
        await page.set_viewport_size({"width": width, "height": height})
        await expect(page.get_by_role("button", name="Pay $1.00")).to_be_in_viewport(ratio=1)
    await accessible(page)
    await page.get_by_role("button", name="4000 0000 0000 0002").click()
    await expect(page.get_by_label("Card number")).to_have_value("4000 0000 0000 0002")
    await page.get_by_role("button", name="Pay $1.00").click()
    await expect(page.get_by_role("alert")).to_have_text("Your card was declined.")
    await accessible(page)
    await page.get_by_role("button", name="4242 4242 4242 4242").click()
    await page.get_by_role("button", name="Pay $1.00").dblclick()
    await page.wait_for_url(success)
    assert receiver.types() == ["checkout.session.completed"]
    charges = (await bench.stripe.v1.charges.list_async()).data
    assert [charge.status for charge in charges] == ["succeeded", "failed"]
    await page.goto(f"{bench.settings.public_url}/pay/{created.id}")
    await expect(page.get_by_role("link", name="Go back")).to_have_attribute("href", success)
    await accessible(page)


@pytest.mark.long
async def test_the_panel_keeps_itself_up_to_date(bench: Bench, page: Page) -> None:
    """A new session appears without a reload, its buttons work without leaving the page, and the result is shown."""
    await page.goto(f"{bench.settings.public_url}/")
    created = await bench.create()
    session = page.locator(f"#session-{created.id}")
    await expect(session).to_be_visible()
    await accessible(page)
    await session.get_by_role("button", name="Pay", exact=True).click()
    await expect(page.get_by_role("status")).to_have_text("Done: pay.")
    await expect(session).to_contain_text("paid")
    await expect(page.get_by_role("row", name="checkout.session.completed")).to_contain_text("200")
    await bench.do(created.id, "dispute")
    await expect(session).to_contain_text("dispute needs response")
    await session.get_by_role("button", name="Win dispute").click()
    await expect(session).to_contain_text("dispute won")
    assert page.url == f"{bench.settings.public_url}/"
    await accessible(page)
