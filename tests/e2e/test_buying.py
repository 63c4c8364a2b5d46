"""Buying: the amounts, the moment after paying, what the page remembers, and the form on every screen."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.axe import expect_accessible
from tests.e2e.backstage import Backstage, backstage_of
from tests.e2e.conftest import Windows
from tests.e2e.window import Window
from tests.support.served import free_port, served_board

TIERS = "1:0,5:300,20:1800"
PHONES = {"small": (320, 640), "upright": (390, 844), "landscape": (667, 375)}


async def test_the_amount_is_chosen_kept_and_paid(windows: Windows, tmp_path: Path) -> None:
    """The button follows the choice, a reload and a cancelled checkout keep it, and the message is worth it."""
    with served_board(tmp_path, tiers=TIERS) as board:
        buyer = await windows.open(url=board.url)
        chips = buyer.page.get_by_role("group", name="Amount").get_by_role("listitem")
        assert await chips.all_inner_texts() == ["$1, on the board", "$5, 5 min on top", "$20, 30 min on top"]
        await expect(buyer.pay_button).to_be_visible()
        await buyer.write("Worth five", "Ada")
        await _choose(buyer, "$5")
        await buyer.page.reload()
        await expect(buyer.page.locator("#pay")).to_have_text("Pay $5 and send")
        await buyer.page.locator("#pay").click()
        await (await buyer.arrive_at_checkout()).cancel()
        await expect(buyer.page.get_by_role("radio", name="$5")).to_be_checked()
        await expect(buyer.text).to_have_value("Worth five")
        await buyer.page.locator("#pay").click()
        await buyer.arrive_at_checkout()
        await buyer.page.get_by_role("button", name="Pay $5.00").click()

        await buyer.expect_arrival("Worth five")
        await expect(buyer.message("Worth five")).to_contain_text("$5")
        await expect(buyer.pay_button).to_be_visible()  # nobody pays more for the next one unasked
        async with backstage_of(board) as backstage:
            assert len(await backstage.sessions()) == 1
            for number in range(20):
                await backstage.post(f"On top {number}", amount=2000)
        note = buyer.page.locator("#pins-note")
        await _choose(buyer, "$5")
        await expect(note).to_have_text(
            "20 messages are on top already, for $20 or more; yours joins them once enough of them have ended."
        )
        await _choose(buyer, "$20")
        await expect(note).to_have_text("20 messages are on top already; yours takes the place of the last one.")
        await _choose(buyer, "$1")
        await expect(note).to_be_empty()
        await buyer.page.close()


async def test_an_amount_that_is_gone_is_said(windows: Windows, tmp_path: Path) -> None:
    """If the board offers other amounts by now, the page says so, shows them, and takes the lowest."""
    port = free_port()
    with served_board(tmp_path, port, tiers=TIERS) as board:
        buyer = await windows.open(url=board.url)
        await buyer.write("Worth five yesterday")
        await _choose(buyer, "$5")
    windows.expect_note("422|ERR_CONNECTION_REFUSED|WebSocket")
    with served_board(tmp_path, port, tiers="1:0,3:60"):
        await buyer.page.locator("#pay").click()
        await expect(buyer.notice).to_contain_text("amounts have changed")
        await expect(buyer.page.get_by_role("radio")).to_have_count(2)
        await expect(buyer.page.get_by_role("radio", name="$1, on the board")).to_be_checked()
        await expect(buyer.page.get_by_role("radio", name="$3, 1 min on top")).to_be_visible()
        await buyer.pay_button.click()
        await (await buyer.arrive_at_checkout()).pay()
        await buyer.expect_arrival("Worth five yesterday")
        await buyer.page.close()


async def test_one_amount_is_no_choice(windows: Windows) -> None:
    """A board with one amount has no row of amounts."""
    buyer = await windows.open()
    await expect(buyer.pay_button).to_be_enabled()
    await expect(buyer.page.locator("#amounts")).to_be_hidden()


async def test_what_was_paid_for_is_listed(windows: Windows, backstage: Backstage) -> None:
    """The list names each message and its state, with a link; also what happened while no page was open."""
    first = await windows.open()
    await expect(first.page.get_by_role("button", name="Your messages")).to_be_hidden()
    checkout = await first.go_to_checkout("Listed, then refunded")
    refunded = checkout.session
    await checkout.pay()
    await first.expect_arrival("Listed, then refunded")
    await (await first.go_to_checkout("Listed, and posted")).pay()
    await first.expect_arrival("Listed, and posted")
    checkout = await first.go_to_checkout("Listed, by bank debit")
    debit = checkout.session
    await checkout.pay_by_bank_debit()
    await first.card.get_by_role("button", name="Dismiss").click()
    device = first.page.context
    await first.page.close()
    await backstage.act(refunded, "refund")

    buyer = await windows.open_tab(device)
    windows.expect_note("410")
    opener = buyer.page.get_by_role("button", name="Your messages")
    await opener.click()
    listed = buyer.page.get_by_role("dialog", name="Your messages").get_by_role("listitem")
    for index, (text, state) in enumerate(
        {
            "Listed, by bank debit": "Waiting for your bank",
            "Listed, and posted": "On the board",
            "Listed, then refunded": "Refunded",
        }.items()
    ):
        await expect(listed.nth(index)).to_contain_text(text)
        await expect(listed.nth(index)).to_contain_text(state)
    await expect(listed.get_by_role("link")).to_have_count(1)
    await backstage.act(debit, "settle")
    await expect(listed.first).to_contain_text("On the board")
    await buyer.page.keyboard.press("Escape")
    await expect(opener).to_be_focused()
    await opener.click()
    await listed.filter(has_text="Listed, and posted").get_by_role("link", name="Show it").click()
    await expect(buyer.message("Listed, and posted")).to_be_focused()


async def test_a_text_that_was_not_posted_can_be_had_back(windows: Windows, backstage: Backstage) -> None:
    """A refused text that was cleared waits in the list, and is put back only into an empty form."""
    buyer = await windows.open()
    checkout = await buyer.go_to_checkout("Refused, and cleared")
    session = checkout.session
    await checkout.pay_by_bank_debit()
    await expect(buyer.card).to_have_attribute("data-status", "processing")
    await backstage.act(session, "settle_fail")
    await expect(buyer.card).to_have_attribute("data-status", "failed")
    await buyer.write("Something else")
    await expect(buyer.card.get_by_role("button", name="Write it again")).to_be_hidden()
    await buyer.card.get_by_role("button", name="Dismiss").click()
    await expect(buyer.page.locator("#composer")).to_be_focused()
    await buyer.write("")
    await buyer.page.get_by_role("button", name="Your messages").click()
    await buyer.page.get_by_role("dialog").get_by_role("button", name="Write it again").click()
    await expect(buyer.text).to_have_value("Refused, and cleared")
    await expect(buyer.text).to_be_focused()


async def test_the_form_says_what_one_buys(windows: Windows, tmp_path: Path) -> None:
    """Public, permanent, through Stripe, refunds, who runs the board, and the pages that the operator has set."""
    with served_board(tmp_path, tiers=TIERS, terms_url="https://example.com/terms", contact="ada@example.com") as board:
        buyer = await windows.open(url=board.url)
        page = buyer.page
        await expect(page.locator("#promise")).to_have_text(
            re.compile(r"public and stays.*You pay paidchat through Stripe.*refunded", re.DOTALL)
        )
        await expect(page.get_by_role("link", name="Terms")).to_have_attribute("href", "https://example.com/terms")
        await expect(page.get_by_role("link", name="Contact")).to_have_attribute("href", "mailto:ada@example.com")
        await expect(page.locator("#privacy")).to_be_hidden()
        await expect_accessible(page)
        await page.get_by_role("link", name="Skip to writing").press("Enter")
        await expect(buyer.text).to_be_focused()
        assert page.url == f"{buyer.board_url}/", "the hash stays free for a message's"
        await page.close()


@pytest.mark.parametrize("phone", PHONES)
async def test_the_form_leaves_room_to_read(windows: Windows, tmp_path: Path, phone: str) -> None:
    """On a phone the form is one line until somebody writes, in landscape too; then all of it fits."""
    width, height = PHONES[phone]
    with served_board(tmp_path, tiers=TIERS) as board:
        buyer = await windows.open(
            url=board.url, viewport={"width": width, "height": height}, is_mobile=True, has_touch=True
        )
        await expect(buyer.pay_button).to_be_in_viewport(ratio=1)
        assert await _height(buyer.page, ".dock") <= 80
        await expect(buyer.page.locator("#promise")).to_be_hidden()
        await buyer.text.tap()
        await expect(buyer.page.locator("#promise")).to_be_in_viewport(ratio=1)
        await expect(buyer.page.get_by_role("radio").first).to_be_in_viewport(ratio=1)
        assert await _height(buyer.page, ".dock") <= height * 0.6
        assert await buyer.overflow() <= 0
        await buyer.page.close()


async def test_the_text_box_grows_everywhere(windows: Windows) -> None:
    """Where style sheets can't make it grow, the text box grows with its text all the same, and shrinks again."""
    device = await windows.device()
    await device.add_init_script(
        """const supports = CSS.supports.bind(CSS);
        CSS.supports = (name, ...rest) => name !== "field-sizing" && supports(name, ...rest);
        addEventListener("DOMContentLoaded", () => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync("#message-text { field-sizing: fixed !important; }");
          document.adoptedStyleSheets = [sheet];
        });"""
    )
    buyer = await windows.open_tab(device)
    empty = await _height(buyer.page, "#message-text")
    await buyer.write("one\ntwo\nthree\nfour")
    assert await _height(buyer.page, "#message-text") > empty + 40
    await buyer.write("")
    assert await _height(buyer.page, "#message-text") == empty


async def _choose(buyer: Window, price: str) -> None:
    """Choose an amount, and check that the button says so."""
    await buyer.page.get_by_role("radio", name=f"{price},").check()
    await expect(buyer.page.locator("#pay")).to_have_text(f"Pay {price} and send")


async def _height(page: Page, selector: str) -> float:
    box = await page.locator(selector).bounding_box()
    assert box
    return box["height"]
