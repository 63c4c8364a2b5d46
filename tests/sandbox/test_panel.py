"""The panel, in a browser without scripts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.sandbox.conftest import Bench, Receiver


async def press(bench: Bench, path: str, **fields: str) -> httpx.Response:
    """Submit a form of the panel and return the page it leads to."""
    answer = await bench.http.post(f"/panel{path}", data=fields)
    assert answer.status_code == 303
    page = await bench.http.get(answer.headers["location"])
    assert page.status_code == 200
    return page


def said(page: httpx.Response) -> str:
    """Return the panel's message about the last button."""
    match = re.search(r'<p id="said" role="status">(.*?)</p>', page.text)
    assert match is not None
    return match[1]


async def test_buttons_work(bench: Bench, receiver: Receiver) -> None:
    """A session's buttons work on it, and the panel shows the result."""
    created = await bench.create()
    page = await press(bench, f"/sessions/{created.id}/pay")
    assert said(page) == "Done: pay."
    assert (await bench.session(created.id))["payment_status"] == "paid"
    assert "checkout.session.completed" in page.text
    page = await press(bench, f"/sessions/{created.id}/pay")
    assert "can no longer be paid" in said(page)
    event = receiver.arrivals[0].event["id"]
    page = await press(bench, f"/events/{event}/resend")
    assert "200" in said(page)
    assert len(receiver.arrivals) == 2
    assert "no such event" in said(await press(bench, "/events/evt_unknown/resend"))


async def test_what_a_session_is_for_and_how_far_it_has_come(bench: Bench) -> None:
    """A session says what was bought, and a debit that the bank refused is neither paid nor on its way."""
    seen = {}
    for verbs in ([], ["pay"], ["pay_later"], ["pay_later", "settle"], ["pay_later", "settle_fail"], ["expire"]):
        created = await bench.create(client_reference_id="9c1e4f0a-uuid")
        for verb in verbs:
            await bench.do(created.id, verb)
        page = (await bench.http.get("/")).text
        found = re.search(rf'<article class="session (\w+)" id="session-{created.id}">(.*?)</article>', page, re.DOTALL)
        assert found is not None
        assert "A message" in found[2]
        assert ">9c1e4f0a-uuid<" not in found[2]
        state = re.search(r'class="state">(.*?)<', found[2])
        assert state is not None
        seen[" ".join(verbs)] = (found[1], state[1])
    assert seen == {
        "": ("open", "open"),
        "pay": ("paid", "paid"),
        "pay_later": ("processing", "processing"),
        "pay_later settle": ("paid", "paid"),
        "pay_later settle_fail": ("failed", "debit failed"),
        "expire": ("expired", "expired"),
    }


async def test_switches_work(bench: Bench) -> None:
    """Faults, clock and tax are set from their forms, shown as set, and cleared."""
    fields = {
        "drop": "all",
        "duplicate": "2",
        "delay_s": "1.5",
        "reorder": "on",
        "foreign_events": "on",
        "hang_s": "0.5",
        "status": "500",
        "drop_answer": "1",
        "count": "3",
    }
    page = await press(bench, "/faults", **fields)
    assert (await bench.http.get("/test/faults")).json() == {
        "webhook": {"drop": "all", "duplicate": 2, "delay_s": 1.5, "reorder": True, "foreign_events": True},
        "api": {"hang_s": 0.5, "status": 500, "drop_answer": 1, "count": 3},
    }
    assert 'value="500" selected' in page.text
    assert "not a valid value" in said(await press(bench, "/faults", duplicate="99999"))
    assert said(await press(bench, "/faults", hang_s="soon"))
    await press(bench, "/faults", clear="1", drop="all")
    assert (await bench.http.get("/test/faults")).json()["webhook"]["drop"] == 0
    await press(bench, "/clock", advance_s="3600")
    assert (await bench.http.get("/test/clock")).json()["advance_s"] == 3600
    await press(bench, "/clock", advance_s="never")
    await press(bench, "/tax", head_office="on")
    assert (await bench.http.get("/test/tax")).json()["head_office"] is True
    await press(bench, "/tax")
    assert (await bench.http.get("/test/tax")).json()["head_office"] is False


async def test_an_empty_panel(bench: Bench) -> None:
    """A new sandbox's panel says what to do."""
    page = await bench.http.get("/")
    assert page.text.count("None yet") == 2
    assert "unsafe" not in page.headers["content-security-policy"]


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{base}"])
async def test_hostile_text_is_text(bench: Bench, hostile: str) -> None:
    """Whatever a session or a link contains is shown as text."""
    await bench.create(client_reference_id=hostile)
    page = await bench.http.get("/", params={"said": hostile})
    assert "<script>alert" not in page.text
    assert "<img" not in page.text
    assert page.text.count("{base}") == (2 if hostile == "{base}" else 0)
    assert "style=" not in page.text


async def test_the_live_part(bench: Bench) -> None:
    """The part that the script refreshes is the same as the page's."""
    created = await bench.create()
    live = (await bench.http.get("/panel/live")).text
    assert created.id in live
    page = (await bench.http.get("/")).text
    ago = re.compile(r">[\d.]+ \w+ ago<")
    assert ago.sub("", live).strip() in ago.sub("", page)
    for asset in ("panel.js", "panel.css"):
        assert (await bench.http.get(f"/static/{asset}")).status_code == 200
