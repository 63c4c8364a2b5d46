"""Viewers: they reconnect at any moment, with all kinds of cursors, while the board changes."""

import asyncio
import copy
import random
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import websockets

from paidchat.storage import queries
from paidchat.storage.database import Database
from tests.support.rows import opened, write_messages
from tests.torture.checks.audit import read_board
from tests.torture.harness.payers import ask, start_payment
from tests.torture.harness.viewer import Viewer
from tests.torture.harness.world import ADMIN_TOKEN, World, made_world
from tests.torture.order import Order
from tests.torture.table import Row

if TYPE_CHECKING:
    from tests.torture.harness.replica import Replica

NAME = "viewers"
SHORT, LONG = 120, 5_000  # reconnects
AT_ONCE = 12
REPLAYED = 1_000  # entries; by docs/protocol.md, a viewer further behind gets a snapshot
UNSEEN = 3  # messages that are posted and removed while a viewer is disconnected
NEVER_S = 3_600.0
BATCHES = (1, 1, 1, 1, 2, 5, 40)  # messages in one transaction
RARE_BATCH = 1_100  # enough that a cursor is too far behind to resume
RARELY = 0.01
LONGEST_PAUSE_S = 0.05
LONGEST_VISIT_S = 0.4
CONNECT_WITHIN_S = 60
WRITTEN_TO_READ_S = 10
PAYERS = 4
PAID_TO_POSTED_S = 0.05  # about
ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
MOST_VIEWERS = "10000"
# How a viewer reconnects: mostly with its own cursor.
MANNERS = ("cursor",) * 7 + ("plain", "an old copy", "an old copy", "other epoch", "no epoch", "not a number")


