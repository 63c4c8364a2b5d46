"""Writers: many write at once through several processes, while readers tail the log and must miss nothing."""

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import websockets
from sqlalchemy import insert
from sqlalchemy.engine import Connection

from paidchat.storage import queries
from paidchat.storage.database import Database
from tests.support.http_client import NO_TLS
from tests.support.postgres import Postgres
from tests.support.rows import opened, payment_row
from tests.support.served import free_port
from tests.support.shapes import Json
from tests.support.webhooks import completed, deliver_until_taken, paid
from tests.torture.harness.payers import start_payment
from tests.torture.harness.viewer import Viewer
from tests.torture.harness.world import START_TIMEOUT_S, World, made_world
from tests.torture.order import Order
from tests.torture.table import Row

SHORT, LONG = 320, 10_000  # posts
PROCESSES, WRITERS = 4, 32
TWICE = 0.5  # of the events are also sent to a second process at the same time
PAGE = 50  # entries that the tailing reader takes at once
READ_WITHIN_S = 30
LONGEST_RUN_S = 1_200
CHUNK = 1_000
NEVER_S = 3_600.0
# Whoever locks several payments does so in the order of their ids, so there are none.
DEADLOCK_TIMEOUT_MS = 50  # much less than GROUP_LOCK_TIMEOUT_S
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@dataclass
class Tail:
    """The last entry that a reader of the log has seen, and the first gap."""

    seen: int = 0
    pages: int = 0
    findings: list[str] = field(default_factory=list)

    async def follow(self, database: Database, until: int) -> None:
        """Read the log after the last entry seen, as a feed does, up to an entry."""
        while self.seen < until and not self.findings:
            seqs = [row.seq for row in await database.read(queries.log_after, self.seen, PAGE)]
            self.pages += bool(seqs)
            if seqs != list(range(self.seen + 1, self.seen + 1 + len(seqs))):
                self.findings.append(f"a gap: {seqs[:5]}… after {self.seen}")
            self.seen += len(seqs)
            await asyncio.sleep(0.002)


async def run(order: Order) -> list[Row]:
    """Send events to several processes over many connections at once, while others read."""
    posts = order.count or (SHORT if order.short else LONG)
    row = Row("writers", f"{WRITERS} writers on {PROCESSES} processes, with readers on each", order.seed)
    began = time.monotonic()
    async with (
        _server(order) as server,
        made_world(launcher=order.launcher, database=server, hooks=order.hooks, reconcile_s=NEVER_S) as world,
        opened(world.records.url) as database,
        _quick_to_see_deadlocks(database),
        _boards(world) as boards,
    ):
        events = await _unpaid(world, database, posts)
        viewers = [Viewer(f"ws{board.removeprefix('http')}/api/feed") for board in boards]
        tail = Tail()
        tailing = asyncio.create_task(tail.follow(database, posts))
        following = [asyncio.create_task(_follow(viewer, posts)) for viewer in viewers]
        answers = await _write(events, boards, random.Random(order.seed))
        ended, late = await asyncio.wait([tailing, *following], timeout=READ_WITHIN_S)
        for task in late:
            task.cancel()
        row.lost += [f"a reader was still waiting {READ_WITHIN_S} s after the last answer"] * len(late)
        row.lost += [repr(error) for task in ended if (error := task.exception()) is not None]
        row.lost += tail.findings
        for viewer in viewers:
            row.lost += viewer.replica.findings
            await viewer.disconnect()
        await _check(world, posts, row)
        later = answers.pop(httpx.codes.SERVICE_UNAVAILABLE, 0)
        row.wrong += [f"{count} answers were {status}" for status, count in answers.items() if status != httpx.codes.OK]
        row.counts = {"posts": posts, "events": answers.total(), "answers 503": later, "pages read": tail.pages}
        row.counts["viewers' connections"] = sum(viewer.connections for viewer in viewers)
    row.seconds = time.monotonic() - began
    return [row]


@asynccontextmanager
async def _server(order: Order) -> AsyncIterator[str]:
    """Yield the URL of the order's server, or of one that is started for it."""
    if order.database is not None:
        yield order.database
        return
    server = await asyncio.to_thread(Postgres)
    try:
        yield server.url.render_as_string(hide_password=False)
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def _quick_to_see_deadlocks(database: Database) -> AsyncIterator[None]:
    """Let PostgreSQL look for deadlocks before whoever waits for a lock gives up; those that connect from now on."""
    soon = f"ALTER DATABASE {database.url.database} SET deadlock_timeout = '{DEADLOCK_TIMEOUT_MS}ms'"
    await database.write(lambda connection: connection.exec_driver_sql(soon))
    yield


