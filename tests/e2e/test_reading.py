"""Reading the board: the first paint and who takes it over, pins, long texts, links, and a list that stays small."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from tests.e2e.axe import SCHEMES, expect_accessible
from tests.e2e.conftest import Windows
from tests.support.board_client import act, http_client, post, start
from tests.support.rows import opened, write_messages
from tests.support.served import Served, served_board

TIERS = "1:0,5:4,20:600,50:600,100:600,200:600"
EPOCH = "of-the-test"
MOST_NODES = 6_000
MOST_SHIFT = 0.005  # times are put into the reader's words, so each starts some pixels further right; 0.1 is noticeable
MOST_KEY_MS = 8
# Before the page's scripts run: marks what the server has drawn, and records where it stands and what moves.
WITNESS_OF_THE_PAINT = """
document.addEventListener("readystatechange", () => {
  if (document.readyState !== "interactive") return;
  for (const item of document.querySelectorAll("#board .message, #pins li")) item.standing = true;
});
window.shifted = 0;
new PerformanceObserver((list) => list.getEntries().forEach((shift) => { window.shifted += shift.value; }))
  .observe({ type: "layout-shift", buffered: true });
"""
A_YEAR_AHEAD = "{ const now = Date.now; Date.now = () => now() + 31_536_000_000; }"


async def test_the_first_paint_is_taken_over(windows: Windows, tmp_path: Path) -> None:
    """Nothing is drawn anew and nothing moves, settings are not asked for, and the feed resumes after the document."""
    with served_board(tmp_path, tiers=TIERS) as board:
        async with http_client(board) as client:
            for number in range(30):
                await post(client, f"Message {number}", author="Ann", amount=2000 if number == 3 else 100)
            device = await windows.device(viewport={"width": 390, "height": 844})
            await device.add_init_script(WITNESS_OF_THE_PAINT)
            page = await device.new_page()
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            page.on("websocket", lambda socket: asked.append(socket.url))
            await page.goto(board.url)
            await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
            drawn = "[...document.querySelectorAll('#board .message, #pins li')].map((item) => Boolean(item.standing))"
            assert await page.evaluate(drawn) == [True] * 31
            assert await page.evaluate("window.shifted") < MOST_SHIFT
            assert [url for url in asked if url.endswith("/api/board")] == []
            [socket] = [url for url in asked if url.startswith("ws")]
            assert "?after=30&epoch=" in socket
            await expect(page.locator("#board .message").last).to_be_in_viewport()
            await post(client, "Posted since")
            await expect(page.locator("#board .message").last).to_contain_text("Posted since")
            assert await page.evaluate(drawn) == [True] * 31 + [False]
        await page.close()


async def test_what_is_pinned_stands_on_top_for_its_time(windows: Windows, tmp_path: Path) -> None:
    """Pins come, go and end live, by the server's clock, and a message's weight grows with its amount."""
    with served_board(tmp_path, tiers=TIERS) as board:
        async with http_client(board) as client:
            device = await windows.device()
            await device.add_init_script(A_YEAR_AHEAD)
            reader = await windows.open_tab(device, url=board.url)
            pins = reader.page.locator("#pins li")
            await expect(reader.page.get_by_role("region", name="Pinned")).to_be_hidden()
            payment = await start(client, "On top for ten minutes", amount=2000)
            await act(client, payment, "pay")
            await post(client, "On top for four seconds", amount=500)
            await post(client, "Not on top")
            await expect(pins).to_have_count(2)
            await expect(pins.first).to_contain_text("On top for ten minutes")
            await expect(pins.first).to_contain_text("10 min")
            weights = "items => items.map((item) => item.dataset.weight)"
            assert await reader.messages.evaluate_all(weights) == ["2", "1", "0"]
            assert await reader.messages.locator(".amount").all_inner_texts() == ["$20", "$5", "$1"]
            await expect(pins).to_have_count(1)  # the other has ended
            await pins.get_by_role("link").click()
            await expect(reader.message("On top for ten minutes")).to_be_focused()
            assert reader.page.url.endswith("/m/1")
            await act(client, payment, "refund")
            await expect(reader.page.get_by_role("region", name="Pinned")).to_be_hidden()
        await reader.page.close()


@pytest.mark.long
async def test_every_weight_is_accessible(windows: Windows, tmp_path: Path) -> None:
    """Messages of every amount, pinned and in the list, have no axe violations, in light, dark and forced colours."""
    with served_board(tmp_path, tiers=TIERS) as board:
        async with http_client(board) as client:
            for amount in (100, 500, 2000, 5000, 10_000, 20_000):
                await post(client, f"Paid {amount}, see https://example.org/", author="Ann", amount=amount)
        for forced, schemes in (("none", SCHEMES), ("active", SCHEMES[:1])):
            reader = await windows.open(url=board.url, viewport={"width": 320, "height": 640}, forced_colors=forced)
            assert await reader.messages.evaluate_all("all => all.map((one) => one.dataset.weight)") == list("012345")
            await expect_accessible(reader.page, schemes)
            assert await reader.overflow() <= 0
            await reader.page.close()


async def test_with_one_price_no_message_shows_it(windows: Windows, own_board: Served) -> None:
    """If every message costs the same, there is no column of amounts."""
    async with http_client(own_board) as client:
        await post(client, "One of the first paint")
        reader = await windows.open(url=own_board.url)
        await post(client, "One that came live")
    await expect(reader.messages).to_have_count(2)
    assert await reader.messages.locator(".amount").evaluate_all("all => all.map((one) => one.offsetWidth)") == [0, 0]


async def test_how_many_watch_and_what_was_raised_is_shown(windows: Windows, tmp_path: Path) -> None:
    """The header counts those who watch, once there are two, and the money raised, if the operator shows it."""
    with served_board(tmp_path, show_raised="on") as board:
        async with opened(board.settings.database_url) as database:
            await write_messages(database, 12)
        first, second = await windows.open(url=board.url), await windows.open(url=board.url)
        await expect(first.page.locator("#raised")).to_have_text("$12 raised")
        await expect(second.page.locator("#raised")).to_have_text("$12 raised")
        await expect(second.page.locator("#viewers")).to_have_text("2 watching")
        for window in (first, second):
            await window.page.close()


async def test_texts_are_read_in_full_and_links_are_safe(windows: Windows, own_board: Served) -> None:
    """A long text is cut off until asked for; addresses are links; a right-to-left message is so as a whole."""
    async with http_client(own_board) as client:
        await post(client, "\n".join("abcdefghijklmnopqrst"))
        await post(client, "See https://example.org/a?b=c. Not https://user@example.org/")
        await post(client, "שלום לכולם", author="דנה")
    reader = await windows.open(url=own_board.url, viewport={"width": 390, "height": 844})
    long, linked, hebrew = [reader.messages.nth(index) for index in range(3)]
    more = long.get_by_role("button", name="Show more")
    cut = await long.evaluate(HEIGHT)
    assert cut < 8 * 26
    await more.click()
    await expect(long.get_by_role("button", name="Show less")).to_have_attribute("aria-expanded", "true")
    assert await long.evaluate(HEIGHT) > 2 * cut
    [link] = await linked.locator(".words a").all()
    assert await link.inner_text() == await link.get_attribute("href") == "https://example.org/a?b=c"
    assert await link.get_attribute("rel") == "nofollow ugc noopener"
    edges = "item => [...item.querySelectorAll('.author, .words')].map((one) => one.getBoundingClientRect().right)"
    author, words = await hebrew.evaluate(edges)
    assert abs(author - words) < 2


async def test_a_buyer_stays_with_their_message(windows: Windows, own_board: Served) -> None:
    """While others post, a buyer's own message stays in view; a pill counts those that are below, and leads to them."""
    buyer = await windows.open(url=own_board.url, viewport={"width": 800, "height": 500})
    await (await buyer.go_to_checkout("Mine")).pay()
    await buyer.expect_arrival("Mine")
    pill = buyer.page.locator("#new-messages")
    await expect(pill).to_be_hidden()
    async with http_client(own_board) as client:
        await asyncio.gather(*(post(client, f"Somebody else's, {number}") for number in range(20)))
    await expect(pill).to_have_text(re.compile(r"^\d+ new$"))
    await expect(buyer.message("Mine")).to_be_in_viewport()
    await pill.click()
    await expect(buyer.messages.last).to_be_in_viewport()
    await expect(pill).to_be_hidden()
    async with http_client(own_board) as client:
        await post(client, "The newest")
    await expect(buyer.message("The newest")).to_be_in_viewport()
    await buyer.page.close()


