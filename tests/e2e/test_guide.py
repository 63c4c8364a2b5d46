"""docs/frontend.md: the client and the page that it prints, on another origin than the board's."""

import contextlib
import functools
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.async_api import expect

from tests.e2e.backstage import backstage_of
from tests.e2e.conftest import Windows
from tests.e2e.test_feed import LOST_CONNECTION
from tests.e2e.window import CHECKOUT, Checkout
from tests.support.served import free_port, served_board

GUIDE = (Path(__file__).parents[2] / "docs/frontend.md").read_text()
EXAMPLE = "https://chat.example.com"  # stands for the board in the guide


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served_guide(folder: Path, board: str) -> Iterator[str]:
    """Serve the guide's page and client, for this board, as static files; yields their origin."""
    client, page = re.findall(r"```js\n(.*?)```", GUIDE, re.DOTALL)
    (markup,) = re.findall(r"```html\n(.*?)```", GUIDE, re.DOTALL)
    for name, text in (("paidchat.js", client), ("page.js", page.replace(EXAMPLE, board)), ("index.html", markup)):
        (folder / name).write_text(text)
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


async def test_the_guide_takes_payments(windows: Windows, tmp_path: Path) -> None:
    """The page pays and comes back, resumes after a restart with what it missed, and takes down what is refunded."""
    windows.expect_note(LOST_CONNECTION)
    windows.expect_note("404.*favicon")
    port = free_port()
    data, files = tmp_path / "data", tmp_path / "files"
    data.mkdir()
    files.mkdir()
    with served_guide(files, f"http://127.0.0.1:{port}") as shop:
        settings = {"allowed_origins": shop, "return_url": shop, "tiers": "1:0,5:300"}
        page = await (await windows.device()).new_page()
        texts = page.locator("#board li")
        with served_board(data, port, **settings) as board:
            async with backstage_of(board) as backstage:
                await backstage.post("Before")
                await page.goto(shop)
                await expect(texts).to_have_text(["Anonymous: Before"])
                await page.get_by_label("Message").fill("<b>Mine</b>")
                await page.get_by_role("button", name="Pay and send").click()
                await page.wait_for_url(CHECKOUT)
                session = Checkout(page).session
                await Checkout(page).pay()
                await page.wait_for_url(f"{shop}/")
                await expect(page.get_by_role("status")).to_have_text("Your message is on the board.")
                await expect(texts).to_have_text(["Anonymous: Before", "Anonymous: <b>Mine</b>"])
                await expect(page.locator("li[aria-current]")).to_have_text("Anonymous: <b>Mine</b>")
        await page.evaluate("window.neverReloaded = true")
        with served_board(data, port, **settings) as board:
            async with backstage_of(board) as backstage:
                await backstage.post("During the restart")
                await expect(texts).to_have_count(3)
                payment = (await backstage.http.post("/api/payments", json={"text": "On top", "amount": 500})).json()
                await backstage.act(payment["checkout_url"].rsplit("/", 1)[1], "pay")
                await expect(page.locator("#pinned li")).to_have_text("Anonymous: On top")
                await backstage.act(session, "refund")
                await expect(page.get_by_role("status")).to_have_text("The payment was refunded.")
                left = ("Before", "During the restart", "On top")
                await expect(texts).to_have_text([f"Anonymous: {text}" for text in left])
                assert await page.evaluate("window.neverReloaded")
                await page.close()
