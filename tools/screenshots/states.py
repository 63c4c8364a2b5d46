"""The states of the page, each with how it is reached. To add one, write a function that ends when it is reached.

They use what a visitor sees: labels, roles, and words that may be put in more than one way.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import Page, expect

from tools.screenshots.stage import Board, Demo

EMPTY: Final = Demo(filled=False)
FILLED: Final = Demo(filled=True)
LIMITED: Final = Demo(filled=False, environment=(("PAIDCHAT_RATE_LIMIT", "1/minute"),))

TEXT: Final = "Good morning, board. I paid a dollar to say: it is going to be a fine day."
AUTHOR: Final = "Lovis"
LONG: Final = "\n".join(f"{number}. One of twenty lines." for number in range(1, 21))
CHECKOUT: Final = re.compile(r"/sandbox/pay/cs_\w+$")

Reach = Callable[[Page, Board], None]


@dataclass(frozen=True)
class State:
    """A state: how to reach it, on which demo."""

    name: str
    reach: Reach
    demo: Demo


STATES: Final[dict[str, State]] = {}


def state(demo: Demo = FILLED) -> Callable[[Reach], Reach]:
    """Add a state, which is named as its function."""

    def add(reach: Reach) -> Reach:
        name = reach.__name__.replace("_", "-")
        STATES[name] = State(name, reach, demo)
        return reach

    return add


# What a visitor does


def visit(page: Page, board: Board, path: str = "/") -> None:
    """Open a page of the board, and wait until it is live."""
    page.goto(f"{board.url}{path}")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def write(page: Page, text: str = TEXT, author: str = AUTHOR) -> None:
    """Fill in the composer: the text first, since a small screen may show the rest only then."""
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_label("Display name").fill(author)


def press_pay(page: Page) -> None:
    """Press the button with the price."""
    page.get_by_role("button", name=re.compile(r"^Pay \$")).click()


def go_to_checkout(page: Page, board: Board) -> str:
    """Write a message and go to the hosted page; returns the session."""
    visit(page, board)
    write(page)
    press_pay(page)
    page.wait_for_url(CHECKOUT)
    return page.url.rsplit("/", 1)[1]


def pay(page: Page, card: str = "4242 4242 4242 4242") -> None:
    """Pay on the hosted page."""
    page.get_by_label("Card number").fill(card)
    page.get_by_role("button", name=re.compile(r"^Pay \$")).click()


def order_debit(page: Page, board: Board) -> str:
    """Pay by bank debit and come back; returns the session."""
    session = go_to_checkout(page, board)
    page.get_by_role("radio", name="Bank debit").check()
    page.get_by_role("button", name=re.compile(r"^Pay \$")).click()
    says(page, "working days|on its way")
    return session


def says(page: Page, words: str) -> None:
    """Wait until these words can be read."""
    expect(page.locator("body")).to_contain_text(re.compile(words, re.IGNORECASE), use_inner_text=True)


def removed(page: Page, board: Board) -> int:
    """Have a message taken off the board; returns its id once the page has heard of it."""
    session = board.post("Regretted", "Sven")
    message = int(board.payment_of(session)["message_id"])
    board.act(session, "refund")
    visit(page, board)
    expect(page.locator(f"#m{message}")).to_have_count(0)
    return message


# Reading


@state(EMPTY)
def empty(page: Page, board: Board) -> None:
    """Nobody has posted yet."""
    visit(page, board)


@state()
def loading(page: Page, board: Board) -> None:
    """Neither the API nor the feed has answered yet."""
    chrome = page.context.new_cdp_session(page)
    chrome.send(
        "Fetch.enable", {"patterns": [{"urlPattern": "*/api/*"}]}
    )  # holds each request until it is told to go on
    page.route_web_socket("**/api/feed*", lambda _socket: None)
    page.goto(board.url)


@state()
def board(page: Page, board: Board) -> None:
    """A few messages, as a reader sees them."""
    visit(page, board)
    expect(page.get_by_text("Sending good weather to all of you.")).to_be_visible()


@state()
def pinned(page: Page, board: Board) -> None:
    """Two messages are on top, of both higher tiers."""
    board.post("Five dollars say: the bakery on the corner has the best rye bread.", "Grace", 500)
    board.post("Twenty dollars on top: the concert at the lake is free, tonight at eight.", "The Lake Band", 2000)
    visit(page, board)
    says(page, "the lake is free")


@state()
def long(page: Page, board: Board) -> None:
    """Messages of many lines, of many letters and of a single word, and more of them than fit."""
    for number in range(1, 9):
        board.post(f"Message number {number} of a busy evening.", f"Visitor {number}")
    board.post(LONG, "Twenty lines")
    board.post("Donaudampfschifffahrtsgesellschaft" * 8, "A_name_without_any_spaces_of_all_fifty_characters.")
    board.post("Every letter that a message may have. " * 13, "Wordy")
    visit(page, board)
    expect(page.get_by_text("Every letter that a message may have.").first).to_be_visible()


@state()
def offline(page: Page, board: Board) -> None:
    """The network has gone."""
    visit(page, board)
    page.context.set_offline(offline=True)
    expect(page.locator("#connection")).not_to_have_attribute("data-state", "live")


@state()
def removed_link(page: Page, board: Board) -> None:
    """A link leads to a message that was taken off the board."""
    visit(page, board, f"/#m{removed(page, board)}")
    says(page, "taken (off|down)|removed")


@state()
def unknown_link(page: Page, board: Board) -> None:
    """A link leads to a message that never was."""
    visit(page, board, "/#m999999")
    says(page, "doesn.t lead|no such|not found")


@state()
def permalink(page: Page, board: Board) -> None:
    """The board, opened at the address of a message."""
    message = min(board.payment_of(session)["message_id"] for session in board.kept)
    visit(page, board, f"/m/{message}")
    expect(page.locator(f"#m{message}")).to_contain_class("target")


@state()
def removed_page(page: Page, board: Board) -> None:
    """The page at the address of a message that was removed."""
    page.goto(f"{board.url}/m/{removed(page, board)}")
    says(page, "was removed")


@state()
def unknown_page(page: Page, board: Board) -> None:
    """The page at an address where there never was a message."""
    page.goto(f"{board.url}/m/999999")
    says(page, "no such message")


@state()
def german(page: Page, board: Board) -> None:
    """The board for a reader who prefers German, with a draft."""
    agent = {"userAgent": page.evaluate("navigator.userAgent"), "acceptLanguage": "de"}
    page.context.new_cdp_session(page).send("Emulation.setUserAgentOverride", agent)  # headers alone don't override it
    visit(page, board)
    page.get_by_label("Nachricht", exact=True).fill("Guten Morgen, Tafel. Das wird ein schöner Tag.")


@state()
def overlay(page: Page, board: Board) -> None:
    """The stream overlay, while a message is on it."""
    with page.expect_websocket() as feed:
        page.goto(f"{board.url}/overlay")
    feed.value.wait_for_event("framereceived")
    text = "Twenty dollars to say hello to everybody who watches this stream."
    board.post(text, "The Lake Band", 2000)
    says(page, re.escape(text))


# Writing


@state()
def draft(page: Page, board: Board) -> None:
    """A message is written and not sent."""
    visit(page, board)
    write(page)


@state()
def errors(page: Page, board: Board) -> None:
    """The text is too long, and the name has characters that it may not have."""
    visit(page, board)
    write(page, "Too long. " * 60, "Lo\u200bvis")
    press_pay(page)
    expect(page.locator("#text-error")).to_be_visible()


@state(LIMITED)
def rate_limited(page: Page, board: Board) -> None:
    """Too many payments were started from here."""
    visit(page, board)
    write(page)
    while board.http.post("/api/payments", json={"text": "One too many"}).is_success:
        pass
    press_pay(page)
    says(page, "too many|wait|in a moment")


# Paying


@state()
def checkout(page: Page, board: Board) -> None:
    """The sandbox's hosted page."""
    go_to_checkout(page, board)


