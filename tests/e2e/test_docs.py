"""The API's documentation in a browser."""

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.witness import Witness
from tests.support.served import Served


@pytest.mark.long
async def test_swagger_ui_renders_without_a_network(browser: Browser, board: Served) -> None:
    """/docs shows the API in Swagger UI, loads nothing from other hosts and logs no errors."""
    async with await browser.new_context() as context:
        witness = Witness(context)
        page = await context.new_page()
        await page.goto(f"{board.url}/docs")
        await expect(page.get_by_role("heading", name="paidchat")).to_be_visible()
        operation = page.locator(".opblock").filter(has_text="/api/payments").first
        await operation.click()
        await expect(operation.get_by_text("Parameters", exact=True)).to_be_visible()
    assert witness.complaints() == []
