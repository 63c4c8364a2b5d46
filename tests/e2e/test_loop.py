"""The whole flow, as people use it: write, pay, come back, and everybody sees the message."""

import asyncio
import json

import pytest
from playwright.async_api import Route, WebSocketRoute, expect

from tests.e2e.backstage import Backstage
from tests.e2e.conftest import Windows
from tests.e2e.window import Window

MOST_TABS = 25  # presses of the Tab key within which the element must have had the focus


async def test_the_loop_in_two_windows(windows: Windows) -> None:
    """The buyer comes back to the message, highlighted and focused; a viewer sees it without a reload."""
    buyer, watcher = await windows.open(), await windows.open()
    await watcher.page.evaluate("window.neverReloaded = true")

    checkout = await buyer.go_to_checkout("Hello from the first window", "Ada")
    await checkout.pay()

    await buyer.expect_arrival("Hello from the first window")
    message = watcher.message("Hello from the first window")
    await expect(message).to_contain_text("Ada")
    await expect(message).to_contain_text("$1")
    await expect(message).not_to_contain_class("mine")
    assert await watcher.page.evaluate("window.neverReloaded")


async def test_the_composer_is_ready_for_the_next_message(windows: Windows) -> None:
    """After posting, the composer is empty, the URL has no payment, and the button works again."""
    buyer = await windows.open("/?theme=plain")
    await (await buyer.go_to_checkout("Posted and cleared", "Grace")).pay()
    await buyer.expect_arrival("Posted and cleared")

    await expect(buyer.text).to_have_value("")
    await expect(buyer.name).to_have_value("Grace")
    await expect(buyer.pay_button).to_be_enabled()
    assert "payment=" not in buyer.page.url


@pytest.mark.long
async def test_every_window_has_one_order(windows: Windows, backstage: Backstage) -> None:
    """Messages are in the order in which they were paid, in the buyer's window as in any other."""
    buyer, watcher = await windows.open(), await windows.open()
    checkout = await buyer.go_to_checkout("Ordered first, paid second")
    first = await backstage.post("Ordered second, paid first")
    await checkout.pay()
    await buyer.expect_arrival("Ordered first, paid second")
    last = await backstage.post("Paid last")

    for window in (buyer, watcher):
        await expect(window.message("Paid last")).to_be_visible()
        ids = await window.ids()
        assert ids == sorted(set(ids))
        assert ids[-3::2] == [first, last]
        await expect(window.messages.nth(-2)).to_contain_text("Ordered first, paid second")


async def test_a_reload_keeps_what_is_mine(windows: Windows) -> None:
    """After a reload the message is still marked as the buyer's own, and only on that device."""
    buyer = await windows.open()
    await (await buyer.go_to_checkout("Mine after a reload")).pay()
    await buyer.expect_arrival("Mine after a reload")

    await buyer.page.reload()
    await expect(buyer.message("Mine after a reload")).to_contain_class("mine")
    stranger = await windows.open()
    await expect(stranger.message("Mine after a reload")).not_to_contain_class("mine")


async def test_two_tabs_highlight_their_own(windows: Windows) -> None:
    """Two payments in two tabs of one device: each tab highlights its own message, and both are marked as own."""
    left = await windows.open()
    right = await windows.open_tab(left.page.context)
    left_checkout = await left.go_to_checkout("From the left tab")
    right_checkout = await right.go_to_checkout("From the right tab")
    await right_checkout.pay()
    await right.expect_arrival("From the right tab")
    await left_checkout.pay()
    await left.expect_arrival("From the left tab")

    for window, other in ((left, "From the right tab"), (right, "From the left tab")):
        await expect(window.message(other)).to_contain_class("mine")
        await expect(window.message(other)).not_to_contain_class("highlight")
        await expect(window.page.locator(".highlight")).to_have_count(1)


