"""Chunked bodies, decoded by llhttp, with limits on all that is around their content."""

from typing import Final

import httptools

from paidchat.serving import heads

# Bytes of framing per byte of content; the smallest chunk has five. More is an attack.
MAX_FRAMING_PER_BYTE: Final = 16
_HEAD: Final = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"  # so that the parser expects one


class ChunkedBody:
    """The chunked body that follows a head.

    Attributes:
        is_whole: whether its end has been received.
        is_followed: whether input came with its end, which may or may not be another request: where the body ended in
            the input is unknown.
    """

    def __init__(self, head: heads.Head) -> None:
        self.is_whole = False
        self.is_followed = False
        self._new: list[bytes] = []  # content that is not yet taken
        self._content = self._framing = 0  # bytes
        self._head_size = self._fields = 0  # of the head and the trailers
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(_HEAD)
        self._head_size, self._fields = head.size, len(head.fields)

    def feed(self, piece: bytes) -> bytes:
        """Parse a piece of input; returns the content in it.

        Raises:
            Refused: it is malformed, or there is too much framing or too much in trailers.
        """
        try:
            self._parser.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self.is_whole:
                raise heads.bad() from None
            self.is_followed = True  # by something that is not a request
        content = b"".join(self._new)
        self._new.clear()
        self._content += len(content)
        self._framing += len(piece) - len(content)
        if (
            self._fields > heads.MAX_FIELDS
            or self._head_size > heads.MAX_HEAD
            or self._framing > heads.MAX_HEAD + MAX_FRAMING_PER_BYTE * self._content
        ):
            raise heads.too_large()
        return content

    # --- the parser's callbacks ---------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Notice a request directly after the body."""
        self.is_followed = self.is_whole

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a trailer, and ignore it."""
        size = len(name) + len(value) + 4
        self._fields += 1
        self._head_size += size if size <= heads.MAX_LINE else heads.MAX_HEAD

    def on_body(self, body: bytes) -> None:
        """Keep content, unless it is that of a request after the body."""
        if not self.is_whole:
            self._new.append(body)

    def on_message_complete(self) -> None:
        """Note the end of the body."""
        self.is_whole = True
