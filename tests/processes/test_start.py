"""A server's start, seen from inside its process."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import gc, os, signal
from paidchat.cli.main import _load, _serve

def on_ready():
    print(gc.isenabled(), gc.get_freeze_count() > 50_000)
    os.kill(os.getpid(), signal.SIGTERM)

_serve(_load(), "127.0.0.1", 0, on_ready=on_ready)
"""


def test_garbage_is_collected_once_the_server_is_ready(tmp_path: Path) -> None:
    """Collection is suspended while the server loads, and goes on, without what was loaded, when it is ready."""
    nowhere = "http://127.0.0.1:9"
    settings = {
        "PAIDCHAT_DATABASE_URL": f"sqlite:///{tmp_path / 'board.db'}",
        "PAIDCHAT_PUBLIC_URL": nowhere,
        "PAIDCHAT_STRIPE_API_BASE": nowhere,
        "STRIPE_SECRET_KEY": "sk_test_start",
        "STRIPE_WEBHOOK_SECRET": "whsec_start",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True", "True"], done.stderr
