"""Measures the page in a real Chromium: what it loads and when it shows something, and how it copes with a busy board.

./dev bench page [--rounds N] [--quick]
"""

import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from benchmarks import _lighthouse as lighthouse
from benchmarks._browser import SLOW, Traffic, chromium, main_thread_us, watch_thread
from benchmarks._events import check_all_posted, posts
from benchmarks._figures import (
    CATEGORIES,
    ELEMENTS,
    FIRST_MESSAGE,
    FRAMES,
    JUMP,
    KEY_PRESS,
    LIGHTHOUSE,
    LOADED,
    PAIDCHAT,
    READ,
    VISITS,
)
from benchmarks._http import whole_answer
from benchmarks._records import Record
from benchmarks._rounds import Options, keep, options
from benchmarks._servers import Server, board
from benchmarks._stores import sqlite_store
from tests.support.browsers import PLAIN_HOST

POSTS, POSTS_PER_S = 5_000, 50
KEYS = 40
PAGE_MESSAGES = 50
HISTORY = READ + PAGE_MESSAGES
SCROLLED_UP_PX = 1_500
READER: ViewportSize = {"width": 1280, "height": 800}

# A frame that has a message: with style sheets that hold up rendering there is no frame before they are loaded.
NOTE_FIRST_MESSAGE = """
const look = () => {
  if (document.querySelector("#board li.message")) window.firstMessage = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
# Follows the message in the middle of the screen: how far it moves from one frame to the next, at most.
WATCH_FRAMES = """() => {
  const inTheMiddle = document.elementsFromPoint(innerWidth / 2, innerHeight / 2);
  const message = inTheMiddle.map((element) => element.closest("li.message")).find(Boolean);
  const watched = (window.watched = { frames: 0, jump: 0, nodes: 0, since: performance.now() });
  let top = message.getBoundingClientRect().top;
  const frame = () => {
    const now = message.getBoundingClientRect().top;
    watched.jump = Math.max(watched.jump, message.isConnected ? Math.abs(now - top) : Infinity);
    top = now;
    watched.frames += 1;
    if (watched.frames % 60 === 0) watched.nodes = Math.max(watched.nodes, document.getElementsByTagName("*").length);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""
TAKE_FRAMES = "() => ({ ...watched, rate: watched.frames * 1000 / (performance.now() - watched.since) })"


def open_live(page: Page, url: str) -> None:
    """Open the board, and wait until it is live and has nothing left to load."""
    page.goto(url)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    page.wait_for_load_state("networkidle")


def visit(context: BrowserContext, url: str) -> Iterator[tuple[Traffic, float]]:
    """Visit the page with what its cache has; yields what was loaded and the ms until a message was shown."""
    page = context.new_page()
    page.add_init_script(NOTE_FIRST_MESSAGE)
    chrome = context.new_cdp_session(page)
    traffic = Traffic()
    traffic.watch(chrome)
    chrome.send("Network.emulateNetworkConditions", SLOW)
    open_live(page, url)
    yield traffic, page.evaluate("window.firstMessage")
    page.close()


def measure_visits(browser: Browser, url: str) -> Iterator[Record]:
    """Measure a first visit on a slow network, and the next one."""
    context = browser.new_context()
    for name in VISITS:
        for traffic, first_ms in visit(context, url):
            yield Record(LOADED[name], PAIDCHAT, kib=traffic.size / 1024, count=len(traffic.statuses))
            yield Record(FIRST_MESSAGE[name], PAIDCHAT, wall=first_ms * 1e3)
    context.close()


def post_at_rate(server: Server, count: int) -> None:
    """Post messages at an even rate; a late one does not delay those after it."""
    requests = posts(server, count)
    # Not by `send`: Playwright's event loop runs in this thread already.
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        began = time.monotonic()
        for number, request in enumerate(requests):
            time.sleep(max(0.0, began + number / POSTS_PER_S - time.monotonic()))
            connection.sendall(request)
            received = b""
            while whole_answer(received) is None:
                received += connection.recv(65536)
            assert received.startswith(b"HTTP/1.1 200 "), received


def measure_reading(browser: Browser, url: str, server: Server, count: int) -> Iterator[Record]:
    """Measure a page that is scrolled up while messages are posted."""
    page = browser.new_page(viewport=READER)
    open_live(page, url)
    page.evaluate("height => scrollBy(0, -height)", SCROLLED_UP_PX)
    page.evaluate("new Promise(requestAnimationFrame)")
    page.evaluate(WATCH_FRAMES)
    post_at_rate(server, count)
    watched = page.evaluate(TAKE_FRAMES)
    page.close()
    yield Record(FRAMES, PAIDCHAT, count=watched["rate"])
    yield Record(ELEMENTS, PAIDCHAT, count=watched["nodes"])
    yield Record(JUMP, PAIDCHAT, count=watched["jump"])


def read_back(page: Page, message_id: int) -> None:
    """Scroll up until a message is on the page, which has the newest ones."""
    oldest = "() => Number(document.querySelector('#board li.message').dataset.id)"
    while (known := page.evaluate(oldest)) > message_id:
        page.evaluate("scrollTo(0, 0)")
        page.locator("#load-older").dispatch_event("click")
        page.wait_for_function(f"known => ({oldest})() < known", arg=known)


def measure_keys(browser: Browser, url: str) -> Iterator[Record]:
    """Measure what a key costs the main thread after much of the history was read."""
    page = browser.new_page(viewport=READER)
    open_live(page, url)
    read_back(page, HISTORY - READ + 1)
    page.get_by_label("Message", exact=True).focus()
    page.keyboard.type("Warm-up. ")
    letters = list(itertools.islice(itertools.cycle("Each key is drawn. "), KEYS))
    spent = spend(page, letters) - spend(page, [""] * KEYS)
    page.close()
    yield Record(KEY_PRESS, PAIDCHAT, cpu=spent / KEYS)


def spend(page: Page, keys: list[str]) -> float:
    """Press keys, each in a frame of its own; returns the main thread's CPU time in µs. An empty one is not pressed."""
    chrome = watch_thread(page)
    before = main_thread_us(chrome)
    for key in keys:
        if key:
            page.keyboard.press("Space" if key == " " else key)
        page.evaluate("new Promise(requestAnimationFrame)")
    return main_thread_us(chrome) - before


def measure_scores(url: str) -> Iterator[Record]:
    """Return Lighthouse's scores; none if it is not installed or can't run here."""
    if not lighthouse.PROGRAM.exists():
        print("Lighthouse is left out: npm ci in tools/lighthouse installs it", file=sys.stderr)
        return
    for form in dict.fromkeys(form for form, _ in LIGHTHOUSE):
        try:
            found = lighthouse.scores(url, form)
        except subprocess.SubprocessError as error:
            print(f"Lighthouse is left out: {error}", file=sys.stderr)
            return
        yield from (Record(LIGHTHOUSE[form, category], PAIDCHAT, count=found[category]) for category in CATEGORIES)


def measure_round(how: Options, browser: Browser) -> Iterator[Record]:
    """Measure everything once."""
    with sqlite_store(messages=HISTORY) as store, board(store, host="localhost") as server:
        yield from measure_scores(f"http://localhost:{server.port}/")
    with sqlite_store(messages=HISTORY) as store, board(store, host=PLAIN_HOST) as server:
        url = f"http://{PLAIN_HOST}:{server.port}/"
        yield from measure_visits(browser, url)
        yield from measure_keys(browser, url)
        yield from measure_reading(browser, url, server, how.amount(POSTS))
        check_all_posted(server)


def main() -> None:
    """Measure in rounds."""
    how = options()
    records: list[Record] = []
    with chromium() as browser:
        for number in range(1, how.rounds + 1):
            records += [replace(record, round=number) for record in measure_round(how, browser)]
            print(f"round {number} of {how.rounds}", file=sys.stderr, flush=True)
    keep("page", how, records)


if __name__ == "__main__":
    main()
