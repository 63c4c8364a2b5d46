"""Other outcomes of a checkout: declined, cancelled, late, by bank debit, refunded."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.backstage import Backstage
from tests.e2e.conftest import Windows
from tests.e2e.window import CHECKOUT, DECLINED_CARD, POOR_CARD, Window


async def test_a_declined_card_can_be_followed_by_a_good_one(windows: Windows) -> None:
    """A declined card leaves the buyer at checkout with a reason, and the next card pays."""
    buyer = await windows.open()
    checkout = await buyer.go_to_checkout("Declined, then paid")
    await checkout.pay(DECLINED_CARD)
    await expect(checkout.error).to_have_text("Your card was declined.")
    await checkout.pay()
    await buyer.expect_arrival("Declined, then paid")


@pytest.mark.long
async def test_insufficient_funds_post_nothing(windows: Windows) -> None:
    """A card with insufficient funds leaves the buyer at checkout with that reason, and posts nothing."""
    buyer, watcher = await windows.open(), await windows.open()
    checkout = await buyer.go_to_checkout("Never paid for")
    await checkout.pay(POOR_CARD)
    await expect(checkout.error).to_have_text("Your card has insufficient funds.")
    assert CHECKOUT.search(buyer.page.url)
    await watcher.page.reload()
    await watcher.expect_live()
    await expect(watcher.message("Never paid for")).to_have_count(0)


async def test_cancelling_keeps_the_draft(windows: Windows) -> None:
    """A buyer who cancels finds text and name as they were, is told that nothing was charged, and can still pay."""
    buyer = await windows.open()
    checkout = await buyer.go_to_checkout("Cancelled, then paid", "Edsger")
    cancelled = checkout.session
    await checkout.cancel()

    await expect(buyer.notice).to_contain_text("nothing was charged")
    await expect(buyer.text).to_have_value("Cancelled, then paid")
    await expect(buyer.name).to_have_value("Edsger")
    assert "cancelled=" not in buyer.page.url
    await buyer.pay_button.click()
    checkout = await buyer.arrive_at_checkout()
    assert checkout.session == cancelled, "the same text is the same payment"
    await checkout.pay()
    await buyer.expect_arrival("Cancelled, then paid")


async def test_the_browsers_back_button_gives_the_composer_back(windows: Windows) -> None:
    """A buyer who leaves checkout with the browser's Back button finds the draft and a working button."""
    buyer = await windows.open()
    await buyer.go_to_checkout("Went back, then paid")
    await buyer.page.go_back()
    await expect(buyer.text).to_have_value("Went back, then paid")
    await buyer.pay_button.click()
    await (await buyer.arrive_at_checkout()).pay()
    await buyer.expect_arrival("Went back, then paid")


async def test_a_late_webhook_never_looks_like_lost_money(windows: Windows, backstage: Backstage) -> None:
    """While Stripe's event is late the page thanks, shows the message as being published, and prevents paying twice."""
    buyer = await windows.open()
    checkout = await buyer.go_to_checkout("Paid, and told late")
    # The page's lookup asks Stripe as well, and must not be faster here.
    await backstage.set_faults(webhook={"delay_s": 3}, api={"hang_s": 3})
    await checkout.pay()

    await expect(buyer.card).to_have_attribute("data-status", "pending")
    await expect(buyer.card).to_contain_text("No need to pay again")
    await expect(buyer.card).not_to_contain_text(re.compile("fail|error|lost|refused|expired|charged", re.IGNORECASE))
    await expect(buyer.text).to_have_value("")
    await expect(buyer.publishing).to_contain_text("Paid, and told late")
    await expect(buyer.publishing).to_be_in_viewport()
    await buyer.write("Paid, and told late")
    await expect(buyer.pay_button).to_be_disabled()
    await expect(buyer.pay_button).to_have_accessible_description(re.compile("is being paid for already"))
    await expect(buyer.notice).to_be_hidden()
    await buyer.expect_arrival("Paid, and told late", focused=False)
    await expect(buyer.publishing).to_have_count(0)
    await expect(buyer.card).to_have_attribute("data-status", "fulfilled")
    await expect(buyer.text).to_have_value("")


