"""GET /overlay: new messages over a stream. The only page that may be framed, by the origins in the settings.

Its script reads the query, so the document is the same whatever is asked, but for the language. A malformed parameter
counts as absent.
"""

from hashlib import sha256
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response

from paidchat.api.common import content_security_policy
from paidchat.pages.board_page import json_for_html
from paidchat.pages.document import Document
from paidchat.pages.languages import LANGUAGES, Language, preferred_language, words_in
from paidchat.pages.site import Site
from paidchat.settings import Settings

OVERLAY_PATH = "/overlay"
SCRIPT: Final = "overlay/overlay.js"


class Overlay:
    """The documents of one board, one in each language: made at the first request, and again when the assets change."""

    def __init__(self, settings: Settings, site: Site) -> None:
        self._site = site
        self._digest = ""  # of the assets that the documents lead to
        self._documents: dict[Language, Document] = {}
        policy = content_security_policy(settings, settings.frame_ancestors)
        self._policy = (b"content-security-policy", policy.encode())

    def answer(self, headers: Headers) -> Response:
        """Return the response to a request with these headers."""
        if self._digest != (digest := self._site.assets.tree.digest):
            self._digest, self._documents = digest, {language: self._made(language) for language in LANGUAGES}
        language = preferred_language(headers.getlist("accept-language"))
        answer = self._documents[language].answer(headers)
        answer.raw_headers = [*answer.raw_headers, self._policy]
        return answer

    def _made(self, language: Language) -> Document:
        assets = self._site.assets
        html = self._site.render(
            "overlay.html",
            language,
            script=assets.address(SCRIPT),
            modules=assets.modules(SCRIPT),
            table=json_for_html(words_in(language)),
        )
        return Document(html, language, f'W/"{sha256(html.encode()).hexdigest()[:32]}"')
