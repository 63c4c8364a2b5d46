"""Takes a picture of every state of the page: `./dev screenshots [STATE …] [--folder DIR] [--readme]`.

Each state of `states.py` is reached in a real demo, in both themes and in three sizes. `--readme` takes only the states
that docs/screenshots shows, and writes the chosen pictures there. Look at each before committing it.
"""

import argparse
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
from playwright.sync_api import Browser, BrowserContext, Error, Page, ViewportSize, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.browsers import LAUNCH_ARGUMENTS, cheapest_chromium
from tools.screenshots.stage import Board, Demo, demo
from tools.screenshots.states import STATES, State

PATIENCE_MS = 20_000  # long, for steps that take a second on an idle machine
COMMITTED = Path("docs/screenshots")
MOST_BYTES = 150_000  # of a picture that is committed
THEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
STILL = """async () => {
  await document.fonts.ready;
  const ends = (animation) => animation.effect.getComputedTiming().endTime !== Infinity;
  await Promise.allSettled(document.getAnimations().filter(ends).map((animation) => animation.finished));
  for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
}"""


@dataclass(frozen=True)
class Device:
    """A kind of device, and the sizes of its screen."""

    touch: bool
    sizes: tuple[ViewportSize, ...]


DEVICES = (
    Device(touch=True, sizes=({"width": 320, "height": 640}, {"width": 390, "height": 844})),
    Device(touch=False, sizes=({"width": 1280, "height": 800},)),
)

# Name in docs/screenshots: state, theme, width.
CHOSEN = {
    "board-light": ("board", "light", 1280),
    "board-dark": ("board", "dark", 1280),
    "phone": ("board", "light", 320),
    "composer": ("draft", "light", 1280),
    "checkout": ("checkout", "light", 1280),
    "waiting": ("publishing", "light", 1280),
    "highlight": ("highlight", "light", 1280),
}


def new_context(browser: Browser, device: Device) -> BrowserContext:
    """Open a new device; nothing moves on it but what must."""
    context = browser.new_context(
        viewport=device.sizes[0],
        is_mobile=device.touch,
        has_touch=device.touch,
        reduced_motion="reduce",
        locale="en-US",
        timezone_id="UTC",
    )
    context.set_default_timeout(PATIENCE_MS)
    return context


def take(page: Page, device: Device, name: str, folder: Path) -> list[Path]:
    """Take the page in every theme and size; returns the files."""
    files = []
    for size in device.sizes:
        page.set_viewport_size(size)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            page.evaluate(STILL)
            files.append(folder / f"{name}-{theme}-{size['width']}.png")
            page.screenshot(path=files[-1], scale="css")
    return files


def take_state(browser: Browser, board: Board, state: State, device: Device, folder: Path) -> list[Path]:
    """Reach a state on a new device, take it, and undo what it did to the board."""
    context = new_context(browser, device)
    try:
        page = context.new_page()
        state.reach(page, board)
        return take(page, device, state.name, folder)
    finally:
        context.close()
        board.clean()


def take_states(names: list[str], folder: Path) -> list[str]:
    """Take the named states; returns those that could not be reached."""
    folder.mkdir(parents=True, exist_ok=True)
    failed = []
    boards: dict[Demo, Board] = {}
    with ExitStack() as demos, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=cheapest_chromium(), args=LAUNCH_ARGUMENTS)
        for state in [STATES[name] for name in names]:
            if state.demo not in boards:
                boards[state.demo] = demos.enter_context(demo(state.demo))
            for device in DEVICES:
                try:
                    for file in take_state(browser, boards[state.demo], state, device, folder):
                        print(file)
                except (Error, AssertionError, httpx.HTTPError) as error:
                    failed.append(state.name)
                    print(f"{state.name} could not be reached: {str(error).splitlines()[0]}", file=sys.stderr)
        browser.close()
    return failed


def choose(folder: Path) -> None:
    """Copy the chosen pictures to docs/screenshots."""
    for name, (state, theme, width) in CHOSEN.items():
        picture = (folder / f"{state}-{theme}-{width}.png").read_bytes()
        if len(picture) > MOST_BYTES:
            sys.exit(f"{name}.png has {len(picture)} bytes; at most {MOST_BYTES} are allowed")
        (COMMITTED / f"{name}.png").write_bytes(picture)


def main() -> None:
    """Take what was asked for."""
    parser = argparse.ArgumentParser(
        prog="./dev screenshots", description="Takes a picture of every state of the page."
    )
    parser.add_argument("states", nargs="*", metavar="STATE", help=f"of {', '.join(STATES)}; all by default")
    parser.add_argument("--folder", type=Path, default=Path(".paidchat/screenshots"), metavar="DIR", help="%(default)s")
    parser.add_argument("--readme", action="store_true", help=f"only those in {COMMITTED}, and write them there")
    asked = parser.parse_args()
    if unknown := set(asked.states) - set(STATES):
        parser.error(f"there are no such states: {', '.join(sorted(unknown))}")
    names = asked.states or ([state for state, *_ in CHOSEN.values()] if asked.readme else list(STATES))
    failed = take_states(list(dict.fromkeys(names)), asked.folder)
    if failed:
        sys.exit(f"not reached: {', '.join(dict.fromkeys(failed))}")
    if asked.readme:
        choose(asked.folder)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the demos are stopped as well
    main()
