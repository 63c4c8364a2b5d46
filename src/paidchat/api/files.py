"""Static files: read and compressed once, revalidated on each use, never redirected."""

import asyncio
import gzip
import hashlib
import re
from pathlib import Path
from typing import Final

from msgspec import Struct
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from paidchat.api.negotiation import is_not_modified, prefers_gzip

# Our own table: the platform's may differ or be incomplete.
MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}
_PLAIN: Final = re.compile(r"(?:[a-z]+/)?[a-z][a-z0-9_.-]*", re.ASCII)  # in a folder, or in one folder of it
COMPRESSED: Final = frozenset({".png", ".ico"})  # already compressed
METHODS: Final = "GET, HEAD"


class _File(Struct, frozen=True):
    """A file's content in memory."""

    version: tuple[int, int]  # modification time and size, which show whether it has changed
    body: bytes
    compressed: bytes | None
    headers: dict[str, str]


class Files:
    """An ASGI app that serves the files of one folder and of its subfolders, whose names are plain words.

    Clients revalidate a file on each use, so an upgrade shows at once. The ETag is weak because gzip and identity share
    it. `Range` and `If-Modified-Since` are ignored, as RFC 9110 allows.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._read: dict[str, _File] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file.

        Raises:
            HTTPException: 404 if there is no such file, 405 for a method other than GET.
        """
        file = await self._find(name_in(scope))
        if scope["method"] != "GET":  # the guard turns HEAD into GET
            raise HTTPException(405, headers={"Allow": METHODS})
        await _answer(file, Headers(scope=scope))(scope, receive, send)

    async def _find(self, name: str) -> _File:
        path = self.directory / name
        if not _PLAIN.fullmatch(name) or path.suffix not in MEDIA_TYPES:
            raise HTTPException(404)
        try:
            status = path.stat()
            version = (status.st_mtime_ns, status.st_size)
            file = self._read.get(name)
            if file is None or file.version != version:
                file = self._read[name] = await asyncio.to_thread(_load, path, version)
        except (OSError, ValueError):  # the name is too long or impossible
            raise HTTPException(404) from None
        return file


def name_in(scope: Scope) -> str:
    """Return what the address names below the path that an app is mounted at."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path.removeprefix("/")


def _load(path: Path, version: tuple[int, int]) -> _File:
    body = path.read_bytes()
    headers = {
        "Content-Type": MEDIA_TYPES[path.suffix],
        "Cache-Control": "no-cache",
        "ETag": f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
    }
    if path.suffix in COMPRESSED:
        return _File(version, body, None, headers)
    return _File(version, body, gzip.compress(body, mtime=0), {**headers, "Vary": "Accept-Encoding"})


def _answer(file: _File, headers: Headers) -> Response:
    if is_not_modified(headers.getlist("if-none-match"), file.headers["ETag"]):
        kept = {name: value for name, value in file.headers.items() if name != "Content-Type"}
        return Response(status_code=304, headers=kept)
    if file.compressed is not None and prefers_gzip(headers.getlist("accept-encoding")):
        return Response(file.compressed, headers={**file.headers, "Content-Encoding": "gzip"})
    return Response(file.body, headers=file.headers)
