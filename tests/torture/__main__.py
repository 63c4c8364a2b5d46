"""The torture kit's command line: `./dev torture [run …] [options]`; without a run, all of them."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.torture.command import main  # noqa: E402 - the folder is a script's own, and has to be found first

if __name__ == "__main__":
    sys.exit(main())
