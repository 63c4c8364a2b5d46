"""A tab of any browser: the interface that the flow needs, whatever protocol drives it."""

import json
import time
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

PATIENCE_S = 20  # long, for steps that take milliseconds on an idle machine
LOOK_S = 0.05


class NotSeenError(AssertionError):
    """Something that should be visible in a tab did not appear."""


class Tab(ABC):
    """Input is by real clicks and keys; the page's state is read by scripts."""

    @abstractmethod
    def go_to(self, url: str) -> None:
        """Open a URL and return when it is loaded."""

    @abstractmethod
    def click(self, selector: str) -> None:
        """Click an element."""

    @abstractmethod
    def type(self, selector: str, text: str) -> None:
        """Type a text into an element."""

    @abstractmethod
    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, as JSON."""

    @abstractmethod
    def show(self) -> None:
        """Bring the tab to the front."""

    @abstractmethod
    def capture(self) -> bytes:
        """Return the visible part as a PNG; it may be a frame old."""

    def screenshot(self) -> bytes:
        """Return what is visible now, as a PNG."""
        self.show()
        self.evaluate("void (window.painted = 0)")
        self.evaluate("void requestAnimationFrame(() => requestAnimationFrame(() => { window.painted = 1; }))")
        self.expect("window.painted", "a new frame")
        return self.capture()

    def expect(self, expression: str, what: str) -> None:
        """Wait until an expression is true; raises `NotSeenError` with a description of what was expected."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                raise NotSeenError(f"{what}: not seen within {PATIENCE_S} s at {self.evaluate('location.href')}")
            time.sleep(LOOK_S)

    def expect_text(self, selector: str, text: str) -> None:
        """Wait until one of the elements has exactly this text."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})].some(one => one.textContent.trim() === "
        self.expect(f"{found}{json.dumps(text)})", f"“{text}” in {selector}")


class Browser(Protocol):
    """A running browser."""

    version: str

    def open(self) -> Tab:
        """Open another tab."""

    def complaints(self) -> list[str] | None:
        """Return the errors of all consoles so far; None if the protocol does not report them."""


class Kind(Protocol):
    """A browser that may be on this machine."""

    name: str
    packages: tuple[str, ...]  # Debian's packages for it

    def find(self) -> Path | None:
        """Return its program, or None if part of it is missing."""

    def start(self, folder: Path) -> AbstractContextManager[Browser]:
        """Run it, with its files in a folder, until the block ends."""
