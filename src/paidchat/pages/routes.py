"""The routes: the board, the addresses of its messages, and what browsers and crawlers look for at the root."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic_core import to_json

from paidchat.api.files import MEDIA_TYPES
from paidchat.api.messages import LARGEST_ID
from paidchat.api.negotiation import is_not_modified
from paidchat.domain import Gone, NotFound, Reason
from paidchat.pages.document import Document
from paidchat.pages.documents import BoardDocuments
from paidchat.pages.languages import Language, preferred_language, say
from paidchat.pages.site import Site
from paidchat.storage.database import DatabaseUnavailable

log = structlog.get_logger(__name__)

FRONT_PATH: Final = "/"
RETURN_PARAMETERS: Final = frozenset({"payment", "cancelled"})  # with which checkout sends a payer back
ICON_SIZES: Final = (192, 512)
PAPER: Final = "#f5f2ea"  # as in style.css
_MESSAGE_ID: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_ROBOTS: Final = "User-agent: *\nDisallow: /api/\nDisallow: /overlay\n"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of a running app, built by its lifespan."""

    site: Site
    documents: BoardDocuments


async def _pages(request: Request) -> Pages:
    pages = request.scope["state"]["pages"]
    assert isinstance(pages, Pages)  # noqa: S101 - the lifespan put it there
    return pages


async def _language(request: Request) -> Language:
    return preferred_language(request.headers.getlist("accept-language"))


ThePages = Annotated[Pages, Depends(_pages)]
TheLanguage = Annotated[Language, Depends(_language)]


@router.get(FRONT_PATH)
async def front_page(request: Request, pages: ThePages, language: TheLanguage) -> Response:
    """Return the board. If the database is unavailable it comes without messages, and its script goes on trying."""
    try:
        document = await pages.documents.read(language)
    except DatabaseUnavailable as error:
        log.error("page.without_messages", error=str(error))
        document = pages.documents.without_messages(language)
    return _answer(document, request)


@router.get("/m/{message_id}")
async def message_page(request: Request, pages: ThePages, language: TheLanguage, message_id: str) -> Response:
    """Return the board, opened at a message; a page that leads on if there is none."""
    if not _MESSAGE_ID.fullmatch(message_id):
        return _answer(_unknown(pages, language), request)
    target_id = min(int(message_id), LARGEST_ID)
    try:
        document = await pages.documents.read(language, target_id)
    except NotFound:
        document = _unknown(pages, language)
    except Gone as error:
        document = _removed(pages, language, error.reason)
    except DatabaseUnavailable as error:
        log.error("page.without_messages", error=str(error))
        document = pages.documents.without_messages(language, target_id, 503)
    return _answer(document, request)


def _unknown(pages: Pages, language: Language) -> Document:
    words = {
        "title": say("Not found", language),
        "heading": say("There is no such message.", language),
        "why": say("Its address may be incomplete.", language),
    }
    return Document(pages.site.render("missing.html", language, **words), language, status=404)


def _removed(pages: Pages, language: Language, reason: Reason) -> Document:
    why = {
        Reason.MODERATED: say("Whoever runs the board took it down.", language),
        Reason.REFUNDED: say("Its payment was refunded.", language),
        Reason.DISPUTED: say("Its payment is disputed.", language),
    }
    title, heading = say("Removed", language), say("This message was removed from the board.", language)
    page = pages.site.render("missing.html", language, title=title, heading=heading, why=why[reason])
    return Document(page, language, status=410)


def _answer(document: Document, request: Request) -> Response:
    """Return the response. For a payer who comes back it is not stored, since the address names the payment."""
    if RETURN_PARAMETERS.intersection(request.query_params):
        document = document.not_stored()
    return document.answer(request.headers)


@router.get("/robots.txt")
async def robots(request: Request) -> Response:
    """Return what crawlers leave out."""
    return _revalidated(_ROBOTS.encode(), "text/plain", request)


@router.get("/manifest.webmanifest")
async def manifest(request: Request, pages: ThePages) -> Response:
    """Return what a phone needs to put the board on its home screen (W3C Web Application Manifest)."""
    icons = [
        {"src": pages.site.assets.address(f"icons/{size}.png"), "sizes": f"{size}x{size}", "type": "image/png"}
        for size in ICON_SIZES
    ]
    title = pages.site.board.title
    look = {"display": "minimal-ui", "background_color": PAPER, "theme_color": PAPER}
    body = to_json({"name": title, "id": "/", "start_url": "/", "scope": "/", **look, "icons": icons})
    return _revalidated(body, MEDIA_TYPES[".webmanifest"], request)


def _revalidated(body: bytes, media_type: str, request: Request) -> Response:
    headers = {"Cache-Control": "no-cache", "ETag": f'"{sha256(body).hexdigest()[:32]}"'}
    if is_not_modified(request.headers.getlist("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)


@router.get("/favicon.ico")
async def icon(request: Request, pages: ThePages) -> Response:
    """Return the icon for whoever does not look for a link to one."""
    return await pages.site.assets.answer("favicon.ico", request.headers, "max-age=86400")
