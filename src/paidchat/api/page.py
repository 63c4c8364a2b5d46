"""The page: the files of the front end, and none of its tooling."""

import os
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FRONTEND = Path(__file__).parent.parent / "frontend"
_SERVED = frozenset({".html", ".js", ".css", ".svg", ".ico", ".png", ".webmanifest", ".txt"})


class Page(StaticFiles):
    """Serves what a browser needs; a browser asks each time whether it changed, so an upgrade shows at once."""

    def __init__(self) -> None:
        super().__init__(directory=FRONTEND, html=True, follow_symlink=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve one file of the front end, or 404."""
        name = "index.html" if path in {".", ""} else path
        if os.sep in name or Path(name).suffix not in _SERVED:
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
