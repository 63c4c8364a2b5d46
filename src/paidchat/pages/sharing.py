"""GET /feed.atom, /m/{id}.png, /board.png and /overlay: what other programs show of the board."""

import re
from typing import Final

from fastapi import APIRouter, Request, Response

from paidchat.api.deps import TheDatabase
from paidchat.api.messages import LARGEST_ID
from paidchat.api.negotiation import is_not_modified
from paidchat.api.ready import KeptPage
from paidchat.board import shown_message
from paidchat.domain import NotFound
from paidchat.feed.feed import Feed
from paidchat.pages.atom import FEED_PATH, AtomFeed
from paidchat.pages.gallery import Busy, Gallery, Subject, etag_of
from paidchat.pages.overlay import OVERLAY_PATH, Overlay
from paidchat.pages.site import Site
from paidchat.records import MessageRecord
from paidchat.settings import Settings
from paidchat.storage.database import Database

router = APIRouter(include_in_schema=False)

BOARD_PICTURE_PATH = "/board.png"
_MESSAGE_ID: Final = re.compile(r"[1-9][0-9]{0,17}")


class Sharing:
    """What a running app shares, built by its lifespan."""

    def __init__(self, settings: Settings, site: Site, database: Database, feed: Feed) -> None:
        self.atom = KeptPage(database, feed, AtomFeed(settings).read)
        self.gallery = Gallery(settings)
        self.overlay = Overlay(settings, site)


def sharing_of(request: Request) -> Sharing:
    """Return what the app that serves this request shares."""
    sharing = request.scope["state"]["sharing"]
    assert isinstance(sharing, Sharing)  # noqa: S101 - the lifespan put it there
    return sharing


@router.get(FEED_PATH)
async def atom_feed(request: Request) -> Response:
    """Return the newest messages for feed readers."""
    return (await sharing_of(request).atom.read()).answer(request.headers)


@router.get(OVERLAY_PATH)
async def overlay(request: Request) -> Response:
    """Return the stream overlay."""
    return sharing_of(request).overlay.answer(request.headers)


@router.get(BOARD_PICTURE_PATH)
async def board_picture(request: Request) -> Response:
    """Return the picture of the board."""
    gallery = sharing_of(request).gallery
    return _unless_drawn(request, gallery, gallery.sign) or _drawn(gallery.sign, await gallery.draw(gallery.sign))


@router.get("/m/{message_id}.png")
async def message_picture(request: Request, message_id: str, database: TheDatabase) -> Response:
    """Return the picture of a message, or that of the board if it can't be drawn, or not now.

    Raises:
        NotFound, Gone: it is not on the board.
    """
    message = await _shown(database, message_id)
    gallery = sharing_of(request).gallery
    subject = await gallery.subject(message)
    if answer := _unless_drawn(request, gallery, subject):
        return answer
    try:
        body = await gallery.draw(subject)
    except Busy:
        return _drawn(gallery.sign, await gallery.draw(gallery.sign), cache_control="no-store")
    await _shown(database, message_id)  # it may have been removed meanwhile
    return _drawn(subject, body)


async def _shown(database: Database, message_id: str) -> MessageRecord:
    if not _MESSAGE_ID.fullmatch(message_id):
        raise NotFound("There is no such message.")
    return await shown_message(database, min(int(message_id), LARGEST_ID))


def _unless_drawn(request: Request, gallery: Gallery, subject: Subject) -> Response | None:
    """Return the answer that needs no drawing, if there is one: 304, a picture that is kept, and any to HEAD."""
    if is_not_modified(request.headers.getlist("if-none-match"), etag_of(subject)):
        answer = Response(status_code=304)
        answer.raw_headers = _fields(subject)
        return answer
    if body := gallery.kept(subject):
        return _drawn(subject, body)
    if request.scope["state"]["is_head"]:
        answer = Response()
        answer.raw_headers = [*_fields(subject), (b"content-type", b"image/png")]  # how long it is, only drawing tells
        return answer
    return None


def _drawn(subject: Subject, body: bytes, cache_control: str = "no-cache") -> Response:
    answer = Response(body, media_type="image/png")
    answer.raw_headers += _fields(subject, cache_control)
    return answer


def _fields(subject: Subject, cache_control: str = "no-cache") -> list[tuple[bytes, bytes]]:
    """Return the headers of a picture. Pages of other origins may show it, whatever they ask of what they embed."""
    return [
        (b"etag", etag_of(subject).encode()),
        (b"cache-control", cache_control.encode()),
        (b"cross-origin-resource-policy", b"cross-origin"),
    ]
