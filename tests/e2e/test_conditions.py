"""Difficult conditions: plain HTTP, slow responses, old browsers, unexpected errors."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, WebSocketRoute, expect

from tests.e2e.backstage import Backstage
from tests.e2e.conftest import Windows
from tests.e2e.window import Window
from tests.support.browsers import PLAIN_HOST
from tests.support.served import Served, free_port, served_board

BROKEN = "This page ran into an error"
TOO_OLD = "This board needs a newer browser: Chrome or Edge 105, Firefox 115, Safari 16, or anything newer."
NEEDED = (
    "window.fetch",
    "ResizeObserver",
    "Array.prototype.at",
    "HTMLFormElement.prototype.requestSubmit",
    "Intl.RelativeTimeFormat",
)
NEWER = ("Intl.Segmenter", "URL.canParse", "Array.prototype.toSpliced", "crypto.randomUUID", "Promise.withResolvers")

# Before the page's scripts run, takes away the data for them, and the words that the server made from it.
WITHOUT_OPENING = """
document.addEventListener("readystatechange", () => {
  if (document.readyState !== "interactive") return;
  document.getElementById("opening").remove();
  document.querySelector("#placeholder > p").textContent = "Opening the board…";
  document.getElementById("pay").textContent = "";
});
"""


async def test_the_loop_over_plain_http(windows: Windows, tmp_path: Path) -> None:
    """Under a name other than localhost and without HTTPS, messages are paid, highlighted, seen live, and linked to."""
    port = free_port()
    with served_board(tmp_path, port, public_url=f"http://{PLAIN_HOST}:{port}") as board:
        url = board.settings.public_url.rstrip("/")
        buyer, watcher = await windows.open(url=url), await windows.open(url=url)
        assert not await buyer.page.evaluate("isSecureContext")
        await (await buyer.go_to_checkout("Over plain HTTP")).pay()
        await buyer.expect_arrival("Over plain HTTP")
        await expect(watcher.message("Over plain HTTP")).to_be_visible()
        await buyer.card.get_by_role("button", name="Copy link").click()
        await expect(buyer.notice).to_contain_text("in the address bar")
        assert buyer.page.url == f"{url}/m/{(await buyer.ids())[0]}"
        for window in (buyer, watcher):
            await window.page.close()


@pytest.mark.parametrize("late", ["**/api/board", "**/api/feed"])
async def test_without_an_opening_the_page_asks_for_it(windows: Windows, own_board: Served, late: str) -> None:
    """A document without data asks for it; whichever arrives first, price or messages, the invitation is correct."""
    page = await (await windows.device()).new_page()
    seen = await _watch_placeholder(page)
    await page.add_init_script(WITHOUT_OPENING)
    held = asyncio.Event()
    await _hold(page, late, held)
    await page.goto(own_board.url)
    if late.endswith("board"):
        await expect(page.locator("#placeholder > p")).to_have_text("Nothing here yet.")
        await expect(page.locator("#pay")).to_be_disabled()
    else:
        await expect(page.locator("#pay")).to_have_text("Pay $1 and send")
    held.set()
    await expect(page.locator("#placeholder > p")).to_have_text(
        "Nothing here yet. Be the first: $1 puts your words on the board."
    )
    assert [words for words in seen if "Be the first" in words and "$1" not in words] == []
    assert [words for words in seen if "little" in words] == []


@pytest.mark.parametrize("missing", NEEDED)
async def test_a_browser_that_is_too_old_is_told_so(windows: Windows, missing: str) -> None:
    """If a required feature is missing, the page says which browsers it needs, and offers nothing else."""
    page = await (await windows.device()).new_page()
    await page.add_init_script(f"delete {missing}")
    await page.goto(windows.board.url)
    await expect(page.get_by_role("alert")).to_have_text(TOO_OLD)
    await expect(page.locator("#composer")).to_be_hidden()


async def test_a_browser_of_the_floor_needs_nothing_newer(windows: Windows) -> None:
    """Without any feature newer than the oldest supported browsers, the page works as usual."""
    buyer_device = await windows.device()
    await buyer_device.add_init_script("".join(f"delete {name};" for name in NEWER))
    buyer = await windows.open_tab(buyer_device)
    assert await buyer.page.evaluate("Intl.Segmenter") is None
    await (await buyer.go_to_checkout("Paid in an old browser 👩‍👩‍👧‍👦")).pay_by_bank_debit()
    await expect(buyer.card).to_contain_text("“\u2068Paid in an old browser 👩‍👩‍👧‍👦\u2069”")


@pytest.mark.parametrize("trouble", ["throw", "syntax", "404"])
async def test_a_page_that_cannot_start_says_so(windows: Windows, trouble: str) -> None:
    """If a script fails, can't be parsed or doesn't load, also after one reload, the page shows a message."""
    page = await (await windows.device()).new_page()
    loads = _loads(page)
    windows.expect_note("too modern|SyntaxError|Unexpected|404")
    throwing = "export class BoardView { constructor() { throw new Error('too modern'); } }"
    body = {"throw": throwing, "syntax": "import { a } of 'b' #"}.get(trouble)

    async def answer(route: Route) -> None:
        if body is None:
            await route.fulfill(status=404)
        else:
            await route.fulfill(body=body, content_type="text/javascript")

    await page.route("**/reading/view.js", answer)
    await page.goto(windows.board.url)
    await expect(page.get_by_role("alert")).to_contain_text("start. Please reload it.")
    await expect(page.get_by_role("alert")).to_contain_text("newer browser")
    await expect(page.locator("#composer")).to_be_hidden()
    assert len(loads) == 2


async def test_modules_of_two_versions_are_loaded_again(windows: Windows) -> None:
    """A page that met two versions of its modules during an upgrade reloads by itself, and may do so again later."""
    page = await (await windows.device()).new_page()
    loads = _loads(page)
    windows.expect_note("SyntaxError|does not provide an export")
    for count in (2, 4):
        await page.route(
            "**/reading/view.js",
            lambda route: route.fulfill(body="export {}", content_type="text/javascript"),
            times=1,
        )
        await page.goto(windows.board.url)
        await expect(page.locator("html")).to_have_attribute("data-page", "started")
        await expect(page.locator("#connection")).to_have_text("Live")
        assert len(loads) == count


def _loads(page: Page) -> list[str]:
    """Collect the documents that a page loads."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url) if request.is_navigation_request() else None)
    return found