@asynccontextmanager
async def _boards(world: World) -> AsyncIterator[list[str]]:
    """Start the processes, including the world's own, and yield their URLs."""
    async with AsyncExitStack() as stack:
        await world.restart_board()
        addresses = [str(world.http.base_url)]
        for number in range(1, PROCESSES):
            port = free_port()
            running = await world.launcher.start(
                ["serve", "--host", "127.0.0.1", "--port", str(port)],
                environment=world.settings,
                folder=world.folder,
                log=world.folder / f"board-{number}.log",
                hooks=world.hooks,
            )
            stack.push_async_callback(running.end)
            addresses.append(f"http://127.0.0.1:{port}")
        await asyncio.gather(*map(_answers, addresses))
        yield addresses


async def _answers(address: str) -> None:
    async with _client(address) as client, asyncio.timeout(START_TIMEOUT_S):
        while True:
            try:
                if (await client.get("/readyz")).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.05)


def _client(board: str) -> httpx.AsyncClient:
    # Drop idle connections before the board does, so that none is reused while the board closes it.
    limits = httpx.Limits(keepalive_expiry=2)
    return httpx.AsyncClient(base_url=board, trust_env=False, verify=NO_TLS, timeout=30, limits=limits)


async def _unpaid(world: World, database: Database, count: int) -> list[Json]:
    """Create this many payments, and return for each the event that it is paid."""
    payment = await start_payment(world, "the one that all sessions look like")
    session_id = payment["checkout_url"].rsplit("/", 1)[1]
    key = {"Authorization": f"Bearer {world.settings['STRIPE_SECRET_KEY']}"}
    session = (await world.stripe.get(f"/v1/checkout/sessions/{session_id}", headers=key)).json()
    rows = [payment_row(text=_text(number), session_id=f"cs_test_{uuid.uuid4().hex}") for number in range(count)]
    for start in range(0, count, CHUNK):
        await database.write(_insert, rows[start : start + CHUNK])
    return [completed(paid(_of(session, row))) for row in rows]


def _insert(connection: Connection, rows: list[Json]) -> None:
    connection.execute(insert(queries.payment), rows)


def _of(session: Json, row: Json) -> Json:
    """Return a session copied for another payment."""
    metadata = {
        name: row["id"] if value == session["client_reference_id"] else value
        for name, value in session["metadata"].items()
    }
    return {**session, "id": row["session_id"], "client_reference_id": row["id"], "metadata": metadata}


async def _write(events: list[Json], boards: list[str], rng: random.Random) -> Counter[int]:
    """Deliver every event, each writer its share to one process and some also to another; count the responses."""
    shares = [events[number::WRITERS] for number in range(WRITERS)]
    twice = [[rng.random() < TWICE for _ in share] for share in shares]
    answers: Counter[int] = Counter()

    async def write(number: int) -> None:
        own, other = boards[number % PROCESSES], boards[(number + 1) % PROCESSES]
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(_client(board)) for board in (own, other)]
            for event, again in zip(shares[number], twice[number], strict=True):
                sent = (deliver_until_taken(client, event) for client in clients[: 1 + again])
                for attempts in await asyncio.gather(*sent):
                    answers.update(answer.status_code for answer in attempts)

    await asyncio.gather(*map(write, range(WRITERS)))
    return answers


async def _follow(viewer: Viewer, until: int) -> None:
    """Follow a board up to an entry; if cut off for being too slow, reconnect with the cursor."""
    while viewer.replica.seq < until:
        await viewer.connect(viewer.cursor)
        with suppress(websockets.ConnectionClosed):
            await viewer.reach(until, LONGEST_RUN_S)


async def _check(world: World, posts: int, row: Row) -> None:
    """Check that every payment has one message, and the log one entry for each number."""
    async with world.records.reading() as reader:
        head = (await reader.rows("SELECT seq FROM board"))[0].seq
        seqs = [entry.seq for entry in await reader.rows("SELECT seq FROM log_entry ORDER BY seq")]
        deadlocks = (await reader.rows(DEADLOCKS))[0].deadlocks
        texts = Counter(message.text for message in await reader.rows("SELECT text FROM message"))
    if head != posts or seqs != list(range(1, posts + 1)):
        row.wrong.append(f"the log has {len(seqs)} entries and its head is {head}, for {posts} posts")
    row.wrong += [f"PostgreSQL ended {deadlocks} deadlocks"] * (deadlocks > 0)
    row.lost += [f"{text} is not posted" for text in {_text(number) for number in range(posts)} - texts.keys()]
    row.doubled += [f"{text} is posted {count} times" for text, count in texts.items() if count > 1]


def _text(number: int) -> str:
    return f"message {number}"
