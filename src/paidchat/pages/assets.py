"""Assets: the page's scripts, styles and icons, under addresses that name their content.

All are under `/assets/{digest}/`, the digest of the whole tree, so a browser keeps them for good, and relative imports
lead from one to the next without being rewritten. While old and new processes run side by side, one may be asked for
the other's tree. It then serves the file that it has, but not to be kept.
"""

import asyncio
import os
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from paidchat.api.common import RouteName
from paidchat.api.files import COMPRESSED, MEDIA_TYPES, METHODS, name_in
from paidchat.api.negotiation import is_not_modified, preferred_coding
from paidchat.pages.codings import compress_once
from paidchat.pages.comments import KINDS, without_comments

ASSETS_PATH: Final = "/assets"
FOR_GOOD: Final = "public, max-age=31536000, immutable"  # RFC 8246
LOADS_NOTHING: Final = "default-src 'none'"  # the page's policy would be 240 bytes more in each of a dozen responses
_ROUTE: Final = RouteName(f"{ASSETS_PATH}/{{digest}}/{{path}}")
_DIGEST_LENGTH: Final = 16
_ADDRESS: Final = re.compile(rf"([0-9a-f]{{{_DIGEST_LENGTH}}})/(.+)", re.ASCII)
# `import … from "./x.js"`, `export … from "./x.js"` and `import "./x.js"`; not `import()`, which loads when it is run.
_IMPORT: Final = re.compile(r"""^(?:import|export)\b(?:[^;"']*?\bfrom)?\s*["'](\.{1,2}/[^"']+)["']""", re.MULTILINE)


class Tree:
    """The files of a folder and its subfolders that browsers may ask for, as they are served.

    Attributes:
        digest: of all names and contents, in hexadecimal digits.
    """

    def __init__(self, directory: Path) -> None:
        start = len(str(directory)) + 1
        self._bodies = {file.path[start:].replace(os.sep, "/"): _read(Path(file)) for file in files_in(directory)}
        self._modules: dict[str, list[str]] = {}
        digest = sha256()
        for name, body in sorted(self._bodies.items()):
            digest.update(b"%d %s %d " % (len(name), name.encode(), len(body)) + body)
        self.digest = digest.hexdigest()[:_DIGEST_LENGTH]

    def body(self, name: str) -> bytes | None:
        """Return a file's content; None if there is no such file."""
        return self._bodies.get(name)

    def modules(self, entry: str) -> list[str]:
        """Return a module and all that it imports, directly or not, in the order in which browsers find them."""
        if entry not in self._modules:
            self._modules[entry] = self._imported_by(entry)
        return self._modules[entry]

    def _imported_by(self, entry: str) -> list[str]:
        found = [entry]
        for name in found:
            body = self._bodies.get(name, b"").decode()
            imported = (normpath(join(dirname(name), path)) for path in _IMPORT.findall(body))
            found += dict.fromkeys(path for path in imported if path not in found)
        return found


def files_in(directory: Path | str) -> "Iterator[os.DirEntry[str]]":
    """Yield the files of a folder and of its subfolders, without those that are only for development."""
    for entry in os.scandir(directory):
        if entry.name.startswith(".") or entry.name == "node_modules":
            continue
        if entry.is_dir():
            yield from files_in(entry.path)
        elif Path(entry.name).suffix in MEDIA_TYPES:
            yield entry


def _read(path: Path) -> bytes:
    body = path.read_bytes()
    return without_comments(body) if path.suffix in KINDS else body


class Assets:
    """An ASGI app that serves a tree."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def address(self, name: str) -> str:
        """Return a file's address."""
        return f"{ASSETS_PATH}/{self.tree.digest}/{name}"

    def modules(self, entry: str) -> list[str]:
        """Return the addresses of a module and of all that it imports."""
        return [self.address(name) for name in self.tree.modules(entry)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a file.

        Raises:
            HTTPException: 404 if there is no such file, 405 for a method other than GET.
        """
        scope["route"] = _ROUTE
        address = _ADDRESS.fullmatch(name_in(scope))
        if address is None:
            raise HTTPException(404)
        digest, name = address.groups()
        if scope["method"] != "GET":  # the guard turns HEAD into GET
            raise HTTPException(405, headers={"Allow": METHODS})
        caching = FOR_GOOD if digest == self.tree.digest else "no-store"
        answer = await self.answer(name, Headers(scope=scope), caching)
        await answer(scope, receive, send)

    async def answer(self, name: str, asked: Headers, caching: str) -> Response:
        """Return the response with a file, in the coding that the client prefers.

        Raises:
            HTTPException: 404 if there is no such file.
        """
        body = self.tree.body(name)
        if body is None:
            raise HTTPException(404)
        headers = {"Cache-Control": caching, "Content-Security-Policy": LOADS_NOTHING}
        if caching != "no-store":
            headers["ETag"] = f'W/"{self.tree.digest}"'
        suffix = Path(name).suffix
        if suffix not in COMPRESSED:
            headers["Vary"] = "Accept-Encoding"
        if "ETag" in headers and is_not_modified(asked.getlist("if-none-match"), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        headers["Content-Type"] = MEDIA_TYPES[suffix]
        if suffix not in COMPRESSED:
            body = await _coded(body, asked.getlist("accept-encoding"), headers)
        return Response(body, headers=headers)


async def _coded(body: bytes, accepted: Sequence[str], headers: dict[str, str]) -> bytes:
    """Return a body in the preferred coding, named in `headers`; compressing it takes up to 32 ms, once."""
    coding = preferred_coding(accepted)
    if coding == "identity":
        return body
    headers["Content-Encoding"] = coding
    return await asyncio.to_thread(compress_once, body, coding)
