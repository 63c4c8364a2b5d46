"""The panel at `/`: what has happened, with a button for everything a person, a bank or time could do next."""

from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from paidchat.sandbox.errors import StateError
from paidchat.sandbox.lifecycle.passing_time import LONGEST_ADVANCE_S, advance
from paidchat.sandbox.lifecycle.verbs import do
from paidchat.sandbox.pages.hosted_page import PAGE_HEADERS, base_path, form_fields
from paidchat.sandbox.pages.panel_pages import live_part, panel_page
from paidchat.sandbox.parts import Parts
from paidchat.sandbox.tax import Tax, load_tax, save_tax

_LONGEST_SAYING = 300


def panel_routes(parts: Parts) -> list[Route]:
    """Return the routes of the panel."""
    panel = _Panel(parts)
    return [
        Route("/", panel.show, methods=["GET"]),
        Route("/panel/live", panel.live, methods=["GET"]),
        Route("/panel/sessions/{id}/{verb}", panel.act, methods=["POST"]),
        Route("/panel/events/{id}/resend", panel.resend, methods=["POST"]),
        Route("/panel/clock", panel.advance, methods=["POST"]),
        Route("/panel/faults", panel.set_faults, methods=["POST"]),
        Route("/panel/tax", panel.set_tax, methods=["POST"]),
    ]


class _Panel:
    """Each button is a form; each form redirects back to the panel, which shows the result."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def show(self, request: Request) -> Response:
        """Show the whole panel."""
        said = request.query_params.get("said", "")[:_LONGEST_SAYING]
        return HTMLResponse(panel_page(self._parts, base_path(request), said), headers=PAGE_HEADERS)

    async def live(self, request: Request) -> Response:
        """Show only the part that changes, for the script that refreshes it."""
        return HTMLResponse(live_part(self._parts, base_path(request)), headers=PAGE_HEADERS)

    async def act(self, request: Request) -> Response:
        """Do a verb to a session."""
        verb, session_id = request.path_params["verb"], request.path_params["id"]
        try:
            await do(self._parts, verb, session_id)
        except StateError as error:
            return _back(request, str(error))
        return _back(request, f"Done: {verb.replace('_', ' ')}.")

    async def resend(self, request: Request) -> Response:
        """Send an event once more."""
        answer = await self._parts.courier.resend(request.path_params["id"])
        if answer is None:
            return _back(request, "There is no such event.")
        return _back(request, f"Sent again; the response was {answer.status or answer.note}.")

    async def advance(self, request: Request) -> Response:
        """Let time pass."""
        form = await form_fields(request)
        seconds = int(form.get("advance_s", "0")) if form.get("advance_s", "").isdigit() else 0
        advance(self._parts, min(seconds, LONGEST_ADVANCE_S))
        return _back(request, "The clock has been advanced.")

    async def set_faults(self, request: Request) -> Response:
        """Set all faults from the form, or clear them all."""
        form = await form_fields(request)
        if "clear" in form:
            self._parts.faults.clear()
            return _back(request, "All faults are cleared.")
        try:
            self._parts.faults.put(_faults(form))
        except ValueError as error:
            return _back(request, str(error))
        return _back(request, "The faults are set.")

    async def set_tax(self, request: Request) -> Response:
        """Set whether the account has a head office."""
        form = await form_fields(request)
        save_tax(self._parts.store, Tax("head_office" in form, load_tax(self._parts.store).rate_percent))
        return _back(request, "The tax settings are saved.")


def _faults(form: dict[str, str]) -> dict[str, Any]:
    """Return the form's faults as `Faults.put` takes them; raises `ValueError` if a number is malformed."""
    drop = form.get("drop", "")
    api = {
        "hang_s": float(form.get("hang_s") or 0),
        "status": int(form["status"]) if form.get("status") else None,
        "drop_answer": int(form.get("drop_answer") or 0),
        "count": int(form["count"]) if form.get("count") else None,
    }
    webhook = {
        "drop": "all" if drop == "all" else int(drop or 0),
        "duplicate": int(form.get("duplicate") or 0),
        "delay_s": float(form.get("delay_s") or 0),
        "reorder": "reorder" in form,
        "foreign_events": "foreign_events" in form,
    }
    return {"webhook": webhook, "api": api}


def _back(request: Request, said: str) -> Response:
    return RedirectResponse(f"{base_path(request)}/?said={quote(said)}", 303, PAGE_HEADERS)
