"""Sound and notifications: only for whoever asked for them, and remembered on the device."""

from playwright.async_api import BrowserContext, expect

from tests.e2e.backstage import Backstage
from tests.e2e.conftest import Windows

WATCH = """
  window.notes = 0;
  window.told = [];
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...when) { window.notes += 1; return start.apply(this, when); };
  window.Notification = class {
    static permission = "default";
    static async requestPermission() { return (this.permission = window.answer); }
    constructor(title, { body }) { window.told.push(`${title}: ${body}`); window.last = this; }
    close() { window.told.push("closed"); }
  };
  window.hide = (hidden) => Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
"""


async def watched(windows: Windows) -> BrowserContext:
    """Return a device whose pages count notes and notifications."""
    device = await windows.device()
    await device.add_init_script(WATCH)
    return device


async def test_a_new_message_rings_for_whoever_wants_it(windows: Windows, backstage: Backstage) -> None:
    """Nothing rings or is loaded unasked; once on, each new message rings, also after a reload, until it is off."""
    device = await watched(windows)
    asked: list[str] = []
    device.on("request", lambda request: asked.append(request.url))
    reader = await windows.open_tab(device)
    page, sound = reader.page, reader.page.get_by_role("button", name="Sound")
    await backstage.post("Quietly")
    await expect(reader.message("Quietly")).to_be_visible()
    assert await page.evaluate("notes") == 0
    assert [url for url in asked if url.endswith(("alerts.js", "chime.js"))] == []
    await expect(sound).to_have_attribute("aria-pressed", "false")

    await sound.click()
    await expect(sound).to_have_attribute("aria-pressed", "true")
    await page.wait_for_function("notes === 2")  # so that one knows what it sounds like
    await page.reload()
    await reader.expect_live()
    await expect(sound).to_have_attribute("aria-pressed", "true")
    await page.locator("#title").click()  # browsers allow sound after a click
    await backstage.post("Loudly")
    await page.wait_for_function("notes === 2")

    await sound.click()
    await backstage.post("Quietly again")
    await expect(reader.message("Quietly again")).to_be_visible()
    assert await page.evaluate("notes") == 2


async def test_a_hidden_page_notifies_whoever_wants_it(windows: Windows, backstage: Backstage) -> None:
    """A notification shows the message while the page is hidden, and leads to it; a refused permission is said."""
    reader = await windows.open_tab(await watched(windows))
    page, notifications = reader.page, reader.page.get_by_role("button", name="Notifications")
    await page.evaluate("answer = 'denied'")
    await notifications.click()
    await expect(reader.notice).to_contain_text("allow notifications")
    await expect(notifications).to_have_attribute("aria-pressed", "false")

    await page.evaluate("answer = 'granted'")
    await notifications.click()
    await expect(notifications).to_have_attribute("aria-pressed", "true")
    await backstage.post("Seen already")
    await expect(reader.message("Seen already")).to_be_visible()
    await page.evaluate("hide(true)")
    await page.wait_for_timeout(1_000)  # messages at once are one alert
    message_id = await backstage.post("<b>Look</b>", "Grace")
    await page.wait_for_function("told.length === 1")
    assert await page.evaluate("told") == ["Grace: <b>Look</b>"]
    await page.evaluate("hide(false); last.onclick()")
    await page.wait_for_url(f"**/m/{message_id}")
    assert await page.evaluate("told.at(-1)") == "closed"
