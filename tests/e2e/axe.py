"""Axe: finds in a page what keeps people from using it."""

from collections.abc import Sequence
from typing import Literal

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from playwright.async_api import Page

OPTIONS = {"rules": {"target-size": {"enabled": True}}}  # WCAG 2.2, which axe leaves out unless asked
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


async def expect_accessible(page: Page, schemes: Sequence[Scheme] = SCHEMES) -> None:
    """Check a page with axe, in these colour schemes."""
    for scheme in schemes:
        await page.emulate_media(color_scheme=scheme)
        await _wait_for_stillness(page)
        results = await Axe().run(page, options=OPTIONS)
        assert results.violations_count == 0, f"{scheme}: {results.generate_report()}"


async def _wait_for_stillness(page: Page) -> None:
    """Wait until nothing moves except endless animations, because axe checks the final colours."""
    await page.wait_for_function(
        """() => document.getAnimations().every((animation) =>
          animation.playState === "finished" || animation.effect.getComputedTiming().endTime === Infinity)"""
    )