async def test_without_javascript_the_board_is_readable(windows: Windows, backstage: Backstage) -> None:
    """The newest messages can be read and their addresses followed, the form says what it needs, nothing is dead."""
    message_id = await backstage.post("Read without JavaScript", "Ada")
    device = await windows.device(java_script_enabled=False)
    reader = Window(await device.new_page(), windows.board.url)
    await reader.page.goto(windows.board.url)
    await expect(reader.message("Read without JavaScript")).to_be_visible()
    await expect(reader.page.locator("#composer noscript p")).to_be_visible()
    await expect(reader.text).to_be_hidden()
    assert await reader.page.get_by_role("button").all_inner_texts() == []
    await reader.message("Read without JavaScript").get_by_role("link").click()
    assert reader.page.url.endswith(f"/m/{message_id}")
    await expect(reader.message("Read without JavaScript")).to_contain_class("target")


async def test_an_error_while_paying_gives_the_button_back(windows: Windows) -> None:
    """Any failure between the click and checkout is shown, the text stays, and trying again works."""
    buyer = await windows.open()
    windows.expect_note("no randomness today")
    await buyer.write("Paid at the second try")
    await buyer.page.evaluate(
        """() => {
          const real = crypto.getRandomValues;
          crypto.getRandomValues = () => { crypto.getRandomValues = real; throw new Error("no randomness today"); };
        }"""
    )
    await buyer.pay_button.click()
    await expect(buyer.notice).to_contain_text(BROKEN)
    await expect(buyer.notice).to_contain_text("Your text is kept")
    await expect(buyer.pay_button).to_be_enabled()
    await expect(buyer.text).to_have_value("Paid at the second try")
    await buyer.notice.get_by_role("button", name="Try again").click()
    await (await buyer.arrive_at_checkout()).pay()
    await buyer.expect_arrival("Paid at the second try")


async def test_an_error_that_nobody_caught_is_said_once(windows: Windows) -> None:
    """Unhandled errors and rejections become one notice with a Reload button, and the board continues."""
    reader = await windows.open()
    windows.expect_note("nobody caught")
    fail = """() => {
      setTimeout(() => { throw new Error("nobody caught this"); });
      Promise.reject(new Error("nobody caught that"));
    }"""
    await reader.page.evaluate(fail)
    await expect(reader.notice).to_contain_text(BROKEN)
    await expect(reader.notice.get_by_role("button", name="Reload")).to_be_visible()
    await reader.notice.get_by_role("button", name="Dismiss").click()
    await reader.page.evaluate(fail)
    await reader.page.evaluate("() => new Promise((resolve) => setTimeout(resolve, 50))")
    await expect(reader.notice).to_be_hidden()
    await reader.expect_live()


async def _watch_placeholder(page: Page) -> list[str]:
    """Record everything that is shown in place of the messages, at any time."""
    seen: list[str] = []

    def hear(words: str) -> None:  # Playwright can't call a built-in method
        seen.append(words)

    await page.expose_function("placeholderSaid", hear)
    await page.add_init_script(
        """addEventListener("DOMContentLoaded", () => {
          const placeholder = document.querySelector("#placeholder");
          const tell = () => placeholderSaid(placeholder.querySelector("p").textContent);
          new MutationObserver(tell).observe(placeholder, { childList: true, characterData: true, subtree: true });
          tell();
        })"""
    )
    return seen


async def _hold(page: Page, address: str, until: asyncio.Event) -> None:
    """Hold the responses from a URL until told."""
    if "feed" in address:

        async def connect_late(socket: WebSocketRoute) -> None:
            await until.wait()
            socket.connect_to_server()

        await page.route_web_socket(address, connect_late)
        return

    async def answer_late(route: Route) -> None:
        await until.wait()
        await route.continue_()

    await page.route(address, answer_late)