async def test_writing_leaves_the_reader_in_place(windows: Windows, own_board: Served) -> None:
    """Neither a click into the form nor a key, a new line or Backspace scrolls a page that is not at the end."""
    async with opened(own_board.settings.database_url) as database:
        await write_messages(database, 50)
    window = await windows.open(url=own_board.url, viewport={"width": 800, "height": 500})
    page = window.page
    await page.evaluate("scrollTo(0, 300)")
    places = [await page.evaluate(PLACE)]
    box = await window.text.bounding_box()
    assert box
    await page.mouse.click(box["x"] + 20, box["y"] + 10)  # Locator.click() would scroll by itself
    places.append(await page.evaluate(PLACE))
    for key in (*"Slowly", "Enter", *"down", "Backspace"):
        await page.keyboard.press(key)
        places.append(await page.evaluate(PLACE))
    await page.keyboard.press("Tab")
    await page.keyboard.type("Ada")
    places.append(await page.evaluate(PLACE))
    assert places == [300] * len(places)
    await window.messages.last.focus()
    dock, last = await page.locator(".dock").bounding_box(), await window.messages.last.bounding_box()
    assert dock
    assert last
    assert last["y"] + last["height"] <= dock["y"]


async def test_the_page_stays_with_the_message_of_its_address(windows: Windows, own_board: Served) -> None:
    """A board a little higher than the screen does not follow its end past the message that it was opened at."""
    async with opened(own_board.settings.database_url) as database:
        await write_messages(database, 8)
    page = await (await windows.device(viewport={"width": 390, "height": 300})).new_page()
    await page.goto(f"{own_board.url}/m/1")
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    rest = "document.documentElement.scrollHeight - innerHeight"
    await page.set_viewport_size({"width": 390, "height": 300 + await page.evaluate(rest) - 70})
    await page.reload()
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    for _ in range(2):
        await expect(page.locator("#m1 .text")).to_be_in_viewport(ratio=1)
        bar, message = await page.locator(".top").bounding_box(), await page.locator("#m1").bounding_box()
        assert bar
        assert message
        assert message["y"] > bar["y"] + bar["height"] - 1
        async with http_client(own_board) as client:
            await post(client, "The newest")
        await expect(page.locator("#board .message").last.locator(".text")).to_have_text("The newest")


