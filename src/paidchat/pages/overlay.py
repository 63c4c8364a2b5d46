"""GET /overlay: new messages over a stream. The only page that may be framed, by the origins in the settings.

Its script reads the query, so the document is the same whatever is asked. A malformed parameter counts as absent.
"""

from hashlib import sha256
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response

from paidchat import wire
from paidchat.api.common import content_security_policy
from paidchat.api.ready import Ready
from paidchat.pages.site import Site
from paidchat.settings import Settings

OVERLAY_PATH = "/overlay"
SCRIPT: Final = "overlay/overlay.js"


class Overlay:
    """The document of one board: made at the first request, and again when the assets change."""

    def __init__(self, settings: Settings, site: Site) -> None:
        self._site = site
        self._digest = ""  # of the assets that the document leads to
        self._document: Ready
        policy = content_security_policy(settings, settings.frame_ancestors)
        self._policy = (b"content-security-policy", policy.encode())

    def answer(self, headers: Headers) -> Response:
        """Return the response to a request with these headers."""
        if self._digest != (digest := self._site.assets.tree.digest):
            self._digest, self._document = digest, self._made()
        answer = self._document.answer(headers)
        answer.raw_headers = [*answer.raw_headers, self._policy]
        return answer

    def _made(self) -> Ready:
        assets = self._site.assets
        html = self._site.render("overlay.html", "en", script=assets.address(SCRIPT), modules=assets.modules(SCRIPT))
        etag = f'"{sha256(html.encode()).hexdigest()[:32]}-{wire.VERSION}"'
        return Ready(html.encode(), etag, is_page=True, media_type="text/html; charset=utf-8")
