"""GET /overlay: new messages over a stream. The only page that may be framed, by the origins in the settings.

Its script reads the query, so the document is the same whatever is asked. A malformed parameter counts as absent.
"""

from functools import cached_property
from hashlib import sha256
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response

from paidchat import wire
from paidchat.api.common import content_security_policy
from paidchat.api.ready import Ready
from paidchat.pages.engine import environment
from paidchat.settings import Settings

OVERLAY_PATH = "/overlay"
# What the script imports, for the browser to load at once.
MODULES: Final = (
    "overlay/overlay.js",
    "overlay/chime.js",
    "overlay/queue.js",
    "feed/api.js",
    "feed/backoff.js",
    "feed/connection.js",
    "feed/feed.js",
    "ui/elements.js",
    "ui/format.js",
)


def asset(path: str) -> str:
    """Return the address of a file of the front end."""
    return f"/{path}"


class Overlay:
    """The document of one board."""

    def __init__(self, settings: Settings) -> None:
        self._title = settings.title
        policy = content_security_policy(settings, settings.frame_ancestors)
        self._policy = (b"content-security-policy", policy.encode())

    @cached_property
    def _document(self) -> Ready:
        """The document, made for the first who asks."""
        engine = environment()
        engine.globals["asset"] = asset
        html = engine.get_template("overlay.html").render(title=self._title, modules=MODULES).encode()
        etag = f'"{sha256(html).hexdigest()[:32]}-{wire.VERSION}"'
        return Ready(html, etag, is_page=True, media_type="text/html; charset=utf-8")

    def answer(self, headers: Headers) -> Response:
        """Return the response to a request with these headers."""
        answer = self._document.answer(headers)
        answer.raw_headers = [*answer.raw_headers, self._policy]
        return answer
