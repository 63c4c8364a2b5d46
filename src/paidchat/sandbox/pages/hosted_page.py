"""The hosted page `/pay/{session_id}`, where a buyer pays; it says clearly that no money moves."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from paidchat.sandbox.api.forms import decode
from paidchat.sandbox.errors import StateError, UnknownObjectError
from paidchat.sandbox.lifecycle.cards import GOOD_CARD, InvalidCardNumberError, card_digits
from paidchat.sandbox.lifecycle.payments import Outcome, pay_by_bank_debit, pay_by_card
from paidchat.sandbox.lifecycle.state import State, find_session
from paidchat.sandbox.pages.hosted_pages import closed_page, missing_page, pay_page
from paidchat.sandbox.parts import Parts
from paidchat.sandbox.shapes import Json
from paidchat.sandbox.tax import apply_tax, load_tax

_PLACEHOLDER = "{CHECKOUT_SESSION_ID}"
_LONGEST_EMAIL = 254

# No form-action: Chromium also applies it to the redirect after the form, which leads to any merchant's site.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class InvalidFormError(ValueError):
    """A field of the form is invalid; the text is for the buyer."""


def page_routes(parts: Parts) -> list[Route]:
    """Return the routes of the hosted page."""
    page = _HostedPage(parts)
    return [
        Route("/pay/{id}", page.show, methods=["GET"]),
        Route("/pay/{id}", page.submit, methods=["POST"]),
    ]


def return_url(session: Json) -> str:
    """Return the URL that a paid session sends the buyer to, with its placeholder filled in."""
    url: str = session["success_url"]
    return url.replace(_PLACEHOLDER, session["id"])


class _HostedPage:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def show(self, request: Request) -> Response:
        """Show the form, or how the session ended."""
        try:
            session = find_session(self._parts, request.path_params["id"])
        except UnknownObjectError:
            return _page(missing_page(base_path(request)), 404)
        if session["status"] != "open":
            refused = State(self._parts, session["id"]).is_refused
            return _page(closed_page(session, return_url(session), base_path(request), refused=refused))
        return self._form(request, session, {}, None)

    async def submit(self, request: Request) -> Response:
        """Try to pay: redirect to the merchant if it worked, else show the form with the reason."""
        form = await form_fields(request)
        try:
            session = find_session(self._parts, request.path_params["id"])
        except UnknownObjectError:
            return _page(missing_page(base_path(request)), 404)
        if session["status"] == "complete":  # a second click on Pay
            return RedirectResponse(return_url(session), 303, PAGE_HEADERS)
        try:
            outcome = _pay(self._parts, session, form)
        except InvalidFormError as error:
            return self._form(request, session, form, str(error))
        except StateError:
            return await self.show(request)
        if outcome.decline is not None:
            return self._form(request, outcome.session, form, outcome.decline.message)
        if outcome.completed_event is not None:
            await self._parts.courier.first_answer(outcome.completed_event)
        return RedirectResponse(return_url(outcome.session), 303, PAGE_HEADERS)

    def _form(self, request: Request, session: Json, form: dict[str, str], error: str | None) -> Response:
        lines = self._parts.store.private(session["id"])["lines"]
        if session["payment_intent"] is None:
            apply_tax(session, lines, load_tax(self._parts.store))  # to show the buyer the tax in advance
        products = self._parts.store.of_session(session["id"], "product")
        descriptions = {product["id"]: product["description"] for product in products}
        page = pay_page(session, lines, descriptions, form, error, base_path(request))
        return _page(page)


def _pay(parts: Parts, session: Json, form: dict[str, str]) -> Outcome:
    email = form.get("email", "").strip() or None
    if email is not None and (len(email) > _LONGEST_EMAIL or "@" not in email[1:-1] or not email.isprintable()):
        raise InvalidFormError("Your e-mail address is invalid.")
    method = form.get("method", "card")
    if method == "bank_debit":
        return pay_by_bank_debit(parts, session["id"], email=email)
    if method != "card":
        raise InvalidFormError("Choose a payment method.")
    try:
        digits = card_digits(form.get("card", GOOD_CARD))
    except InvalidCardNumberError as error:
        raise InvalidFormError(str(error)) from None
    return pay_by_card(parts, session["id"], card=digits, email=email)


async def form_fields(request: Request) -> dict[str, str]:
    """Return the fields of a submitted form."""
    text = (await request.body()).decode(errors="replace")
    return {name: value for name, value in decode(text).items() if isinstance(value, str)}


def base_path(request: Request) -> str:
    """Return the path prefix under which the sandbox is mounted; empty if it runs alone."""
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")


def _page(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, PAGE_HEADERS)