class Show:
    """A board that changes, and its viewers."""

    def __init__(self, world: World, database: Database, order: Order, reconnects: int) -> None:
        self._world = world
        self._database = database
        self._order = order
        self._rng = random.Random(order.seed)
        self._left = self._reconnects = reconnects
        self._ids: list[int] = []
        self._third, self._two_thirds = asyncio.Event(), asyncio.Event()
        self.over = False
        self.findings: list[str] = []
        self.counts: Counter[str] = Counter()

    # --- the board ----------------------------------------------------------------------------------

    async def write(self) -> None:
        """Post, remove and restore messages until the run is over."""
        while not self.over:
            if self._ids and self._rng.random() < 0.4:
                await self._moderate(self._rng.choice(self._ids[-80:]))
            else:
                count = RARE_BATCH if self._rng.random() < RARELY else self._rng.choice(BATCHES)
                self._ids += await write_messages(self._database, count, f"message after {self.counts['posted']}")
                self.counts["posted"] += count
            await asyncio.sleep(self._rng.uniform(0, LONGEST_PAUSE_S))

    async def pay(self) -> None:
        """Pay for one message after the other until the run is over: what the board itself posts it does not read."""
        while not self.over:
            payment = await start_payment(self._world, f"paid {self.counts['paid']}")
            await self._world.act(payment["checkout_url"].rsplit("/", 1)[1], "pay")
            await self._until_posted(payment["id"])
            self.counts["paid"] += 1

    async def _until_posted(self, payment_id: str) -> None:
        while True:
            found = await ask(self._world, "GET", f"/api/payments/{payment_id}")
            if found.json()["message_id"] is not None:
                return
            await asyncio.sleep(PAID_TO_POSTED_S)

    async def _moderate(self, message_id: int) -> None:
        with suppress(httpx.HTTPError):  # the board is being restarted
            if self._rng.random() < 0.5:
                await self._world.http.delete(f"/api/admin/messages/{message_id}", headers=ADMIN)
            else:
                await self._world.http.post(f"/api/admin/messages/{message_id}/restore", headers=ADMIN)
            self.counts["moderations"] += 1

    async def interrupt(self) -> None:
        """Kill the board after a third of the reconnects, and give it a new epoch after two thirds."""
        await self._third.wait()
        await self._world.restart_board(PAIDCHAT_MAX_VIEWERS_PER_CLIENT=MOST_VIEWERS)
        self.counts["kills"] += 1
        await self._two_thirds.wait()
        world = self._world
        migrating = await world.launcher.start(
            ["migrate", "--new-epoch"], environment=world.settings, folder=world.folder, log=world.log
        )
        status = await migrating.wait(CONNECT_WITHIN_S)
        assert status == 0, world.log.read_text()[-2000:]
        self.counts["epochs"] += 1

    # --- the audience -------------------------------------------------------------------------------

    async def attend(self, viewer: Viewer) -> None:
        """Connect and disconnect until all reconnects are done."""
        old: Replica | None = None
        while self._left > 0:
            self._left -= 1
            self.counts["reconnects"] += 1
            if self._order.time_is_up:
                self._stop()
            if self._left <= self._reconnects * 2 // 3:
                self._third.set()
            if self._left <= self._reconnects // 3:
                self._two_thirds.set()
            manner = self._rng.choice(MANNERS)
            if manner == "an old copy" and old is not None:
                self.collect([viewer])
                viewer.replica = copy.deepcopy(old)
            await self._come(viewer, manner)
            with suppress(websockets.ConnectionClosed):  # the board was killed, or has a new epoch
                await self._stay(viewer)
            await viewer.disconnect()
            if self._rng.random() < 0.1:
                old = copy.deepcopy(viewer.replica)
                old.findings.clear()

    async def _stay(self, viewer: Viewer) -> None:
        """Disconnect at once, or after a while, or once everything written until then has arrived."""
        visit_s = self._rng.uniform(0, LONGEST_VISIT_S)
        match self._rng.randrange(3):
            case 0:
                await viewer.read_for(visit_s)
            case 1:
                await viewer.read_for(visit_s)
                await self._wait_for_all(viewer)

    async def _wait_for_all(self, viewer: Viewer) -> None:
        head = (await self._database.read(queries.read_board)).seq
        try:
            await viewer.reach(head, WRITTEN_TO_READ_S)
        except TimeoutError:
            self.findings.append(f"still at {viewer.replica.seq}, {WRITTEN_TO_READ_S} s after {head} was written")
            self._stop()  # so that no other viewer waits as long

    def _stop(self) -> None:
        """Begin no more reconnects, and let the interruptions that have not come yet come now."""
        self._left = 0
        self._third.set()
        self._two_thirds.set()

    async def _come(self, viewer: Viewer, manner: str) -> None:
        deadline = time.monotonic() + CONNECT_WITHIN_S
        while True:
            try:
                await self._connect(viewer, manner)
            except (OSError, websockets.WebSocketException, TimeoutError):
                assert time.monotonic() < deadline, "the board lets nobody in"
                await asyncio.sleep(0.05)
            else:
                return

    async def _connect(self, viewer: Viewer, manner: str) -> None:
        cursor = viewer.cursor
        if cursor is None or manner == "plain":
            await viewer.connect()
            return
        seq, epoch = cursor
        if manner in {"cursor", "an old copy"}:
            await viewer.connect(cursor)
            await self._check_resumed(viewer, cursor)
            return
        spoilt = {"other epoch": f"after={seq}&epoch=0", "no epoch": f"after={seq}", "not a number": "after=x&epoch="}
        before = viewer.snapshots
        await viewer.connect(query=f"{spoilt[manner]}{epoch if manner == 'not a number' else ''}")
        if viewer.snapshots == before:
            self.findings.append(f"reconnected with {manner} and did not get a snapshot")

    async def _check_resumed(self, viewer: Viewer, cursor: tuple[int, str]) -> None:
        """A cursor of this epoch that is at most 1,000 entries behind can resume."""
        board = await self._database.read(queries.read_board)
        if viewer.first == "snapshot" and board.epoch == cursor[1] and board.seq - cursor[0] <= REPLAYED:
            self.findings.append(f"came back with {cursor}, the head being {board.seq}, and was sent a snapshot")

    async def _come_into_this_history(self, viewer: Viewer) -> None:
        """Connect without a cursor until the snapshot has the database's epoch, which the feed reads a poll later."""
        epoch = (await self._database.read(queries.read_board)).epoch
        deadline = time.monotonic() + CONNECT_WITHIN_S
        while viewer.replica.epoch != epoch:
            assert time.monotonic() < deadline, "the feed does not know the new epoch"
            await self._come(viewer, "plain")
        await self._come(viewer, "plain")

    async def remove_unseen(self, away: Viewer, present: Viewer) -> None:
        """Post and remove messages while a viewer is disconnected: when it resumes, it must not get their texts."""
        for viewer in (away, present):
            await self._come_into_this_history(viewer)
        await away.disconnect()
        posted = await write_messages(self._database, UNSEEN, "gone before it was seen")
        for message_id in posted:
            answer = await self._world.http.delete(f"/api/admin/messages/{message_id}", headers=ADMIN)
            assert answer.status_code == 204, answer.text
        head = (await self._database.read(queries.read_board)).seq
        await present.catch_up(head)  # so that the board's feed has read them too
        await self._come(away, "cursor")
        await away.catch_up(head)
        if away.first != "resumed":
            self.findings.append(f"came back with its cursor after {2 * UNSEEN} entries and was sent a snapshot")
        replayed = away.replica.brought & set(posted)
        self.findings += [f"message {id_} was off the board and was replayed" for id_ in replayed]
        for viewer in (away, present):
            await viewer.disconnect()

    async def gather(self, viewers: Iterable[Viewer]) -> None:
        """Let every viewer connect a last time and read to the end, and compare them with the board."""
        messages = await read_board(self._world)
        board = await self._database.read(queries.read_board)
        for viewer in viewers:
            await self._come(viewer, "cursor")
            await viewer.catch_up(board.seq)
            await viewer.disconnect()
            self.findings += viewer.replica.differences(messages)[:3]
            self.collect([viewer])

    def collect(self, viewers: Iterable[Viewer]) -> None:
        """Collect the findings of the viewers' replicas."""
        for viewer in viewers:
            self.findings += viewer.replica.findings
            self.counts["entries"] += viewer.replica.taken
            viewer.replica.findings.clear()
            viewer.replica.taken = 0


