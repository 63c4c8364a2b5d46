"""What buying takes is loaded when it is needed: reading needs none of it, and no writer notices that it came later."""

import asyncio
from pathlib import Path

from playwright.async_api import Page, Route, expect

from tests.e2e.conftest import Windows
from tests.e2e.window import GOOD_CARD, Window
from tests.support.served import served_board

DESK = "**/buying/desk.js"
TIERS = "1:0,5:300"
MOST_LOADED = 16  # requests for a first visit, the document and the socket among them


async def opened(windows: Windows, url: str | None = None) -> tuple[Page, list[str]]:
    """Open the board on a new device, and return the page and, as they are made, the addresses it asks for."""
    page = await (await windows.device()).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    await page.goto(url or windows.board.url)
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    return page, asked


async def test_reading_loads_nothing_of_buying(windows: Windows, tmp_path: Path) -> None:
    """A first visit takes few requests, none of them for buying; turning to the form takes the rest at once."""
    with served_board(tmp_path, tiers=TIERS) as board:
        page, asked = await opened(windows, board.url)
        await page.wait_for_load_state("networkidle")
        assert len(asked) <= MOST_LOADED
        assert not [address for address in asked if "/buying/" in address]
        await expect(page.locator("#counter")).to_have_text("0/500")
        await expect(page.locator("#pay")).to_be_enabled()

        await page.locator("#message-text").focus()
        await page.keyboard.type("Six")
        await expect(page.locator("#counter")).to_have_text("3/500")
        buying = [address for address in asked if "/buying/" in address]
        assert len(buying) == len(set(buying)) > 3
        await page.close()


async def test_whoever_only_reads_has_it_after_a_while(windows: Windows) -> None:
    """Ten seconds after the page was opened it has everything, so that an upgrade of the server separates nothing."""
    page = await (await windows.device()).new_page()
    await page.clock.install()
    await page.goto(windows.board.url)
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    async with page.expect_request(DESK):
        await page.clock.fast_forward(10_000)


async def test_what_is_sent_before_the_desk_is_there_is_paid(windows: Windows) -> None:
    """Text, name and click from before the desk was there lead to checkout once it is, and to one payment."""
    buyer = Window((await opened(windows))[0], windows.board.url)
    there = asyncio.Event()

    async def answer_late(route: Route) -> None:
        await there.wait()
        await route.continue_()

    await buyer.page.route(DESK, answer_late)
    await buyer.write("Written before the desk was there", "Ada")
    await buyer.pay_button.dblclick()
    await buyer.text.press("Control+Enter")
    await expect(buyer.text).to_have_value("Written before the desk was there")
    there.set()
    await (await buyer.arrive_at_checkout()).pay()
    await buyer.expect_arrival("Written before the desk was there")
    await expect(buyer.message("Written before the desk was there")).to_contain_text("Ada")


async def test_an_amount_chosen_before_the_desk_is_there_is_paid(windows: Windows, tmp_path: Path) -> None:
    """The button says the amount at once, and that amount is paid, once the desk is there."""
    with served_board(tmp_path, tiers=TIERS) as board:
        buyer = Window((await opened(windows, board.url))[0], board.url)
        there = asyncio.Event()

        async def answer_late(route: Route) -> None:
            await there.wait()
            await route.continue_()

        await buyer.page.route(DESK, answer_late)
        chips = buyer.page.get_by_role("group", name="Amount").get_by_role("listitem")
        assert await chips.all_inner_texts() == ["$1, on the board", "$5, 5 min on top"]
        await buyer.page.get_by_role("radio", name="$5").check()
        pay = buyer.page.get_by_role("button", name="Pay $5 and send")
        await expect(pay).to_be_visible()
        await expect(buyer.page.locator("#composer")).to_have_attribute("data-idle", "false")  # on a phone it opens
        await buyer.write("Five dollars before the desk was there")
        await pay.click()
        there.set()
        await buyer.arrive_at_checkout()
        await buyer.page.locator("#card").fill(GOOD_CARD)
        await buyer.page.get_by_role("button", name="Pay $5.00").click()
        await buyer.expect_arrival("Five dollars before the desk was there")
        await expect(buyer.message("Five dollars before the desk was there")).to_contain_text("$5")
        await buyer.page.close()


async def test_a_text_outlives_a_desk_that_cannot_be_loaded(windows: Windows) -> None:
    """If the desk can't be loaded, the page says so, and after the reload that it offers the text can be paid."""
    windows.expect_note("desk.js|Failed to fetch|net::ERR")
    buyer = Window((await opened(windows))[0], windows.board.url)
    await buyer.page.route(DESK, lambda route: route.abort())
    await buyer.write("Written without a desk")
    await buyer.pay_button.click()
    await expect(buyer.notice).to_contain_text("ran into an error")
    await buyer.page.unroute(DESK)
    await buyer.notice.get_by_role("button", name="Reload").click()
    await expect(buyer.text).to_have_value("Written without a desk")
    await buyer.pay_button.click()
    await (await buyer.arrive_at_checkout()).pay()
    await buyer.expect_arrival("Written without a desk")
