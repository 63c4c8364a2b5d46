"""A window: a browser tab on the board, with what a person sees and does there and on the checkout page."""

import re
from dataclasses import dataclass

from playwright.async_api import Locator, Page, expect

GOOD_CARD = "4242 4242 4242 4242"
DECLINED_CARD = "4000 0000 0000 0002"
POOR_CARD = "4000 0000 0000 9995"

CHECKOUT = re.compile(r"/sandbox/pay/cs_test_\w+$")


@dataclass(frozen=True)
class Window:
    """One tab. It waits for conditions, as Playwright's locators do, and never for a fixed time."""

    page: Page
    board_url: str

    async def visit(self, path: str = "/") -> None:
        """Open the board and wait until it is live."""
        await self.page.goto(f"{self.board_url}{path}")
        await self.expect_live()

    async def expect_live(self) -> None:
        """Wait until the page is live."""
        await expect(self.page.locator("#connection")).to_have_attribute("data-state", "live")

    @property
    def text(self) -> Locator:
        """The text box for a message."""
        return self.page.get_by_label("Message", exact=True)

    @property
    def name(self) -> Locator:
        """The field for the display name."""
        return self.page.get_by_label("Display name")

    @property
    def pay_button(self) -> Locator:
        """The composer's button with the price."""
        return self.page.get_by_role("button", name=re.compile(r"^Pay \$1 and send"))

    @property
    def card(self) -> Locator:
        """The card with the state of this tab's payment."""
        return self.page.locator("#payment-card")

    @property
    def notice(self) -> Locator:
        """The notice about what just happened."""
        return self.page.locator("#notice")

    @property
    def messages(self) -> Locator:
        """Every message on the board, oldest first."""
        return self.page.locator("#board li.message")

    @property
    def publishing(self) -> Locator:
        """The message that is about to be on the board."""
        return self.page.locator("#board > li.pending:last-child")

    def message(self, text: str) -> Locator:
        """Return the messages with exactly this text."""
        exact = re.compile(rf"^{re.escape(text)}$")
        return self.messages.filter(has=self.page.locator(".text").filter(has_text=exact))

    async def ids(self) -> list[int]:
        """Return the ids on the board, in display order."""
        ids: list[str] = await self.messages.evaluate_all("items => items.map((item) => item.dataset.id)")
        return list(map(int, ids))

    async def write(self, text: str, name: str = "") -> None:
        """Fill in the composer."""
        await self.text.fill(text)
        await self.name.fill(name)

    async def go_to_checkout(self, text: str, name: str = "") -> "Checkout":
        """Write a message and press the button; return the hosted page."""
        await self.write(text, name)
        await self.pay_button.click()
        return await self.arrive_at_checkout()

    async def arrive_at_checkout(self) -> "Checkout":
        """Wait for the hosted page."""
        await self.page.wait_for_url(CHECKOUT)
        return Checkout(self.page)

    async def expect_arrival(self, text: str, *, focused: bool = True) -> None:
        """Check what a buyer sees when the message has arrived: it is highlighted, marked as own, visible.

        It is focused unless the buyer is writing.
        """
        message = self.message(text)
        await expect(message).to_have_count(1)
        await expect(message).to_contain_class("highlight")
        await expect(message).to_contain_class("mine")
        await expect(message).to_be_in_viewport()
        if focused:
            await expect(message).to_be_focused()

    async def overflow(self) -> int:
        """Return by how many pixels the page is wider than the screen."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@dataclass(frozen=True)
class Checkout:
    """The hosted page, as a buyer uses it."""

    page: Page

    @property
    def session(self) -> str:
        """The id of the checkout session."""
        return self.page.url.rsplit("/", 1)[1]

    @property
    def pay_button(self) -> Locator:
        """The Pay button."""
        return self.page.get_by_role("button", name="Pay $1.00")

    @property
    def error(self) -> Locator:
        """The error message."""
        return self.page.get_by_role("alert")

    async def pay(self, card: str = GOOD_CARD) -> None:
        """Pay by card; if it is declined, the buyer stays here."""
        await self.page.locator("#card").fill(card)
        await self.pay_button.click()

    async def pay_by_bank_debit(self) -> None:
        """Pay by bank debit, which takes days."""
        await self.page.get_by_role("radio", name="Bank debit").check()
        await self.pay_button.click()

    async def cancel(self) -> None:
        """Go back without paying."""
        await self.page.locator("#cancel").click()
