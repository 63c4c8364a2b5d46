"""Measures the time from the click on Pay to the message in another window: a real demo, two real windows.

The clock runs in the browser: from the click on the sandbox's Pay button, over its webhook, the commit and the feed,
to the item in the second window's list. ./dev bench pay_to_seen [--rounds N] [--quick]
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks._figures import PAIDCHAT, PAY_TO_SEEN
from benchmarks._records import Record
from benchmarks._rounds import keep, options

MESSAGES = 4  # in a round
WARM_UP = 3
BROWSERS = ("chromium", "chromium-headless-shell", "google-chrome")
LAUNCH_ARGUMENTS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]

# The board and the checkout page have the same origin here, so they share localStorage.
NOTE_CLICK = """() => document.querySelector("#pay").addEventListener("click", () =>
  localStorage.setItem("clicked", performance.timeOrigin + performance.now()))"""
NOTE_MESSAGES = """() => {
  window.seen = {};
  new MutationObserver(() => {
    for (const item of document.querySelectorAll("#board li.message .text"))
      window.seen[item.textContent] ??= performance.timeOrigin + performance.now();
  }).observe(document.querySelector("#board"), { childList: true, subtree: true });
}"""


@contextlib.contextmanager
def demo() -> Iterator[str]:
    """Run a demo on a free port with an empty folder; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "paidchat", "demo", "--no-open", "--port", str(port), "--data", data]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert running.stdout
            assert any("is ready" in line for line in running.stdout), "the demo did not start"
            yield f"http://localhost:{port}"
        finally:
            running.terminate()
            running.wait()


@contextlib.contextmanager
def two_windows() -> Iterator[tuple[Page, Page]]:
    """Run Chromium with a window for the buyer and one for the watcher, in separate browser contexts."""
    found = os.environ.get("PAIDCHAT_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, f"no browser: set PAIDCHAT_CHROMIUM, or put one of {', '.join(BROWSERS)} on the PATH"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=LAUNCH_ARGUMENTS)
        yield browser.new_page(), browser.new_page()
        browser.close()


def measure(buyer: Page, watcher: Page, text: str) -> float:
    """Pay for one message; return the milliseconds from the click until it is in the other window's list."""
    buyer.get_by_label("Message", exact=True).fill(text)
    buyer.locator("#pay").click()
    buyer.wait_for_url("**/sandbox/pay/*")
    buyer.evaluate(NOTE_CLICK)
    buyer.locator("#pay").click()
    watcher.wait_for_function("text => text in window.seen", arg=text)
    expect(buyer.locator(".message.highlight")).to_contain_text(text)
    seen = watcher.evaluate("text => window.seen[text]", text)
    clicked = buyer.evaluate("Number(localStorage.getItem('clicked'))")
    return float(seen - clicked)


def main() -> None:
    """Measure, and keep the time of each message."""
    how = options()
    count = how.amount(MESSAGES) * how.rounds
    with demo() as url, two_windows() as (buyer, watcher):
        for page in (buyer, watcher):
            page.goto(url)
            expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        watcher.evaluate(NOTE_MESSAGES)
        times = [measure(buyer, watcher, f"Message number {number}") for number in range(WARM_UP + count)]
    keep(
        "pay_to_seen",
        how,
        [Record(PAY_TO_SEEN, PAIDCHAT, wall=time * 1e3, round=n) for n, time in enumerate(times[WARM_UP:], 1)],
    )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the demo is stopped as well
    main()
