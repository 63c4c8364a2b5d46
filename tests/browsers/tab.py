"""A tab of any browser: what the loop needs of it, whatever protocol drives it."""

import json
import time
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

PATIENCE_S = 20  # for what takes milliseconds on a machine that does nothing else
LOOK_S = 0.05


class NotSeenError(AssertionError):
    """What should be seen in a tab is not there, and did not come."""


class Tab(ABC):
    """Real clicks and keys go in; what stands on the page comes out by scripts."""

    @abstractmethod
    def go_to(self, url: str) -> None:
        """Open an address and return when it is loaded."""

    @abstractmethod
    def click(self, selector: str) -> None:
        """Press the mouse on an element."""

    @abstractmethod
    def type(self, selector: str, text: str) -> None:
        """Press the keys of a text, in an element."""

    @abstractmethod
    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, as JSON has it."""

    @abstractmethod
    def show(self) -> None:
        """Bring the tab before all others."""

    @abstractmethod
    def capture(self) -> bytes:
        """Return what is in sight, as a PNG; it may be a frame old."""

    def screenshot(self) -> bytes:
        """Return what is in sight now, as a PNG."""
        self.show()
        self.evaluate("void (window.painted = 0)")
        self.evaluate("void requestAnimationFrame(() => requestAnimationFrame(() => { window.painted = 1; }))")
        self.expect("window.painted", "a new frame")
        return self.capture()

    def expect(self, expression: str, what: str) -> None:
        """Wait until an expression is true; raises `NotSeenError` with what was waited for."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                raise NotSeenError(f"{what}: not seen within {PATIENCE_S} s at {self.evaluate('location.href')}")
            time.sleep(LOOK_S)

    def expect_text(self, selector: str, text: str) -> None:
        """Wait until one of the elements says exactly this."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})].some(one => one.textContent.trim() === "
        self.expect(f"{found}{json.dumps(text)})", f"“{text}” in {selector}")


class Browser(Protocol):
    """A running browser."""

    version: str

    def open(self) -> Tab:
        """Open one more tab."""

    def complaints(self) -> list[str] | None:
        """Return the errors of all consoles so far; None where the protocol does not tell."""


class Kind(Protocol):
    """A browser that may be on this machine."""

    name: str
    packages: tuple[str, ...]  # of Debian

    def find(self) -> Path | None:
        """Return its program, or None when a part of it is missing."""

    def start(self, folder: Path) -> AbstractContextManager[Browser]:
        """Run it, with its files in a folder, until the block ends."""