async def test_a_lost_webhook_is_found_by_coming_back(windows: Windows, backstage: Backstage) -> None:
    """If every webhook is lost, the buyer's return makes the board ask Stripe, and the message is posted."""
    buyer = await windows.open()
    checkout = await buyer.go_to_checkout("Paid, and never told")
    await backstage.set_faults(webhook={"drop": "all"})
    await checkout.pay()
    await buyer.expect_arrival("Paid, and never told")


async def test_a_bank_debit_is_posted_when_it_arrives(windows: Windows, backstage: Backstage) -> None:
    """A delayed payment is shown as processing, also after a reload, and its message is posted once it settles."""
    buyer = await windows.open()
    session = await _order_bank_debit(buyer, "Paid by debit, and it came")
    await buyer.page.reload()
    await expect(buyer.card).to_have_attribute("data-status", "processing")
    await expect(buyer.message("Paid by debit, and it came")).to_have_count(0)

    await backstage.act(session, "settle")
    await buyer.expect_arrival("Paid by debit, and it came")


async def test_a_refused_bank_debit_gives_the_text_back(windows: Windows, backstage: Backstage) -> None:
    """A delayed payment that fails is shown as refused, posts nothing, and its text can be paid again."""
    buyer = await windows.open()
    session = await _order_bank_debit(buyer, "Paid by debit, and refused")
    await backstage.act(session, "settle_fail")

    await expect(buyer.card).to_have_attribute("data-status", "failed")
    await expect(buyer.card).to_contain_text("Nothing was charged")
    await expect(buyer.message("Paid by debit, and refused")).to_have_count(0)
    await expect(buyer.text).to_have_value("Paid by debit, and refused")
    await buyer.pay_button.click()
    checkout = await buyer.arrive_at_checkout()
    assert checkout.session != session
    await checkout.pay()
    await buyer.expect_arrival("Paid by debit, and refused")


async def test_a_bank_debit_outlives_its_tab(windows: Windows, backstage: Backstage) -> None:
    """After the tab is closed, the next one waits for the bank, marks the message, and leaves the reader in peace."""
    closed = await windows.open()
    session = await _order_bank_debit(closed, "Paid by debit, and closed")
    device = closed.page.context
    await closed.page.close()
    buyer = await windows.open_tab(device)
    await expect(buyer.card).to_have_attribute("data-status", "processing")
    await expect(buyer.text).to_have_value("")
    await backstage.act(session, "settle")

    await expect(buyer.message("Paid by debit, and closed")).to_contain_class("mine")
    await expect(buyer.card).to_have_attribute("data-status", "fulfilled")
    await expect(buyer.message("Paid by debit, and closed")).not_to_contain_class("highlight")
    await buyer.page.reload()
    await expect(buyer.message("Paid by debit, and closed")).to_contain_class("mine")
    await expect(buyer.card).to_be_hidden()


@pytest.mark.long
async def test_a_dismissed_bank_debit_never_looks_unsent(windows: Windows, backstage: Backstage) -> None:
    """Dismissing the card empties the composer, a reload shows no card, and the message is marked when it is posted."""
    buyer = await windows.open()
    session = await _order_bank_debit(buyer, "Paid by debit, and dismissed")
    await buyer.card.get_by_role("button", name="Dismiss").click()
    await expect(buyer.card).to_be_hidden()
    await expect(buyer.text).to_have_value("")
    await expect(buyer.pay_button).to_be_enabled()
    await buyer.page.reload()
    await buyer.expect_live()
    await expect(buyer.text).to_have_value("")
    await expect(buyer.card).to_be_hidden()

    await backstage.act(session, "settle")
    await expect(buyer.message("Paid by debit, and dismissed")).to_contain_class("mine")
    await expect(buyer.card).to_have_attribute("data-status", "fulfilled")


