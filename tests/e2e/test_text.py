"""What may be written and how it is shown: text stays text, and the page says why something cannot be sent."""

import pytest
from playwright.async_api import expect

from tests.e2e.backstage import Backstage, backstage_of
from tests.e2e.conftest import Windows
from tests.support.served import Served

MAX_LENGTH = 500
NOTHING = ("", "   \n \n", "\u200b\u2060", "\u3164")  # empty, blank, zero-width, a blank letter
HOSTILE = {
    "a script": "<script>window.hacked = 1; alert(1)</script>",
    "an image that runs": '<img src=x onerror="window.hacked = 1">',
    "a frame and a style": "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe><style>*{display:none}</style>",
    "an end of the page": "</li></ol></main></template><svg onload=window.hacked=1><!--",
    "a javascript link": "javascript:window.hacked=1 data:text/html,<script>alert(1)</script> https://example.com",
    "templates": "{{constructor.constructor('window.hacked=1')()}} ${window.hacked=1} <%= 1 %>",
    "entities": "&lt;b&gt; &amp;amp; &#60;script&#62; &nbsp;",
    "one long word": "W" * MAX_LENGTH,
    "right to left": "שלום עולם, مرحبا بالعالم",
    "a direction mark": "left \u200f right \u200e left",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪 e\u0301 \U0001f9d1\u200d\U0001f680",
    "lines": "one\n\n  two, indented\nthree",
}


async def test_hostile_texts_stay_text(windows: Windows, own_board: Served) -> None:
    """Whatever is posted is shown letter for letter; none of it becomes an element, a link or a running script."""
    reader = await windows.open(url=own_board.url)
    async with backstage_of(own_board) as backstage:
        for number, text in enumerate(HOSTILE.values()):
            is_name = not {"\n", "\u200f"}.intersection(text)  # a name is one line, without needless direction marks
            await backstage.post(text, text[:50] if is_name and number % 2 else None)
    await expect(reader.messages).to_have_count(len(HOSTILE))

    for _ in ("live", "from the snapshot"):
        shown = await reader.messages.locator(".text").evaluate_all("texts => texts.map((text) => text.textContent)")
        assert shown == [_nfc(text) for text in HOSTILE.values()]
        built = "script, img, iframe, style, svg, a:not([href^='/m/']):not([rel='nofollow ugc noopener'][href^='http'])"
        assert await reader.messages.locator(built).count() == 0
        assert await reader.page.evaluate("window.hacked") is None
        assert await reader.overflow() <= 0
        await reader.page.reload()
        await expect(reader.messages).to_have_count(len(HOSTILE))


@pytest.mark.long
async def test_a_hostile_text_survives_the_composer(windows: Windows) -> None:
    """A script typed into the composer goes through checkout and comes back as plain text."""
    buyer = await windows.open()
    text = "<script>window.hacked = 1</script><b onclick=alert(1)>bold</b>"
    await (await buyer.go_to_checkout(text, "<i>Mallory</i>")).pay()
    await buyer.expect_arrival(text)
    await expect(buyer.message(text)).to_contain_text("<i>Mallory</i>")
    assert await buyer.page.evaluate("window.hacked") is None


async def test_each_text_has_its_own_direction(windows: Windows, backstage: Backstage) -> None:
    """A right-to-left text is laid out that way, and its neighbour is not."""
    reader = await windows.open()
    await backstage.post("שלום לכולם", "דוד")
    await backstage.post("Hello to all")
    direction = "text => getComputedStyle(text).direction"
    assert await reader.message("שלום לכולם").locator(".text").evaluate(direction) == "rtl"
    assert await reader.message("Hello to all").locator(".text").evaluate(direction) == "ltr"


@pytest.mark.long
async def test_500_characters_are_the_most(windows: Windows) -> None:
    """501 characters cannot be sent and the page says by how many it is too long; 500 can, an emoji counting as one."""
    buyer = await windows.open()
    await buyer.write("🙂" * (MAX_LENGTH + 1))
    await buyer.pay_button.click()
    await expect(buyer.page.locator("#text-error")).to_contain_text("1 character")
    await expect(buyer.text).to_have_attribute("aria-invalid", "true")
    await expect(buyer.text).to_be_focused()

    await buyer.write("🙂" * MAX_LENGTH)
    await expect(buyer.page.locator("#text-error")).to_be_hidden()
    await expect(buyer.page.locator("#counter")).to_have_text(f"{MAX_LENGTH}/{MAX_LENGTH}")
    await buyer.pay_button.click()
    await buyer.arrive_at_checkout()


async def test_nothing_cannot_be_sent(windows: Windows) -> None:
    """A text without visible characters cannot be sent, and the page says so."""
    buyer = await windows.open()
    for text in NOTHING:
        await buyer.write("Something")
        await expect(buyer.page.locator("#text-error")).to_be_hidden()
        await buyer.write(text)
        await buyer.pay_button.click()
        await expect(buyer.page.locator("#text-error")).to_be_visible()
        await expect(buyer.page.locator("#text-error")).not_to_be_empty()
        await expect(buyer.text).to_be_focused()
    assert buyer.page.url == f"{buyer.board_url}/"


@pytest.mark.long
async def test_what_turns_text_around_cannot_be_sent(windows: Windows) -> None:
    """A character that overrides the text direction is refused with an explanation, in the text and in the name."""
    buyer = await windows.open()
    await buyer.write("paid \u202e diap", "\u2066Eve")
    await buyer.pay_button.click()
    await expect(buyer.page.locator("#text-error")).to_contain_text("direction")
    await expect(buyer.page.locator("#author-error")).to_contain_text("direction")
    assert buyer.page.url == f"{buyer.board_url}/"


def _nfc(text: str) -> str:
    """Return the text as the server stores it; here only the composed accent differs."""
    return text.replace("e\u0301", "\u00e9")
