"""The loop in another language: a browser that prefers German gets a German page from the first word to the last."""

import re

from playwright.async_api import expect

from tests.e2e.backstage import Backstage
from tests.e2e.conftest import Windows
from tests.e2e.window import Checkout


async def test_the_overlay_in_german(windows: Windows, backstage: Backstage) -> None:
    """A streaming program that prefers German gets German words and prices on its overlay."""
    page = await (await windows.device(locale="de-DE")).new_page()
    async with page.expect_websocket() as feed:
        await page.goto(f"{windows.board.url}/overlay")
    await (await feed.value).wait_for_event("framereceived")
    await backstage.post("From an English reader")
    await expect(page.locator("#stage .author")).to_have_text("Anonym")
    await expect(page.locator("#stage .amount")).to_have_text("1\u00a0$")


async def test_the_loop_in_german(windows: Windows, backstage: Backstage) -> None:
    """Words, prices and times are German, by the server or by the script; the message is as it was typed."""
    await backstage.post("From an English reader")
    buyer = await windows.open(locale="de-DE")
    page = buyer.page
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await expect(page.locator("#connection")).to_have_text("Live")
    await expect(page.locator("#tagline")).to_have_text("Jede Nachricht kostet 1\u00a0$")
    await expect(page.locator("li.day").last).to_have_text("Heute")
    await expect(buyer.messages.last.locator(".author")).to_have_text("Anonym")

    pay = page.get_by_role("button", name="1 $ zahlen und senden")
    await pay.click()
    await expect(page.locator("#text-error")).to_have_text("Schreib zuerst eine Nachricht.")
    await page.get_by_label("Nachricht", exact=True).fill("Hello, and “hallo”; {price} & <b>")
    await page.get_by_label("Angezeigter Name").fill("Änne")
    await pay.click()
    await page.wait_for_url(re.compile("/sandbox/pay/"))
    await Checkout(page).pay()
    await buyer.expect_arrival("Hello, and “hallo”; {price} & <b>")
    await expect(page.locator("#payment-title")).to_have_text("Deine Nachricht steht auf der Tafel")
    await expect(page.locator("#payment-text")).to_contain_text(
        "Danke! „\u2068Hello, and “hallo”; {price} & <b>\u2069“ ist auf diesem Gerät als deine markiert."
    )
    await page.get_by_role("button", name="Deine Nachrichten").click()
    await expect(page.locator("#purchases .state")).to_have_text("Auf der Tafel")