async def run(order: Order) -> list[Row]:
    """Let viewers connect and disconnect while the board changes, is killed, and gets a new epoch."""
    reconnects = order.count or (SHORT if order.short else LONG)
    row = Row(NAME, "reconnects at any moment, with cursors of every kind, while the board changes", order.seed)
    began = time.monotonic()
    async with (
        made_world(launcher=order.launcher, database=order.database, hooks=order.hooks, reconcile_s=NEVER_S) as world,
        opened(world.records.url) as database,
    ):
        await world.restart_board(PAIDCHAT_MAX_VIEWERS_PER_CLIENT=MOST_VIEWERS)
        show = Show(world, database, order, reconnects)
        viewers = [Viewer(f"ws://127.0.0.1:{world.board_port}/api/feed") for _ in range(AT_ONCE)]
        changing = [asyncio.create_task(change) for change in (show.write(), *(show.pay() for _ in range(PAYERS)))]
        await asyncio.gather(show.interrupt(), *map(show.attend, viewers))
        show.over = True
        await asyncio.gather(*changing)
        await show.remove_unseen(*viewers[:2])
        await show.gather(viewers)
    row.counts |= show.counts
    row.counts |= {
        "connections": sum(viewer.connections for viewer in viewers),
        "snapshots": sum(viewer.snapshots for viewer in viewers),
        "resumed": sum(viewer.resumed for viewer in viewers),
    }
    _sort(show.findings, row)
    row.seconds = time.monotonic() - began
    return [row]


def _sort(findings: Iterable[str], row: Row) -> None:
    """Sort findings into their columns."""
    for finding in findings:
        if finding.startswith(("a gap", "still at")):
            row.lost.append(finding)
        elif finding.startswith("a double") or "was there already" in finding:
            row.doubled.append(finding)
        else:
            row.wrong.append(finding)
