"""GET /feed.atom: the newest messages for feed readers (RFC 4287), and what was removed among them (RFC 6721)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Template
from msgspec import Struct
from sqlalchemy.engine import Connection

from paidchat import wire
from paidchat.api.ready import Reading, Ready
from paidchat.excerpt import excerpt
from paidchat.pages.engine import environment
from paidchat.records import MessageRecord
from paidchat.settings import Settings
from paidchat.storage import changes, queries

FEED_PATH = "/feed.atom"
MEDIA_TYPE: Final = "application/atom+xml; charset=utf-8"
ENTRIES: Final = 50
MOST_REMOVALS: Final = 1_000  # told of; a board that hides more of its newest messages at once has other worries
TITLE_LENGTH: Final = 80  # code points
ANONYMOUS: Final = "Anonymous"
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)  # an empty feed needs a time too


class Entry(Struct, frozen=True):
    """A message as the feed has it. `updated` is later than `published` once it was restored."""

    id: str
    title: str
    author: str
    text: str
    link: str
    published: datetime
    updated: datetime


class Deleted(Struct, frozen=True):
    """The id that an entry had, and when its message was removed."""

    id: str
    at: datetime


class AtomFeed:
    """The feed of one board, whose addresses are all below its public URL."""

    def __init__(self, settings: Settings) -> None:
        self._site = settings.public_url
        host = urlsplit(settings.public_url).hostname or ""
        self._authority = host.replace(":", "-")  # of an IPv6 address: a tag's authority has no colon (RFC 4151)
        self._title = settings.title

    @cached_property
    def _template(self) -> Template:
        """The template, compiled at the first request, which saves 6 ms at the start."""
        return environment().get_template("feed.xml")

    def read(self, connection: Connection) -> Reading:
        """Read the newest messages, and what was removed since the oldest of them was posted."""
        board = queries.read_board(connection)
        messages, has_more = queries.messages_before(connection, None, ENTRIES)
        oldest = messages[0].id if has_more else 0
        restored = changes.restorations(connection, oldest)
        entries = [self._entry(message, board.epoch, restored.get(message.id)) for message in reversed(messages)]
        removals = [
            Deleted(self._id(removal.id, removal.posted_at, board.epoch), removal.removed_at)
            for removal in changes.removals(connection, oldest, MOST_REMOVALS)
        ]
        body = self._render(entries, removals)
        etag = f'"{sha256(body).hexdigest()[:32]}-{wire.VERSION}"'
        return Reading(Ready(body, etag, is_page=True, media_type=MEDIA_TYPE), board.epoch, board.seq)

    def _entry(self, message: MessageRecord, epoch: str, restored_at: datetime | None) -> Entry:
        return Entry(
            id=self._id(message.id, message.posted_at, epoch),
            title=excerpt(message.text, TITLE_LENGTH),
            author=message.author or ANONYMOUS,
            text=message.text,
            link=f"{self._site}/m/{message.id}",
            published=message.posted_at,
            updated=max(message.posted_at, restored_at or message.posted_at),
        )

    def _id(self, message_id: int, posted_at: datetime, epoch: str) -> str:
        """Return a message's tag URI (RFC 4151), which no other message ever has."""
        return f"tag:{self._authority},{posted_at.year}:{epoch}/{message_id}"

    def _render(self, entries: Sequence[Entry], removals: Sequence[Deleted]) -> bytes:
        times = [*(entry.updated for entry in entries), *(removal.at for removal in removals)]
        return self._template.render(
            site=self._site,
            title=self._title,
            updated=max(times, default=_BEGINNING),
            entries=entries,
            removals=removals,
        ).encode()
