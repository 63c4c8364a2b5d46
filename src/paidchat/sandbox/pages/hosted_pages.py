"""The hosted page's HTML in its states: form, finished, and unknown session."""

from paidchat.sandbox.lifecycle.payments import DEFAULT_EMAIL
from paidchat.sandbox.money import in_words
from paidchat.sandbox.pages.markup import Markup, checked, html, join, template
from paidchat.sandbox.shapes import Json

_DEFAULT_CARD = "4242 4242 4242 4242"
_BANK_DEBIT = """
<label class="choice"><input type="radio" name="method" value="bank_debit" id="method-bank-debit"{checked}>
<span><b>Bank debit</b> <small>takes days; settle it in the panel</small></span></label>
"""
_LINE = '<div class="line"><dt>{name}</dt><dd>{amount}</dd>{description}</div>'
_LINES = '<div class="line"><dt>{name} &times; {quantity}</dt><dd>{amount}</dd>{description}</div>'
_DESCRIPTION = '<dd class="description" dir="auto">{description}</dd>'
_ROW = '<div class="line{extra}"><dt>{name}</dt><dd>{amount}</dd></div>'


def pay_page(
    session: Json,
    lines: list[Json],
    descriptions: dict[str, str | None],
    form: dict[str, str],
    error: str | None,
    base: str,
) -> Markup:
    """Return the form with the buyer's earlier entries.

    `descriptions` are those of the products, by their ids; `base` is the path prefix of the sandbox.
    """
    method = form.get("method", "card")
    takes = session["payment_method_types"]
    alert = html('<p class="alert" role="alert" id="error">{error}</p>', error=error) if error else Markup("")
    debit = html(_BANK_DEBIT, checked=checked(method == "bank_debit" or "card" not in takes))
    cancel = session["cancel_url"]
    back = (
        html('<a class="quiet" id="cancel" href="{url}">Cancel and go back</a>', url=cancel) if cancel else Markup("")
    )
    body = html(
        template("pay.html"),
        alert=alert,
        lines=_amounts(session, lines, descriptions),
        total=in_words(session["amount_total"], session["currency"]),
        card=form.get("card", _DEFAULT_CARD),
        email=form.get("email") or session["customer_email"] or DEFAULT_EMAIL,
        card_checked=checked(method != "bank_debit" and "card" in takes),
        bank_debit=debit if "us_bank_account" in takes else Markup(""),
        cancel=back,
    )
    return _whole("Pay " + in_words(session["amount_total"], session["currency"]), body, base, script="pay.js")


def closed_page(session: Json, success_url: str, base: str, *, refused: bool) -> Markup:
    """Return the page of a session that can no longer be paid, with a link back; `refused` by the bank."""
    if session["status"] == "expired":
        title, text = "This page has expired", "Nothing was paid. Start again from the shop."
        url = session["cancel_url"]
    elif session["payment_status"] == "paid":
        title, text, url = "Paid", "This has already been paid.", success_url
    elif refused:
        title, text, url = "Refused", "The bank refused the debit, so nothing was paid.", success_url
    else:
        title, text, url = "On its way", "The bank debit has been ordered; it takes days to arrive.", success_url
    back = html('<a class="button" id="back" href="{url}">Go back</a>', url=url) if url else Markup("")
    return _whole(title, html(template("closed.html"), title=title, text=text, back=back), base)


def missing_page(base: str) -> Markup:
    """Return the page for an unknown session id."""
    text = "There is no checkout session at this address."
    return _whole("Not found", html(template("closed.html"), title="Not found", text=text, back=Markup("")), base)


def _whole(title: str, body: Markup, base: str, *, script: str | None = None) -> Markup:
    tag = '<script type="module" src="{base}/static/{script}"></script>'
    scripts = html(tag, base=base, script=script) if script else Markup("")
    return html(template("page.html"), title=title, body=body, base=base, scripts=scripts)


def _amounts(session: Json, lines: list[Json], descriptions: dict[str, str | None]) -> Markup:
    currency = session["currency"]
    rows = [
        html(
            _LINES if line["quantity"] > 1 else _LINE,
            name=line["description"],
            quantity=line["quantity"],
            description=_description(descriptions.get(line["price"]["product"])),
            amount=in_words(line["amount_subtotal"], currency),
        )
        for line in lines
    ]
    tax = session["total_details"]["amount_tax"]
    if session["automatic_tax"]["enabled"]:
        included = session["amount_total"] == session["amount_subtotal"]
        rows.append(html(_ROW, extra="", name="Subtotal", amount=in_words(session["amount_subtotal"], currency)))
        rows.append(html(_ROW, extra="", name="Tax, included" if included else "Tax", amount=in_words(tax, currency)))
    rows.append(html(_ROW, extra=" total", name="Total", amount=in_words(session["amount_total"], currency)))
    return join(rows)


def _description(words: str | None) -> Markup:
    return html(_DESCRIPTION, description=words) if words else Markup("")
