"""The command: runs the flow in each installed browser, and prints the results."""

import argparse
import logging
import platform
import sys
import tempfile
from pathlib import Path

import structlog

from tests.browsers.firefox import FirefoxKind
from tests.browsers.loop import Walk
from tests.browsers.tab import Kind
from tests.browsers.webkit import WebKitKind
from tests.support.served import served_board

KINDS: dict[str, Kind] = {"firefox": FirefoxKind(), "webkit": WebKitKind()}
NOT_FOUND = 2


def main() -> int:
    """Return 0 if every browser completed the flow, 1 if one did not, 2 if there is none."""
    parser = argparse.ArgumentParser(prog="./dev browsers", description="The flow in other browsers than Chromium.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(KINDS)}; all by default")
    parser.add_argument(
        "--screenshots", type=Path, default=Path(".paidchat/browsers"), metavar="DIR", help="%(default)s"
    )
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if unknown := set(asked.names) - set(KINDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    chosen = {name: KINDS[name] for name in asked.names or KINDS}
    found = {name: kind for name, kind in chosen.items() if kind.find()}
    walks = {name: _walk(kind, asked.screenshots / name) for name, kind in found.items()}
    sys.stdout.write(_table(chosen, walks))
    if not walks:
        return NOT_FOUND
    return int(any(walk.trouble for walk in walks.values()))


def _walk(kind: Kind, screenshots: Path) -> Walk:
    with tempfile.TemporaryDirectory(prefix="paidchat-browsers-") as folder:
        files, data = Path(folder) / "browser", Path(folder) / "board"
        files.mkdir(mode=0o700)
        data.mkdir()
        with served_board(data) as board, kind.start(files) as browser:
            walk = Walk(browser, board.url, screenshots)
            walk.walk()
            return walk


def _table(chosen: dict[str, Kind], walks: dict[str, Walk]) -> str:
    steps = dict.fromkeys(step for walk in walks.values() for step in walk.names)
    columns = [f"{chosen[name].name} {walk.browser.version}" for name, walk in walks.items()]
    rows = [["the flow, in seconds", *columns]]
    for step in steps:
        times = [walk.seconds.get(step) for walk in walks.values()]
        rows.append([step, *("-" if seconds is None else f"{seconds:.2f}" for seconds in times)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for name, walk in walks.items():
        outcome = f"failed at: {walk.trouble}" if walk.trouble else "completed the flow"
        lines.append(f"{chosen[name].name} {walk.browser.version} on {platform.system()} {outcome}.")
        lines.append(f"  Screenshots: {walk.screenshots}/")
    missing = [kind for kind in chosen.values() if not kind.find()]
    lines.extend(
        f"{kind.name} is not installed. On Debian: apt-get install {' '.join(kind.packages)}" for kind in missing
    )
    return "\n".join(lines) + "\n"
