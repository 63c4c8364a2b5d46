"""Documents: HTML as bytes, in the codings that browsers ask for, each made when it is first wanted."""

from collections.abc import Sequence
from typing import Final

from paidchat.api.negotiation import is_not_modified, preferred_coding
from paidchat.api.ready import Answer, Fields
from paidchat.pages.codings import QUICK, Coding, compress
from paidchat.pages.languages import Language

_TYPE: Final = (b"content-type", b"text/html; charset=utf-8")
_VARIES: Final = (b"vary", b"Accept-Language, Accept-Encoding")


class Document(Answer):
    """A document. With an ETag it is revalidated on each use; without one it is never stored.

    The ETag is weak: codings share it, and two processes that made the same document differ in the time it tells.
    """

    __slots__ = ("_bodies", "_etag", "_fields", "_language", "_status")

    def __init__(self, html: str, language: Language, etag: str | None = None, *, status: int = 200) -> None:
        self._language = language
        self._status = status
        self._bodies: dict[Coding, bytes] = {"identity": html.encode()}
        self._etag = etag
        self._fields: Fields = [(b"cache-control", b"no-cache" if etag else b"no-store"), _VARIES]
        if etag:
            self._fields.append((b"etag", etag.encode()))

    def choose(self, tags: Sequence[str], codings: Sequence[str]) -> tuple[int, Fields, bytes]:
        """Return the document in the coding that these lines prefer, or 304."""
        if self._etag and is_not_modified(tags, self._etag):
            return 304, self._fields, b""
        coding = preferred_coding(codings)
        body = self._bodies.get(coding)
        if body is None:
            body = self._bodies[coding] = compress(self._bodies["identity"], coding, QUICK)
        length, language = str(len(body)).encode(), self._language.encode()
        fields = [*self._fields, _TYPE, (b"content-language", language), (b"content-length", length)]
        return self._status, fields if coding == "identity" else [*fields, (b"content-encoding", coding.encode())], body

    def not_stored(self) -> "Document":
        """Return the same document, to be sent once."""
        return Document(self._bodies["identity"].decode(), self._language, status=self._status)
