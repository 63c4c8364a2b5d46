"""Lighthouse's scores of a page."""

import json
import os
import subprocess

from benchmarks._browser import on_every_core
from benchmarks._figures import CATEGORIES, DESKTOP
from benchmarks._processes import NODE, ROOT
from tests.support.browsers import LAUNCH_ARGUMENTS, cheapest_chromium

PROGRAM = ROOT / "tools/lighthouse/node_modules/lighthouse/cli/index.js"
TIMEOUT_S = 180


def scores(url: str, form: str) -> dict[str, float]:
    """Return the scores from 0 to 100 by category, as a phone or a desktop.

    Raises:
        subprocess.SubprocessError: Lighthouse failed or takes too long.
    """
    how = [f"--only-categories={','.join(CATEGORIES)}", "--output=json", "--quiet"]
    flags = f"--chrome-flags=--headless=new {' '.join(LAUNCH_ARGUMENTS[:-1])}"  # the last one has a space
    command = [str(NODE), str(PROGRAM), url, *how, flags, *(["--preset=desktop"] if form == DESKTOP else [])]
    environment = {**os.environ, "CHROME_PATH": cheapest_chromium()}
    with on_every_core():
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=TIMEOUT_S, check=True
        )
    categories = json.loads(done.stdout)["categories"]
    return {category: round(categories[category]["score"] * 100) for category in CATEGORIES}