@pytest.mark.long
async def test_a_dismissed_bank_debit_that_is_refused_gives_the_text_back(
    windows: Windows, backstage: Backstage
) -> None:
    """If the bank refuses a payment whose card was dismissed, the card says so, and the text is back."""
    buyer = await windows.open()
    session = await _order_bank_debit(buyer, "Paid by debit, dismissed, refused")
    await buyer.card.get_by_role("button", name="Dismiss").click()
    await expect(buyer.text).to_have_value("")
    await backstage.act(session, "settle_fail")
    await expect(buyer.card).to_have_attribute("data-status", "failed")
    await expect(buyer.text).to_have_value("Paid by debit, dismissed, refused")
    await expect(buyer.pay_button).to_be_enabled()


async def test_a_tab_closed_at_checkout_is_not_missed(windows: Windows, backstage: Backstage) -> None:
    """If the tab is closed at checkout and the payment succeeds, another tab marks the message as the buyer's."""
    closed = await windows.open()
    session = (await closed.go_to_checkout("Paid in a closed tab")).session
    device = closed.page.context
    buyer = await windows.open_tab(device)
    await closed.page.close()
    await backstage.act(session, "pay")
    await expect(buyer.message("Paid in a closed tab")).to_contain_class("mine")
    await expect(buyer.text).to_have_value("")


@pytest.mark.long
async def test_an_expired_checkout_can_be_repeated(windows: Windows, backstage: Backstage) -> None:
    """An expired checkout says so with a link back, and the same text starts a new one."""
    buyer = await windows.open()
    expired = (await buyer.go_to_checkout("Expired, then paid")).session
    await backstage.act(expired, "expire")
    await buyer.page.reload()
    await buyer.page.locator("#back").click()

    await expect(buyer.text).to_have_value("Expired, then paid")
    await buyer.pay_button.click()
    checkout = await buyer.arrive_at_checkout()
    assert checkout.session != expired
    await checkout.pay()
    await buyer.expect_arrival("Expired, then paid")


async def test_a_refund_takes_the_message_off_every_window(windows: Windows, backstage: Backstage) -> None:
    """A refunded message disappears from all windows live, and its neighbours stay."""
    buyer, watcher = await windows.open(), await windows.open()
    checkout = await buyer.go_to_checkout("Refunded later")
    session = checkout.session
    await checkout.pay()
    await buyer.expect_arrival("Refunded later")
    await backstage.post("Stays beside a refunded one")
    await backstage.act(session, "refund")

    for window in (buyer, watcher):
        await expect(window.message("Refunded later")).to_have_count(0)
        await expect(window.message("Stays beside a refunded one")).to_be_visible()
    await expect(buyer.card).to_have_attribute("data-status", "refunded")


async def test_payments_down_is_said_with_a_way_on(windows: Windows, backstage: Backstage) -> None:
    """If Stripe does not work the draft stays, the page says so, and trying again makes one payment."""
    windows_before = len(await backstage.sessions())
    buyer = await windows.open()
    windows.expect_note("503")
    await backstage.set_faults(api={"status": 500})
    await buyer.write("Sent when Stripe was down")
    await buyer.pay_button.click()
    await expect(buyer.notice).to_contain_text("Nothing was charged")
    await expect(buyer.text).to_have_value("Sent when Stripe was down")

    await backstage.clear_faults()
    await buyer.notice.get_by_role("button", name="Try again").click()
    await (await buyer.arrive_at_checkout()).pay()
    await buyer.expect_arrival("Sent when Stripe was down")
    assert len(await backstage.sessions()) == windows_before + 1


async def _order_bank_debit(buyer: Window, text: str) -> str:
    """Pay by bank debit and come back; return the session."""
    checkout = await buyer.go_to_checkout(text)
    session = checkout.session
    await checkout.pay_by_bank_debit()
    await expect(buyer.card).to_have_attribute("data-status", "processing")
    await expect(buyer.card).to_contain_text("No need to pay again")
    await expect(buyer.text).to_have_value("")
    return session
