#!/usr/bin/env python3
"""Takes the screenshots in this folder of a demo that it starts: .venv/bin/python docs/screenshots/take.py.

It needs the dev packages and Chromium ($PAIDCHAT_CHROMIUM, or on the PATH). Look at each picture before committing it.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

FOLDER = Path(__file__).parent
BROWSERS = ("chromium", "chromium-headless-shell", "google-chrome")
LAUNCH_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE: ViewportSize = {"width": 1200, "height": 800}
PHONE: ViewportSize = {"width": 320, "height": 640}
MOST_BYTES = 150_000  # of a picture, because they are committed

SAID_BEFORE = (
    ("Ada", "First! A dollar well spent."),
    ("Grace", "Hello from the harbour. The ferry is late, the coffee is good."),
    (None, "Whoever reads this: call your grandmother."),
    ("Sven", "Does the board keep\n  two spaces\n    and line breaks? It does."),
    ("דנה", "שלום לכולם, איזה יופי"),
    ("Ada", "Second one, because the first felt lonely."),
    ("Ελένη", "Καλημέρα! Sending good weather to all of you."),
)
MESSAGE = "Good morning, board. I paid a dollar to say: it is going to be a fine day."


@contextlib.contextmanager
def demo() -> Iterator[str]:
    """Run a demo on a free port with an empty folder; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "paidchat", "demo", "--no-open", "--port", str(port), "--data", data]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
        try:
            if running.stdout is None or not any("is ready" in line for line in running.stdout):
                sys.exit("the demo did not start")
            yield f"http://localhost:{port}"
        finally:
            running.terminate()
            running.wait()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser."""
    found = os.environ.get("PAIDCHAT_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        sys.exit(f"no browser: set PAIDCHAT_CHROMIUM, or put one of {', '.join(BROWSERS)} on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=LAUNCH_ARGUMENTS)
        yield browser
        browser.close()


def fill(url: str) -> None:
    """Post the earlier messages."""
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        for author, text in SAID_BEFORE:
            payment = http.post("/api/payments", json={"text": text, "author": author}).raise_for_status().json()
            session = payment["checkout_url"].rsplit("/", 1)[1]
            http.post(f"/sandbox/test/sessions/{session}/pay").raise_for_status()


def take(page: Page, name: str) -> None:
    """Take a picture once all animations have ended."""
    page.wait_for_function(
        """() => document.getAnimations().every((animation) =>
          animation.playState === "finished" || animation.effect.getComputedTiming().endTime === Infinity)"""
    )
    file = FOLDER / f"{name}.png"
    page.screenshot(path=file, scale="css", caret="initial")
    if file.stat().st_size > MOST_BYTES:
        sys.exit(f"{file.name} has {file.stat().st_size} bytes; at most {MOST_BYTES} are allowed")


def open_board(page: Page, url: str) -> None:
    """Open the board and wait for all its messages."""
    page.goto(url)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.locator("#board li.message").nth(len(SAID_BEFORE) - 1)).to_be_visible()


def go_to_checkout(page: Page, text: str, name: str) -> None:
    """Write a message and go to the hosted page."""
    write(page, text, name)
    page.get_by_role("button", name=re.compile(r"^Pay \$1 and send")).click()
    page.wait_for_url("**/sandbox/pay/*")


def write(page: Page, text: str, name: str) -> None:
    """Fill in the composer."""
    page.get_by_label("Display name").fill(name)
    page.get_by_label("Message", exact=True).fill(text)


def take_boards(browser: Browser, url: str) -> None:
    """Take the board as a reader sees it: light, dark and on a phone."""
    page = browser.new_page(viewport=WIDE, color_scheme="light", reduced_motion="reduce")
    open_board(page, url)
    take(page, "board-light")
    page.emulate_media(color_scheme="dark")
    take(page, "board-dark")
    phone = browser.new_page(viewport=PHONE, is_mobile=True, has_touch=True, reduced_motion="reduce")
    open_board(phone, url)
    take(phone, "phone")
    page.close()
    phone.close()


def take_payment(browser: Browser, url: str) -> None:
    """Take the steps of one payment: composer, checkout, waiting, and the highlighted message."""
    page = browser.new_page(viewport=WIDE, color_scheme="light", reduced_motion="reduce")
    open_board(page, url)
    write(page, MESSAGE, "Lovis")
    take(page, "composer")
    go_to_checkout(page, MESSAGE, "Lovis")
    take(page, "checkout")
    session = page.url.rsplit("/", 1)[1]
    with httpx.Client(base_url=f"{url}/sandbox/test", timeout=30, trust_env=False) as http:
        # Neither the webhook nor Stripe's answer to the lookup arrives before the picture is taken.
        http.put("/faults", json={"webhook": {"drop": "all"}, "api": {"hang_s": 3}}).raise_for_status()
        page.get_by_role("button", name="Pay $1.00").click()
        expect(page.locator("#payment-card")).to_have_attribute("data-status", "pending")
        take(page, "waiting")
        http.delete("/faults").raise_for_status()
        resend(http, session)
    expect(page.locator(".message.highlight")).to_be_visible()
    take(page, "highlight")
    page.close()


def resend(http: httpx.Client, session: str) -> None:
    """Deliver the dropped webhook of a paid session."""
    deliveries = http.get("/ledger").json()["deliveries"]
    event = next(each["event"] for each in deliveries if each["session"] == session)
    http.post(f"/events/{event}/resend").raise_for_status()


def main() -> None:
    """Take all the screenshots."""
    with demo() as url, chromium() as browser:
        fill(url)
        take_boards(browser, url)
        take_payment(browser, url)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the demo is stopped as well
    main()
