"""The page: the files of the front end, and none of its tooling."""

from pathlib import Path

from paidchat.api.files import Files

FRONTEND = Path(__file__).parent.parent / "frontend"


def page() -> Files:
    """Return the app that serves what a browser needs."""
    return Files(FRONTEND, index="index.html")
