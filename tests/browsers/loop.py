"""The flow, step by step: open the page, write, pay, come back to the message; and a second window that sees it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.browsers.tab import Browser, Tab

TEXT = "Paid and seen: ünïcödé, שלום"
NAME = "Ada"
# Notes what the overlay shows: it may be gone before anyone looks.
RECORD = """(
  window.shown = [],
  new MutationObserver(() => {
    for (const card of document.querySelectorAll("#stage .message")) {
      shown.push(card.querySelector(".author").textContent + ": " + card.querySelector(".text").textContent);
    }
  }).observe(document.querySelector("#stage"), { childList: true }),
  true
)"""
LIVE = "document.querySelector('#connection').dataset.state === 'live'"
MINE = "#board li.mine .words"
Step = tuple[str, Callable[[], None]]


@dataclass
class Walk:
    """One run of the flow in one browser: the results, and the time of each step."""

    browser: Browser
    url: str
    screenshots: Path
    seconds: dict[str, float] = field(default_factory=dict)
    trouble: str | None = None
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._buyer: Tab = self.browser.open()
        self._watcher: Tab = self.browser.open()
        self._overlay: Tab = self.browser.open()

    def steps(self) -> list[Step]:
        """Return every step with its name, in order."""
        steps = [
            ("opens the page, which is live and shows the price", self._open),
            ("a second window is live too", self._watch),
            ("the overlay is transparent", self._stream),
            ("types a message, and the counter follows", self._write),
            ("the button leads to checkout", self._check_out),
            ("a declined card shows the reason", self._decline),
            ("paying leads back to the message: highlighted, visible, focused", self._pay),
            ("the second window has it, without a reload", self._see),
            ("the overlay shows it, and nothing to click", self._see_in_stream),
            ("a reload keeps it marked as one's own", self._reload),
            ("an uncaught error is shown", self._fail),
        ]
        can_listen = self.browser.complaints() is not None
        return [*steps, ("the consoles have no other error", self._listen)] if can_listen else steps

    def walk(self) -> None:
        """Take the steps up to the first that fails."""
        steps = self.steps()
        self.names = [name for name, _ in steps]
        for name, step in steps:
            started = time.monotonic()
            try:
                step()
            except AssertionError as error:
                self.trouble = f"{name}: {error}"
                self._picture("trouble", self._buyer)
                return
            self.seconds[name] = time.monotonic() - started

    def _open(self) -> None:
        self._buyer.go_to(self.url)
        self._buyer.expect(LIVE, "Live")
        self._buyer.expect_text("#pay", "Pay $1 and send")
        self._picture("1-board", self._buyer)

    def _watch(self) -> None:
        self._watcher.go_to(self.url)
        self._watcher.expect(LIVE, "Live")
        self._watcher.evaluate("window.neverReloaded = true")

    def _stream(self) -> None:
        self._overlay.go_to(f"{self.url.rstrip('/')}/overlay")
        read = "performance.getEntriesByType('resource').some(({name}) => name.endsWith('/api/board'))"
        self._overlay.expect(read, "an overlay that is live and has read the tiers")
        for element in ("documentElement", "body"):
            color = f"getComputedStyle(document.{element}).backgroundColor"
            self._overlay.expect(f"{color} === 'rgba(0, 0, 0, 0)'", f"a transparent {element}")
        self._overlay.evaluate(RECORD)

    def _write(self) -> None:
        self._buyer.type("#message-text", TEXT)
        self._buyer.type("#author", NAME)
        self._buyer.expect_text("#counter", f"{len(TEXT)}/500")

    def _check_out(self) -> None:
        self._buyer.click("#pay")
        self._buyer.expect(
            "location.pathname.startsWith('/sandbox/pay/') && document.querySelector('#card')", "checkout"
        )
        self._buyer.expect("document.readyState === 'complete'", "the whole page")
        self._picture("2-checkout", self._buyer)

    def _decline(self) -> None:
        self._buyer.click("button[data-card='4000 0000 0000 0002']")
        self._buyer.click("#pay")
        self._buyer.expect_text("[role=alert]", "Your card was declined.")

    def _pay(self) -> None:
        self._buyer.click("button[data-card='4242 4242 4242 4242']")
        self._buyer.click("#pay")
        self._buyer.expect("document.querySelector('#board li.highlight.mine')", "the highlighted message")
        self._buyer.expect_text(MINE, TEXT)
        self._buyer.expect("document.activeElement.matches('.highlight')", "the focus on it")
        place = "document.querySelector('.highlight').getBoundingClientRect()"
        self._buyer.expect(f"{place}.top >= 0 && {place}.bottom <= innerHeight", "the message in sight")
        self._buyer.expect("!location.search", "an address without the payment")
        self._buyer.expect(
            "document.getAnimations().every(({playState, effect}) => playState === 'finished' || "
            "effect.getComputedTiming().endTime === Infinity)",
            "the end of the animations",
        )
        self._picture("3-highlight", self._buyer)

    def _see(self) -> None:
        self._watcher.expect_text("#board li .words", TEXT)
        self._watcher.expect_text("#board li .author", NAME)
        self._watcher.expect("window.neverReloaded", "the same page")
        self._picture("4-second-window", self._watcher)

    def _see_in_stream(self) -> None:
        self._overlay.expect(f"shown.includes({json.dumps(f'{NAME}: {TEXT}')})", "the message in the overlay")
        self._overlay.expect("!document.querySelector('a, button, input, form')", "nothing to click")
        self._picture("5-overlay", self._overlay)

    def _reload(self) -> None:
        self._buyer.go_to(self.url)
        self._buyer.expect_text(MINE, TEXT)
        self._buyer.expect("document.querySelector('#notice').hidden", "a page without trouble")

    def _fail(self) -> None:
        self._buyer.evaluate("Boolean(setTimeout(() => { throw new Error('on purpose') }))")
        self._buyer.expect("document.querySelector('#notice').textContent.includes('ran into an error')", "the notice")
        self._picture("6-notice", self._buyer)

    def _listen(self) -> None:
        complaints = [said for said in self.browser.complaints() or () if "on purpose" not in said]
        assert complaints == [], complaints

    def _picture(self, name: str, tab: Tab) -> None:
        self.screenshots.mkdir(parents=True, exist_ok=True)
        (self.screenshots / f"{name}.png").write_bytes(tab.screenshot())
