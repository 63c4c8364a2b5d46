"""The sabotages: whatever they remove is there, so that they remove it."""

import subprocess
import sys

UNPLUG_EACH = """
import os, sys, traceback
from tests.torture.hooks.sabotages import SABOTAGES, unplug
for name in SABOTAGES:
    child = os.fork()
    if child == 0:
        try:
            unplug(name)
        except Exception:
            print(name, traceback.format_exc(), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
print(len(SABOTAGES), "sabotages")
"""


def test_every_sabotage_finds_its_safeguard() -> None:
    """Each can be installed: after a safeguard was renamed, its sabotage would only stop the board from starting."""
    done = subprocess.run([sys.executable, "-c", UNPLUG_EACH], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:] == ["sabotages"], done.stdout