async def test_the_keyboard_stops_once_in_the_list(windows: Windows, own_board: Served) -> None:
    """Tab reaches one message and its controls, and arrow keys the others; passing by loads nothing."""
    async with opened(own_board.settings.database_url) as database:
        await write_messages(database, 60)
    reader = await windows.open(url=own_board.url, viewport={"width": 800, "height": 500})
    keyboard = reader.page.keyboard
    await reader.text.focus()
    for _ in range(3):  # its Share button, its time, itself
        await keyboard.press("Shift+Tab")
    await expect(reader.messages.last).to_be_focused()
    await keyboard.press("ArrowUp")
    await expect(reader.messages.nth(48)).to_be_focused()
    await keyboard.press("Tab")
    await expect(reader.messages.nth(48).locator(".when")).to_be_focused()
    await keyboard.press("Shift+Tab")
    await keyboard.press("Shift+Tab")
    await expect(reader.page.locator("#load-older")).to_be_focused()
    await keyboard.press("Shift+Tab")
    await asyncio.sleep(0.3)  # as long as loading would take
    await expect(reader.messages).to_have_count(50)


async def test_sharing_is_native_or_copies_and_the_toast_goes(windows: Windows, own_board: Served) -> None:
    """The link of a message goes to the system's dialog if there is one, else to the clipboard; the toast goes away."""
    async with http_client(own_board) as client:
        await post(client, "Worth sharing")
    device = await windows.device(permissions=["clipboard-read", "clipboard-write"])
    reader = await windows.open_tab(device, url=own_board.url)
    share = reader.messages.first.get_by_role("button", name="Share")
    await reader.messages.first.hover()
    await share.click()
    await expect(reader.notice).to_contain_text("Link copied.")
    assert await reader.page.evaluate("navigator.clipboard.readText()") == f"{own_board.url}/m/1"
    await reader.notice.hover()
    await asyncio.sleep(3.2)
    await expect(reader.notice).to_be_visible()
    await reader.page.mouse.move(0, 0)
    await expect(reader.notice).to_be_hidden()
    await reader.page.evaluate("() => { navigator.share = async ({ url }) => { window.shared = url; }; }")
    await share.click()
    assert await reader.page.evaluate("window.shared") == f"{own_board.url}/m/1"
    await expect(reader.notice).to_be_hidden()


