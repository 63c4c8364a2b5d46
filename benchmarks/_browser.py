"""A browser to measure the page in: what it loads over which network, and what its threads spend."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, expect, sync_playwright

from benchmarks._processes import CORES
from tests.support.browsers import LAUNCH_ARGUMENTS, cheapest_chromium

PATIENCE_MS = 120_000
# As Lighthouse throttles a phone, so that the figures can be compared; `latency` delays each response by as many ms.
SLOW = {
    "offline": False,
    "latency": 562,
    "downloadThroughput": 1_474_560 / 8,
    "uploadThroughput": 675_000 / 8,
}


@contextlib.contextmanager
def on_every_core() -> Iterator[None]:
    """Let the processes that the block starts run on every core."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium on every core."""
    with sync_playwright() as playwright:
        with on_every_core():
            browser = playwright.chromium.launch(executable_path=cheapest_chromium(), args=LAUNCH_ARGUMENTS)
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@dataclass
class Traffic:
    """What a page loaded over the network; neither what its cache had, nor the WebSocket."""

    statuses: list[int] = field(default_factory=list)
    size: float = 0  # of all responses with their heads, in bytes

    def watch(self, chrome: CDPSession) -> None:
        """Count what is loaded from now on."""
        chrome.on("Network.responseReceivedExtraInfo", self._received)
        chrome.on("Network.loadingFinished", self._finished)
        chrome.send("Network.enable")

    def _received(self, event: dict[str, Any]) -> None:
        if event["statusCode"] != 101:  # noqa: PLR2004 - Switching Protocols: the WebSocket
            self.statuses.append(event["statusCode"])

    def _finished(self, event: dict[str, Any]) -> None:
        self.size += event["encodedDataLength"]


def main_thread_us(chrome: CDPSession) -> float:
    """Return the CPU time of the page's main thread in µs, however busy the machine is; `watch_thread` comes first."""
    metrics = {each["name"]: each["value"] for each in chrome.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"] * 1e6)


def watch_thread(page: Page) -> CDPSession:
    """Have Chromium count the CPU time of the page's main thread."""
    chrome = page.context.new_cdp_session(page)
    chrome.send("Performance.enable", {"timeDomain": "threadTicks"})
    return chrome
