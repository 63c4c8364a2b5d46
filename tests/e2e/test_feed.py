"""The live board: lost connections, history, and a scroll position that never jumps."""

import asyncio
from pathlib import Path

from playwright.async_api import expect

from tests.e2e.backstage import Backstage, backstage_of
from tests.e2e.conftest import Windows
from tests.e2e.window import Window
from tests.support.served import free_port, served_board

PAGE = 50  # messages in a snapshot, and in a page of history
MORE_THAN_A_PAGE = PAGE + 10
LOST_CONNECTION = "WebSocket connection|ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_REFUSED"


async def test_what_was_missed_offline_is_caught_up(windows: Windows, backstage: Backstage) -> None:
    """A window that loses the network says so, and after reconnecting shows what it missed, once and in order."""
    reader = await windows.open()
    windows.expect_note(LOST_CONNECTION)
    await backstage.post("Seen before the tunnel")
    await expect(reader.message("Seen before the tunnel")).to_be_visible()

    await reader.page.context.set_offline(True)
    await expect(reader.page.locator("#connection")).to_have_attribute("data-state", "offline")
    missed = [await backstage.post(f"Missed in the tunnel, number {number}") for number in (1, 2, 3)]
    await reader.page.context.set_offline(False)

    await expect(reader.message("Missed in the tunnel, number 3")).to_be_visible()
    await reader.expect_live()
    ids = await reader.ids()
    assert ids[-3:] == missed
    assert ids == sorted(set(ids))


async def test_a_restart_loses_and_doubles_nothing(windows: Windows, tmp_path: Path) -> None:
    """Across a restart of the server a window continues without a reload, with every message exactly once."""
    port = free_port()
    with served_board(tmp_path, port) as board:
        reader = await windows.open(url=board.url)
        windows.expect_note(LOST_CONNECTION)
        await reader.page.evaluate("window.neverReloaded = true")
        async with backstage_of(board) as backstage:
            await backstage.post("Before the restart")
        await expect(reader.message("Before the restart")).to_be_visible()
    with served_board(tmp_path, port) as board:
        async with backstage_of(board) as backstage:
            await backstage.post("After the restart")
        await expect(reader.message("After the restart")).to_be_visible()
        await reader.expect_live()
        assert await reader.messages.locator(".text").all_inner_texts() == ["Before the restart", "After the restart"]
        assert await reader.page.evaluate("window.neverReloaded")
        await reader.page.close()


async def test_the_place_of_who_reads_back_is_kept(windows: Windows, backstage: Backstage) -> None:
    """New messages do not move a reader who has scrolled up; a pill counts them, and leads to the newest."""
    await _fill(backstage, 20)
    reader = await windows.open(viewport={"width": 800, "height": 400})
    await expect(reader.messages.last).to_be_in_viewport()
    await expect(reader.page.locator("#new-messages")).to_be_hidden()
    await reader.page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 4)")
    pill = reader.page.locator("#new-messages")
    await expect(pill).to_have_text("Latest")
    place = await reader.page.evaluate("scrollY")

    await backstage.post("New while reading back, one")
    await backstage.post("New while reading back, two")
    await expect(pill).to_have_text("2 new")
    assert await reader.page.evaluate("scrollY") == place
    await pill.click()
    await expect(reader.message("New while reading back, two")).to_be_in_viewport()
    await expect(pill).to_be_hidden()


async def test_older_messages_load_by_keyboard(windows: Windows, backstage: Backstage) -> None:
    """The button for older messages works by keyboard, and loads the previous page without gaps or duplicates."""
    await _fill(backstage, MORE_THAN_A_PAGE)
    reader = await windows.open(viewport={"width": 800, "height": 400})
    older = reader.page.locator("#load-older")
    await expect(older).to_be_visible()
    newest = await reader.ids()
    assert len(newest) == PAGE
    await older.focus()
    await reader.page.keyboard.press("Enter")

    await expect(reader.messages.nth(PAGE)).to_be_attached()
    ids = await reader.ids()
    assert ids[-PAGE:] == newest
    assert ids == sorted(set(ids))


async def test_a_permalink_opens_history_there(windows: Windows, backstage: Backstage) -> None:
    """A link to the very first message shows it, although it is not on the newest page."""
    await _fill(backstage, MORE_THAN_A_PAGE)
    first = (await backstage.messages(after=0))[0]
    reader = await windows.open(f"/#m{first['id']}")
    await expect(reader.page.locator(f"#board [data-id='{first['id']}']")).to_be_in_viewport()


async def test_a_hidden_window_counts_in_its_title(windows: Windows, backstage: Backstage) -> None:
    """The window's title is the board's, and counts unread messages while the window is hidden."""
    reader = await windows.open()
    title = windows.board.settings.title
    await expect(reader.page).to_have_title(title)
    await _hide(reader, hidden=True)
    await backstage.post("Posted while nobody looked")
    await expect(reader.page).to_have_title(f"(1) {title}")
    await _hide(reader, hidden=False)
    await expect(reader.page).to_have_title(title)


async def _fill(backstage: Backstage, count: int) -> None:
    """Have others post until the board has `count` messages; it is shared, so there may be some already."""
    missing = count - len(await backstage.messages(after=0))
    at_once = asyncio.Semaphore(4)

    async def post(number: int) -> None:
        async with at_once:
            await backstage.post(f"One of many, number {number}")

    await asyncio.gather(*map(post, range(missing)))


async def _hide(window: Window, *, hidden: bool) -> None:
    """Do to the page what the browser does when another tab is shown; a headless one is never hidden."""
    await window.page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          Object.defineProperty(document, "visibilityState",
            { value: hidden ? "hidden" : "visible", configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
