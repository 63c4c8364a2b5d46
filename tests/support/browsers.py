"""The kinds of Chromium on this machine, and how tests start them."""

import os
import shutil
from pathlib import Path

NAMES = ("chromium-headless-shell", "chromium", "google-chrome")  # the lightest first
PLAIN_HOST = "board.test"  # a name for this machine that browsers don't treat as localhost
# They let it run as root, disable its background traffic, and resolve the name above.
LAUNCH_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {PLAIN_HOST} 127.0.0.1",
]


def kinds_of_chromium() -> dict[str, str]:
    """Return the path of each kind that is installed, by name; if PAIDCHAT_CHROMIUM is set, only that one."""
    if named := os.environ.get("PAIDCHAT_CHROMIUM"):
        return {Path(named).name: named}
    return {name: path for name in NAMES if (path := shutil.which(name))}


def cheapest_chromium() -> str:
    """Return the path of one; without any the tests fail, because none may be skipped."""
    found = next(iter(kinds_of_chromium().values()), None)
    assert found, f"no browser: set PAIDCHAT_CHROMIUM, or put one of {', '.join(NAMES)} on the PATH"
    return found
