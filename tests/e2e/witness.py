"""A witness: records whatever must never happen in a browser, so that every test fails on it."""

import re

from playwright.async_api import BrowserContext, ConsoleMessage, Dialog, Page, Request, Response, WebError, WebSocket

from tests.support.browsers import PLAIN_HOST

SERVER_ERROR = 500
THIS_MACHINE = re.compile(rf"(https?|wss?)://(localhost|127\.0\.0\.1|{re.escape(PLAIN_HOST)})[:/]|data:|blob:")


class Witness:
    """Watches a browser context for errors, dialogs, 5xx responses, and requests to other machines.

    Errors are the page's own and the console's, where the content security policy says what it refused.
    """

    def __init__(self, context: BrowserContext) -> None:
        self._seen: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        context.on("weberror", self._page_error)
        context.on("console", self._console)
        context.on("dialog", self._dialog)
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("page", self._page)

    def expect(self, pattern: str) -> None:
        """Ignore what a test provokes: the records that match the pattern."""
        self._expected.append(re.compile(pattern))

    def complaints(self) -> list[str]:
        """Return what was recorded and not expected."""
        return [note for note in self._seen if not any(pattern.search(note) for pattern in self._expected)]

    def _page_error(self, error: WebError) -> None:
        self._seen.append(f"page error: {error.error}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "assert"}:
            self._seen.append(f"console: {message.text} ({message.location.get('url')})")

    async def _dialog(self, dialog: Dialog) -> None:
        self._seen.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _request(self, request: Request) -> None:
        self._address(request.url)

    def _response(self, response: Response) -> None:
        if response.status >= SERVER_ERROR:
            self._seen.append(f"answer {response.status}: {response.url}")

    def _page(self, page: Page) -> None:
        page.on("websocket", self._websocket)
        page.on("crash", lambda page: self._seen.append(f"crash: {page.url}"))

    def _websocket(self, socket: WebSocket) -> None:
        self._address(socket.url)

    def _address(self, url: str) -> None:
        if not THIS_MACHINE.match(url):
            self._seen.append(f"request to elsewhere: {url}")