@pytest.mark.long
async def test_the_list_stays_small_and_still_while_thousands_arrive(windows: Windows, own_board: Served) -> None:
    """While 3,000 messages arrive, a reader of old ones stays in place, the document small, and keys fast."""
    device = await windows.device(viewport={"width": 800, "height": 600})
    page = await device.new_page()
    sockets: list[WebSocketRoute] = []
    await page.route_web_socket("**/api/feed*", lambda socket: _play_server(socket, sockets))
    await page.goto(own_board.url)
    await expect(page.locator("#board .message")).to_have_count(50)
    await _post(page, sockets[0], range(51, 251))
    await page.evaluate("scrollTo(0, 1500)")
    await page.evaluate(WATCH_PLACE)
    for first in range(251, 3051, 100):
        await _post(page, sockets[0], range(first, first + 100))
    assert await page.evaluate("window.jumps") == []
    assert await page.locator("#new-messages").inner_text() == "2800 new"
    assert await page.evaluate(COUNT_NODES) < MOST_NODES
    assert await page.evaluate(KEY_MS) < MOST_KEY_MS
    await page.locator("#new-messages").click()
    await expect(page.locator("#m3050")).to_be_in_viewport()
    for _ in range(12):  # back up through what is known but not drawn
        await page.evaluate("scrollTo(0, 0)")
        await page.evaluate(
            "() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
        )
        assert await page.evaluate(COUNT_NODES) < MOST_NODES
    ids = await page.locator("#board .message").evaluate_all("items => items.map((item) => Number(item.dataset.id))")
    assert ids == list(range(ids[0], ids[0] + 300))
    assert ids[0] < 2300


HEIGHT = "item => item.offsetHeight"
PLACE = "() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(scrollY))))"
TWO_FRAMES = "() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
WATCH_PLACE = """() => new Promise((resolve) => requestAnimationFrame(() => {
  const item = [...document.querySelectorAll("#board .message")].find((one) => one.getBoundingClientRect().top > 150);
  const place = item.getBoundingClientRect().top;
  window.jumps = [];
  const look = () => {
    const moved = item.getBoundingClientRect().top - place;
    if (moved !== 0) window.jumps.push(moved);
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  resolve();
}))"""
COUNT_NODES = """() => {
  const walker = document.createTreeWalker(document, NodeFilter.SHOW_ALL);
  let count = 0;
  while (walker.nextNode()) count += 1;
  return count;
}"""
# The median of what typing a character costs, layout included.
KEY_MS = """() => {
  const text = document.querySelector("#message-text");
  text.focus();
  const times = Array.from({ length: 21 }, () => {
    const before = performance.now();
    document.execCommand("insertText", false, "x");
    document.body.getBoundingClientRect();
    return performance.now() - before;
  });
  return times.sort((a, b) => a - b)[10];
}"""


def _message(number: int) -> dict[str, Any]:
    posted = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    text = f"Message {number}: " + "word " * (number % 30)
    money = {"amount": 100, "currency": "usd"}
    return {"id": number, "text": text, "author": None, **money, "posted_at": posted.isoformat(), "pinned_until": None}


def _play_server(socket: WebSocketRoute, sockets: list[WebSocketRoute]) -> None:
    messages = [_message(number) for number in range(1, 51)]
    now = datetime.now(UTC).isoformat()
    snapshot = {"type": "snapshot", "epoch": EPOCH, "seq": 50, "messages": messages, "has_more": False}
    socket.send(json.dumps(snapshot | {"pinned": [], "now": now}))
    sockets.append(socket)


async def _post(page: Page, socket: WebSocketRoute, ids: range) -> None:
    """Send messages, and wait until the last one is drawn, or known."""
    for number in ids:
        socket.send(json.dumps({"type": "message.posted", "seq": number, "message": _message(number)}))
    await page.evaluate(TWO_FRAMES)
