"""Accessibility: screen readers, small screens and dark mode; no axe violations, and nothing is cut off."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.axe import Scheme, expect_accessible
from tests.e2e.backstage import Backstage, backstage_of
from tests.e2e.conftest import Windows
from tests.e2e.window import DECLINED_CARD
from tests.support.served import Served, served_board

NARROW = {"width": 320, "height": 640}
WIDTHS: dict[int, Scheme] = {320: "light", 390: "dark", 1280: "dark"}
LONG_WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"


async def test_an_empty_board_is_accessible(windows: Windows, own_board: Served) -> None:
    """The empty board has no axe violations, in light and dark."""
    reader = await windows.open(url=own_board.url)
    await expect(reader.messages).to_have_count(0)
    await expect_accessible(reader.page)


async def test_a_board_with_messages_is_accessible(windows: Windows, backstage: Backstage) -> None:
    """Messages, one of them highlighted, the payment card and an error in the composer have no axe violations."""
    await backstage.post("Somebody else's", "Grace")
    buyer = await windows.open()
    await (await buyer.go_to_checkout("Highlighted for axe", "Ada")).pay()
    await buyer.expect_arrival("Highlighted for axe")
    await expect(buyer.card).to_be_visible()
    await buyer.pay_button.click()
    await expect(buyer.page.locator("#text-error")).to_be_visible()
    await expect_accessible(buyer.page)


@pytest.mark.long
async def test_the_waiting_card_is_accessible(windows: Windows) -> None:
    """The card of a payment in progress has no axe violations."""
    buyer = await windows.open()
    await (await buyer.go_to_checkout("Under way for axe")).pay_by_bank_debit()
    await expect(buyer.card).to_have_attribute("data-status", "processing")
    await expect_accessible(buyer.page)


@pytest.mark.long
async def test_buying_is_accessible_on_every_screen(windows: Windows, tmp_path: Path) -> None:
    """The amounts, the message being published, a refusal and the list have no axe violations, at any width."""
    with served_board(tmp_path, tiers="1:0,5:300,20:1800") as board:
        buyer = await windows.open(url=board.url)
        async with backstage_of(board) as backstage:
            for number in range(20):
                await backstage.post(f"On top {number}", amount=500)
            await buyer.write("Bought for axe", "Ada")
            await buyer.page.get_by_role("radio", name="$5,").check()
            await expect(buyer.page.locator("#pins-note")).not_to_be_empty()
            await _expect_accessible_at_every_width(buyer.page)
            await buyer.page.get_by_role("radio", name="$1,").check()
            checkout = await buyer.go_to_checkout("Bought for axe", "Ada")
            session = checkout.session
            await backstage.set_faults(webhook={"drop": "all"}, api={"hang_s": 60})
            await checkout.pay_by_bank_debit()
            await expect(buyer.publishing).to_be_visible()
            await buyer.write("Bought for axe", "Ada")
            await expect(buyer.page.locator("#pay-reason")).not_to_be_empty()
            await _expect_accessible_at_every_width(buyer.page)
            await backstage.clear_faults()
            await backstage.act(session, "settle_fail")
            await expect(buyer.card).to_have_attribute("data-status", "failed")
            await buyer.page.get_by_role("button", name="Your messages").click()
            await expect(buyer.page.get_by_role("dialog").get_by_role("listitem")).to_have_count(1)
            await _expect_accessible_at_every_width(buyer.page)
        await buyer.page.close()


@pytest.mark.long
async def test_the_hosted_page_is_accessible(windows: Windows) -> None:
    """The checkout page has no axe violations, also when it says why a card was declined."""
    buyer = await windows.open()
    checkout = await buyer.go_to_checkout("Checkout for axe")
    await checkout.pay(DECLINED_CARD)
    await expect(checkout.error).to_be_visible()
    await expect_accessible(checkout.page)


async def test_a_narrow_screen_needs_no_sideways_scrolling(windows: Windows, backstage: Backstage) -> None:
    """At 320 pixels the board with its longest words, the hosted page and the payment card all fit."""
    await backstage.post(LONG_WORD * 3, "N" * 50)
    buyer = await windows.open(viewport=NARROW, is_mobile=True, has_touch=True)
    assert await buyer.overflow() <= 0
    checkout = await buyer.go_to_checkout("W" * 200, "M" * 50)
    assert await buyer.overflow() <= 0
    await checkout.pay()
    await buyer.expect_arrival("W" * 200)
    await expect(buyer.card).to_be_visible()
    assert await buyer.overflow() <= 0


async def _expect_accessible_at_every_width(page: Page) -> None:
    for width, scheme in WIDTHS.items():
        await page.set_viewport_size({"width": width, "height": 700})
        await expect_accessible(page, [scheme])
    await page.emulate_media(forced_colors="active")
    await expect_accessible(page, ["dark"])
    await page.emulate_media(forced_colors="none")
