"""The flow in other browsers than Chromium: `./dev browsers [firefox] [webkit] [--screenshots DIR]`; all by default."""

import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")  # asked for by a server that is not started

from tests.browsers.command import main  # noqa: E402 - the folder is a script's own, and has to be found first

if __name__ == "__main__":
    sys.exit(main())
