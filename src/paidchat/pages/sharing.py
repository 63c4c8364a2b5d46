"""GET /feed.atom: what other programs show of the board."""

from fastapi import APIRouter, Request, Response

from paidchat.api.ready import KeptPage
from paidchat.feed.feed import Feed
from paidchat.pages.atom import FEED_PATH, AtomFeed
from paidchat.storage.database import Database

router = APIRouter(include_in_schema=False)


class Sharing:
    """What a running app shares, built by its lifespan."""

    def __init__(self, atom: AtomFeed, database: Database, feed: Feed) -> None:
        self.atom = KeptPage(database, feed, atom.read)


def sharing_of(request: Request) -> Sharing:
    """Return what the app that serves this request shares."""
    sharing = request.scope["state"]["sharing"]
    assert isinstance(sharing, Sharing)  # noqa: S101 - the lifespan put it there
    return sharing


@router.get(FEED_PATH)
async def atom_feed(request: Request) -> Response:
    """Return the newest messages for feed readers."""
    return (await sharing_of(request).atom.read()).answer(request.headers)
