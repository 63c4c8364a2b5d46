"""Fixtures of the browser tests: one real Chromium, a new context for each window, and a witness in each of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Playwright, async_playwright, expect

from tests.e2e.backstage import Backstage, backstage_of
from tests.e2e.window import Window
from tests.e2e.witness import Witness
from tests.support.browsers import LAUNCH_ARGUMENTS, cheapest_chromium, kinds_of_chromium
from tests.support.served import Served, served_board

PATIENCE_MS = 10_000  # long, for steps that take milliseconds on an idle machine


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """The Playwright driver."""
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    """One Chromium for all tests."""
    chromium = await playwright.chromium.launch(executable_path=cheapest_chromium(), args=LAUNCH_ARGUMENTS)
    yield chromium
    await chromium.close()


@pytest.fixture(params=list(kinds_of_chromium()) or ["none"])
async def kind(request: pytest.FixtureRequest, playwright: Playwright) -> AsyncIterator[Browser]:
    """Each kind of Chromium on this machine."""
    path = kinds_of_chromium().get(request.param, cheapest_chromium())
    chromium = await playwright.chromium.launch(executable_path=path, args=LAUNCH_ARGUMENTS)
    yield chromium
    await chromium.close()


@dataclass
class Windows:
    """Opens windows and closes them at the end; each context is a separate device."""

    browser: Browser
    board: Served
    witnesses: list[Witness] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    async def open(self, path: str = "/", *, url: str | None = None, **options: Any) -> Window:
        """Open a board, the shared one or the one at `url`, on a new device; `options` are the context's."""
        return await self.open_tab(await self.device(**options), path, url=url)

    async def device(self, browser: Browser | None = None, **options: Any) -> BrowserContext:
        """Return a device without an open page, with a witness."""
        context = await (browser or self.browser).new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        self.contexts.append(context)
        witness = Witness(context)
        self.witnesses.append(witness)
        for pattern in self.expected:
            witness.expect(pattern)
        return context

    async def open_tab(self, context: BrowserContext, path: str = "/", *, url: str | None = None) -> Window:
        """Open another tab on a device."""
        window = Window(await context.new_page(), url or self.board.url)
        await window.visit(path)
        return window

    async def leave(self, url: str) -> None:
        """Close the pages of a board."""
        for page in [page for context in self.contexts for page in context.pages if page.url.startswith(url)]:
            await page.close()

    def expect_note(self, pattern: str) -> None:
        """Tell the witnesses, also those of later devices, to ignore errors that the test provokes."""
        self.expected.append(pattern)
        for witness in self.witnesses:
            witness.expect(pattern)


@pytest.fixture
async def windows(browser: Browser, board: Served) -> AsyncIterator[Windows]:
    """Windows on the shared board. An unexpected error in any of them fails the test."""
    opened = Windows(browser, board)
    yield opened
    for context in opened.contexts:
        await context.close()
    assert [note for witness in opened.witnesses for note in witness.complaints()] == []


@pytest.fixture
async def backstage(board: Served) -> AsyncIterator[Backstage]:
    """The controls of the shared board's sandbox; faults are cleared at the end."""
    async with backstage_of(board) as stage:
        yield stage
        await stage.clear_faults()


@pytest.fixture
async def own_board(windows: Windows, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A new, empty board for this test, which stops once no page follows it any more."""
    with served_board(tmp_path_factory.mktemp("own")) as served:
        yield served
        await windows.leave(served.url)
