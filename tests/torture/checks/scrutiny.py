"""Scrutiny: compares the board of a simulation with the oracle, and its viewers with its API."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

from tests.support.shapes import Json
from tests.torture.checks.oracle import Finding, reachable
from tests.torture.harness.miniature import Miniature
from tests.torture.harness.stage import Stage
from tests.torture.harness.viewer import Viewer
from tests.torture.harness.wall_clock import let_time_pass

MOST_ROUNDS = 50


@dataclass(frozen=True)
class Board:
    """A snapshot of the board's database."""

    seq: int
    payments: dict[str, Json]
    messages: dict[str, list[Json]]  # by payment
    log: list[int]
    damage: list[str]


async def scrutinise(stage: Stage) -> None:
    """Check everything that must always hold.

    Raises:
        Finding: a promise is broken.
    """
    board = await read_board(stage.miniature)
    if board.log != list(range(1, board.seq + 1)):
        raise Finding("wrong", f"the log is {board.log}, its head {board.seq}")
    for account in stage.accounts:
        if account.id not in board.payments:
            raise Finding("lost", f"payment {account.id} is not in the database any more")
        payment, messages = board.payments[account.id], board.messages[account.id]
        account.see_status(payment["status"])
        account.see_message(messages[0]["id"] if messages else None)
        account.check(messages)
    for viewer in stage.viewers:
        if viewer.connected:
            await _check_viewer(stage.miniature, viewer, board.seq)


async def scrutinise_at_rest(stage: Stage, *, by_mail: bool) -> None:
    """Deliver all events that were not lost, let the reconciler find the rest, and check the final state.

    Raises:
        Finding: a promise is broken.
    """
    await stage.mend_stripe()
    stage.miniature.clock.jump(timedelta(0))
    for _ in range(MOST_ROUNDS):
        if not (by_mail and stage.undelivered):
            break
        await stage.deliver(0, 1)
    told_all = by_mail and not (stage.lost or stage.troubled or await _left_a_refund(stage))
    if told_all:
        await _check_at_rest(stage)
    if stage.miniature.clock.jumps or not told_all:
        await let_time_pass(stage.miniature.records)
        await stage.sweep(full=True)
        for _ in range(MOST_ROUNDS):
            if not stage.undelivered:
                break
            await stage.sweep(full=True)  # the first pass sent refunds, and this one learns of them
        await _check_at_rest(stage)


async def _left_a_refund(stage: Stage) -> bool:
    """Whether the board died after it decided on a refund and before it sent it, which is then up to a sweep."""
    async with stage.miniature.records.reading() as reader:
        return stage.died and bool(await reader.rows("SELECT 1 FROM refund WHERE status = 'wanted'"))


async def _check_at_rest(stage: Stage) -> None:
    await scrutinise(stage)
    board = await read_board(stage.miniature, thoroughly=True)
    if board.damage:
        raise Finding("wrong", f"the database is damaged: {board.damage}")
    for account in stage.accounts:
        account.check_at_rest(board.payments[account.id]["status"], board.messages[account.id])
        answer = await stage.miniature.board("GET", f"/api/payments/{account.id}")
        account.see_status(answer.json()["status"])
        account.see_message(answer.json()["message_id"])


async def read_board(miniature: Miniature, *, thoroughly: bool = False) -> Board:
    """Read the board's database."""
    async with miniature.records.reading() as reader:
        messages: dict[str, list[Json]] = defaultdict(list)
        for row in await reader.rows("SELECT id, payment_id, text, hidden FROM message ORDER BY id"):
            messages[row.payment_id].append(dict(row._mapping))
        return Board(
            seq=(await reader.rows("SELECT seq FROM board"))[0].seq,
            payments={row.id: dict(row._mapping) for row in await reader.rows("SELECT id, status FROM payment")},
            messages=messages,
            log=[row.seq for row in await reader.rows("SELECT seq FROM log_entry ORDER BY seq")],
            damage=await reader.damage() if thoroughly else [],
        )


async def _check_viewer(miniature: Miniature, viewer: Viewer, seq: int) -> None:
    await viewer.catch_up(seq)
    page = (await miniature.board("GET", "/api/messages?limit=100")).json()
    findings = viewer.replica.findings + viewer.replica.differences(page["messages"])
    if findings:
        raise Finding("lost", f"a viewer: {findings[0]}")
    last: dict[str, str] = {}
    for payment in viewer.watched:
        id_, status = payment["id"], payment["status"]
        if status not in reachable(last.get(id_, "pending")):
            raise Finding("wrong", f"a viewer saw payment {id_} go from {last[id_]} to {status}")
        last[id_] = status
