"""The panel's HTML: sessions with their verbs, deliveries with the responses, faults, clock and tax."""

import json
import time
from datetime import UTC, datetime

from paidchat.sandbox.lifecycle.state import State
from paidchat.sandbox.lifecycle.verbs import allowed
from paidchat.sandbox.money import in_words
from paidchat.sandbox.pages.markup import Markup, checked, html, join, template
from paidchat.sandbox.parts import Parts
from paidchat.sandbox.shapes import Json
from paidchat.sandbox.tax import load_tax

_SESSIONS_SHOWN = 25
_DELIVERIES_SHOWN = 40

_WORDS = {
    "pay": "Pay",
    "decline": "Decline",
    "pay_later": "Pay by bank debit",
    "settle": "Debit succeeds",
    "settle_fail": "Debit fails",
    "expire": "Expire",
    "refund": "Refund",
    "refund_partial": "Refund half",
    "refund_fail": "Refund fails",
    "refund_settle": "Refund succeeds",
    "dispute": "Dispute",
    "win_dispute": "Win dispute",
    "lose_dispute": "Lose dispute",
    "inquiry": "Inquiry",
}
_ADVANCES = ((60, "+1 minute"), (3600, "+1 hour"), (24 * 3600, "+1 day"), (3 * 24 * 3600, "+3 days"))

_VERB = """
<form method="post" action="{base}/panel/sessions/{id}/{verb}">
<button id="{verb}-{id}">{words}</button></form>
"""
_CLOCK = '<button name="advance_s" value="{seconds}">{words}</button>'

_RECENT_SESSIONS = """
SELECT id, body FROM objects WHERE kind = 'checkout.session' ORDER BY seq DESC LIMIT ?
"""
_RECENT_DELIVERIES = """
SELECT deliveries.*, (
    SELECT group_concat(coalesce(status, note), ', ') FROM attempts WHERE attempts.event = deliveries.event
) AS answers
FROM deliveries ORDER BY rowid DESC LIMIT ?
"""


def panel_page(parts: Parts, base: str, said: str) -> Markup:
    """Return the whole panel; `said` is the result of the last button, or empty."""
    webhook, api = parts.faults.webhook, parts.faults.api
    body = html(
        template("panel.html"),
        base=base,
        said=said,
        live=live_part(parts, base),
        webhook_url=parts.settings.webhook_url,
        advance=_duration(parts.clock.advance_s),
        clocks=join(html(_CLOCK, seconds=seconds, words=words) for seconds, words in _ADVANCES),
        drop=webhook.drop,
        duplicate=webhook.duplicate,
        delay_s=f"{webhook.delay_s:g}",
        reorder=checked(webhook.reorder),
        foreign_events=checked(webhook.foreign_events),
        hang_s=f"{api.hang_s:g}",
        status_none=_selected(api.status is None),
        status_500=_selected(api.status == 500),  # noqa: PLR2004 - the choices of the form
        status_429=_selected(api.status == 429),  # noqa: PLR2004
        drop_answer=api.drop_answer,
        count="" if api.count is None else api.count,
        head_office=checked(load_tax(parts.store).head_office),
    )
    return html(template("panel_frame.html"), base=base, body=body)


def live_part(parts: Parts, base: str) -> Markup:
    """Return the part that changes: sessions and deliveries, newest first."""
    sessions = [json.loads(row["body"]) for row in parts.store.rows(_RECENT_SESSIONS, (_SESSIONS_SHOWN,))]
    deliveries = [dict(row) for row in parts.store.rows(_RECENT_DELIVERIES, (_DELIVERIES_SHOWN,))]
    return html(
        template("panel_live.html"),
        sessions=join(_session(parts, session, base) for session in sessions)
        or Markup('<p class="empty">None yet. Write a message on the board and press Pay.</p>'),
        deliveries=join(_delivery(parts, delivery, base) for delivery in deliveries)
        or Markup('<tr><td colspan="5">None yet.</td></tr>'),
    )


def _session(parts: Parts, session: Json, base: str) -> Markup:
    private = parts.store.private(session["id"])
    state = State(parts, session["id"])
    verbs = [] if private.get("foreign") else allowed(state)
    words = {"inquiry": "Close inquiry"} if state.inquiry else {}
    buttons = [
        html(_VERB, base=base, id=session["id"], verb=verb, words=words.get(verb, _WORDS[verb])) for verb in verbs
    ]
    kind, words_of_state = _standing(state)
    page = '<a href="{base}/pay/{id}">Payment page</a>'
    return html(
        template("panel_session.html"),
        id=session["id"],
        short=session["id"][-8:],
        state=words_of_state,
        kind="foreign" if private.get("foreign") else kind,
        amount=in_words(session["amount_total"], session["currency"]),
        created=_moment(session["created"]),
        reference=session["client_reference_id"] or "no reference",
        bought=_bought(parts, session["id"], private.get("lines", [])),
        money=_money(state),
        page=html(page, base=base, id=session["id"]) if session["status"] == "open" else Markup(""),
        verbs=join(buttons),
    )


def _standing(state: State) -> tuple[str, str]:
    """Return how far a session has come: as the kind that sets its colour, and in words."""
    status: str = state.session["status"]
    if status != "complete":
        return status, status
    if state.session["payment_status"] == "paid":
        return "paid", "paid"
    return ("failed", "debit failed") if state.is_refused else ("processing", "processing")


def _bought(parts: Parts, session_id: str, lines: list[Json]) -> str:
    """Return what a session is for: what its products say of themselves, else their names."""
    described = [product["description"] for product in parts.store.of_session(session_id, "product")]
    return "; ".join([words for words in described if words] or [line["description"] for line in lines])


def _money(state: State) -> str:
    """Return the refunds and disputes of a session in words."""
    refunds = [
        f"refund of {in_words(refund['amount'], refund['currency'])} {refund['status']}" for refund in state.refunds
    ]
    disputes = [f"dispute {dispute['status'].replace('_', ' ')}" for dispute in state.disputes]
    return "; ".join(refunds + disputes)


def _delivery(parts: Parts, delivery: Json, base: str) -> Markup:
    waits = ""
    if delivery["state"] == "pending":
        waits = f", next attempt in {_duration(max(0, delivery['due'] - parts.clock.now()))}"
    return html(
        template("panel_delivery.html"),
        base=base,
        event=delivery["event"],
        type=delivery["type"],
        session=(delivery["session"] or "")[-8:],
        state=delivery["state"],
        waits=waits,
        answers=delivery["answers"] or "not sent yet",
    )


def _duration(seconds: float) -> str:
    """Return a duration in the largest unit that fits."""
    for size, unit in ((24 * 3600, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}".replace(".0 ", " ")
    return f"{seconds:.0f} s"


def _moment(created: int) -> Markup:
    exact = datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
    return html('<time datetime="{exact}">{ago} ago</time>', exact=exact, ago=_duration(max(0, time.time() - created)))


def _selected(selected: bool) -> Markup:
    return Markup(" selected" if selected else "")