@state()
def checkout_declined(page: Page, board: Board) -> None:
    """The sandbox's hosted page after a card was declined."""
    go_to_checkout(page, board)
    pay(page, "4000 0000 0000 0002")
    expect(page.get_by_role("alert")).to_be_visible()


@state()
def cancelled(page: Page, board: Board) -> None:
    """Back from checkout without having paid, with the draft as it was."""
    go_to_checkout(page, board)
    page.get_by_role("link", name="Cancel and go back").click()
    expect(page.get_by_label("Message", exact=True)).to_have_value(TEXT)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


@state()
def publishing(page: Page, board: Board) -> None:
    """Paid, but the board has not been told yet."""
    go_to_checkout(page, board)
    # The webhook does not arrive, and Stripe does not answer the board's questions.
    board.set_faults(webhook={"drop": "all"}, api={"status": 500})
    pay(page)
    says(page, "publishing|being confirmed")


@state()
def highlight(page: Page, board: Board) -> None:
    """Paid and posted: the buyer's message is marked."""
    go_to_checkout(page, board)
    pay(page)
    expect(page.locator(".message.highlight")).to_be_in_viewport()
    says(page, "on the board")


@state()
def bank_debit(page: Page, board: Board) -> None:
    """A bank debit is on its way."""
    order_debit(page, board)


@state()
def failed(page: Page, board: Board) -> None:
    """The bank refused the debit."""
    board.act(order_debit(page, board), "settle_fail")
    says(page, "refused|failed")


@state()
def expired(page: Page, board: Board) -> None:
    """Back from checkout as if paid, but nobody paid in time."""
    session = go_to_checkout(page, board)
    visit(page, board, f"/?payment={board.payment_of(session)['id']}")
    board.act(session, "expire")
    says(page, "expired")


@state()
def refunded(page: Page, board: Board) -> None:
    """The buyer's message was refunded."""
    session = go_to_checkout(page, board)
    pay(page)
    expect(page.locator(".message.highlight")).to_be_in_viewport()
    board.act(session, "refund")
    says(page, "refunded")


@state()
def disputed(page: Page, board: Board) -> None:
    """The buyer's payment is disputed."""
    session = go_to_checkout(page, board)
    pay(page)
    expect(page.locator(".message.highlight")).to_be_in_viewport()
    board.act(session, "dispute")
    says(page, "disputed")


@state()
def panel(page: Page, board: Board) -> None:
    """The sandbox's panel, with a session in each of its states."""
    board.start("Not paid yet", "Ada")
    board.act(board.start("Nobody paid in time", "Sven"), "expire")
    for text, verb in (
        ("The debit is on its way", ""),
        ("The debit arrived", "settle"),
        ("The debit failed", "settle_fail"),
    ):
        session = board.start(text, "Grace")
        board.act(session, "pay_later")
        if verb:
            board.act(session, verb)
    board.act(board.post("Refunded", "Ada"), "refund")
    page.goto(f"{board.url}/sandbox/")
    expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