async def test_a_message_that_another_tab_knows_first_is_there_once(windows: Windows, backstage: Backstage) -> None:
    """If another tab marks the paid message as own before this one has heard of it, this one still shows it once."""
    buyer = await windows.open()
    other = await windows.open_tab(buyer.page.context)
    checkout = await buyer.go_to_checkout("Known elsewhere first")
    heard, told = asyncio.Event(), asyncio.Event()
    await buyer.page.route_web_socket(
        "**/api/feed*", lambda socket: _hold_frames(socket, {"message.posted": heard, "payment.updated": told})
    )
    await backstage.set_faults(webhook={"delay_s": 2}, api={"hang_s": 2})
    await checkout.pay()
    await expect(buyer.publishing).to_contain_text("Known elsewhere first")

    async def answer_late(route: Route) -> None:
        await told.wait()
        await route.continue_()

    await buyer.page.route("**/api/payments/*", answer_late)
    await expect(other.message("Known elsewhere first")).to_contain_class("mine")
    heard.set()
    await expect(buyer.page.locator("#board li.mine", has_text="Known elsewhere first")).to_have_count(1)
    assert await buyer.message("Known elsewhere first").count() == 1
    await expect(other.card).to_be_hidden()
    told.set()
    await buyer.expect_arrival("Known elsewhere first")


@pytest.mark.long
async def test_the_same_words_again_are_shown_as_being_published(windows: Windows, backstage: Backstage) -> None:
    """A message in the words of an earlier one of the same buyer is shown as being published, too."""
    buyer = await windows.open()
    await (await buyer.go_to_checkout("The same words twice")).pay()
    await buyer.expect_arrival("The same words twice")
    checkout = await buyer.go_to_checkout("The same words twice")
    await backstage.set_faults(webhook={"delay_s": 2}, api={"hang_s": 2})
    await checkout.pay()
    await expect(buyer.publishing).to_contain_text("The same words twice")
    await expect(buyer.publishing).to_have_count(0)
    await expect(buyer.message("The same words twice")).to_have_count(2)


def _hold_frames(page: WebSocketRoute, until: dict[str, asyncio.Event]) -> None:
    """Hold frames of these types back until told."""
    server = page.connect_to_server()

    async def pass_on(frame: str, event: asyncio.Event) -> None:
        await event.wait()
        page.send(frame)

    def hear(frame: str | bytes) -> None:
        event = until.get(json.loads(frame)["type"])
        if event is None:
            page.send(frame)
        else:
            held.append(asyncio.ensure_future(pass_on(str(frame), event)))

    held: list[asyncio.Future[None]] = []
    server.on_message(hear)


async def test_a_double_click_makes_one_payment(windows: Windows, backstage: Backstage) -> None:
    """Two clicks on the page's button and two on the checkout's make one session and one message."""
    buyer = await windows.open()
    before = len(await backstage.sessions())
    await buyer.write("Clicked twice, paid once")
    await buyer.pay_button.dblclick()
    checkout = await buyer.arrive_at_checkout()
    await checkout.pay_button.dblclick()

    await buyer.expect_arrival("Clicked twice, paid once")
    assert len(await backstage.sessions()) == before + 1


async def test_control_and_enter_sends(windows: Windows) -> None:
    """Ctrl+Enter in the text goes to checkout, and Enter alone makes a new line."""
    buyer = await windows.open()
    await buyer.text.focus()
    await buyer.page.keyboard.type("Two")
    await buyer.page.keyboard.press("Enter")
    await buyer.page.keyboard.type("lines")
    await buyer.page.keyboard.press("Control+Enter")
    await (await buyer.arrive_at_checkout()).pay()
    await buyer.expect_arrival("Two\nlines")


async def test_the_keyboard_alone_is_enough(windows: Windows) -> None:
    """The whole flow works by keyboard alone, including the hosted page."""
    buyer = await windows.open()
    keyboard = buyer.page.keyboard
    await keyboard.press("Tab")
    await expect(buyer.page.get_by_role("link", name="Skip to writing a message")).to_be_focused()
    await keyboard.press("Enter")
    await expect(buyer.text).to_be_focused()
    await keyboard.type("Typed and paid by keyboard")
    await _tab_to(buyer, "#pay")
    await keyboard.press("Enter")
    await buyer.arrive_at_checkout()
    await _tab_to(buyer, "#pay")
    await keyboard.press("Enter")
    await buyer.expect_arrival("Typed and paid by keyboard")


async def _tab_to(window: Window, selector: str) -> None:
    wanted = window.page.locator(selector)
    await wanted.wait_for()
    for _ in range(MOST_TABS):
        await window.page.keyboard.press("Tab")
        if await wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{selector} cannot be reached with the Tab key")
