"""The addresses of the page's assets."""

from paidchat.app import FRONTEND
from paidchat.pages.assets import ASSETS_PATH, Tree

_DIGEST = Tree(FRONTEND).digest


def asset(name: str) -> str:
    """Return the address of a file in frontend/."""
    return f"{ASSETS_PATH}/{_DIGEST}/{name}"
