import assert from "node:assert/strict";
import test from "node:test";

import { emptyBoard, find, hasOlder, isLoaded, mergePage, receive, rows, trim } from "../../frontend/reading/board.js";
import { EPOCH, message, page, seeded } from "./samples.js";


/**
 * @param {number[]} ids
 * @param {{ seq?: number, has_more?: boolean, epoch?: string }} [change]
 * @returns {Board}
 */
function boardOf(ids, { seq = 100, has_more = false, epoch = EPOCH } = {}) {
  const messages = ids.map((id) => message(id));
  return receive(emptyBoard(), { type: "snapshot", epoch, seq, messages, has_more });
}

/** @param {Board} board */
const ids = (board) => board.messages.map(({ id }) => id);

/**
 * @param {Board} board
 * @returns {(number | string)[]} ids of messages, and gaps as "from-to"
 */
const drawn = (board) =>
  rows(board).map((row) => (row.kind === "message" ? row.message.id : `${row.gap.from}-${row.gap.to}`));

test("a board is loading until something was read, even an empty snapshot", () => {
  assert.ok(!isLoaded(emptyBoard()));
  assert.ok(!hasOlder(emptyBoard()));
  const board = boardOf([], { seq: 0 });
  assert.ok(isLoaded(board));
  assert.ok(!hasOlder(board));
});

test("a snapshot replaces everything, including earlier removals", () => {
  const before = receive(boardOf([1, 2, 3]), { type: "message.removed", seq: 101, message_id: 2, reason: "moderated" });
  const after = receive(before, { type: "snapshot", epoch: "e2", seq: 5, messages: [message(2)], has_more: true });
  assert.deepEqual(ids(after), [2]);
  assert.ok(hasOlder(after));
  assert.equal(after.words.size, 0);
});

test("posted messages are appended, and a known one is not duplicated", () => {
  let board = boardOf([1, 2], { seq: 2 });
  board = receive(board, { type: "message.posted", seq: 3, message: message(3) });
  board = receive(board, { type: "message.posted", seq: 3, message: message(3) });
  assert.deepEqual(ids(board), [1, 2, 3]);
});

test("a removed or withheld message disappears, and the others stay", () => {
  const board = boardOf([1, 2, 3, 4]);
  const removed = receive(board, { type: "message.removed", seq: 101, message_id: 2, reason: "refunded" });
  assert.deepEqual(ids(receive(removed, { type: "message.withheld", seq: 102, message_id: 4 })), [1, 3]);
  assert.equal(find(removed, 2), undefined);
  assert.deepEqual(find(removed, 3), message(3));
});

test("a restored message is back at its id", () => {
  const removed = receive(boardOf([1, 2, 3]), { type: "message.removed", seq: 101, message_id: 2, reason: "disputed" });
  assert.deepEqual(ids(receive(removed, { type: "message.restored", seq: 102, message: message(2) })), [1, 2, 3]);
});

test("a message restored in unread history appears once that history is read", () => {
  let board = boardOf([50, 51], { has_more: true });
  board = receive(board, { type: "message.restored", seq: 101, message: message(20) });
  assert.deepEqual(ids(board), [50, 51]);
  board = mergePage(board, page([10, 30], { seq: 100 }), { before: 50 });
  assert.deepEqual(ids(board), [10, 20, 30, 50, 51], "the page was read before it was put back");
});

test("a page of older messages goes in front, and the last one ends the history", () => {
  let board = boardOf([50, 51], { has_more: true });
  board = mergePage(board, page([40, 45], { has_more: true }), { before: 50 });
  assert.deepEqual(drawn(board), [40, 45, 50, 51]);
  assert.ok(hasOlder(board));
  board = mergePage(board, page([3], { has_more: false }), { before: 40 });
  assert.deepEqual(drawn(board), [3, 40, 45, 50, 51]);
  assert.ok(!hasOlder(board));
});

test("a removal after the page was read wins over the page", () => {
  let board = boardOf([50], { has_more: true });
  board = receive(board, { type: "message.removed", seq: 101, message_id: 45, reason: "moderated" });
  assert.deepEqual(ids(mergePage(board, page([40, 45], { seq: 100 }), { before: 50 })), [40, 50]);
  assert.deepEqual(ids(mergePage(board, page([40, 45], { seq: 101 }), { before: 50 })), [40, 45, 50]);
});

test("a page from another epoch changes nothing", () => {
  const board = boardOf([50], { has_more: true });
  assert.equal(mergePage(board, page([40], { epoch: "other" }), { before: 50 }), board);
});

test("a page read before the snapshot changes nothing, because it may have messages removed in between", () => {
  const board = boardOf([50], { seq: 100, has_more: true });
  assert.equal(mergePage(board, page([40], { seq: 99 }), { before: 50 }), board);
});

test("history around an old message shows a gap to newer messages, which closes page by page", () => {
  let board = boardOf([90, 95], { has_more: true });
  board = mergePage(board, page([20, 30], { has_more: true }), { before: 31 });
  board = mergePage(board, page([35, 40], { has_more: true }), { after: 30 });
  assert.deepEqual(drawn(board), [20, 30, 35, 40, "41-89", 90, 95]);
  assert.ok(hasOlder(board));
  board = mergePage(board, page([50, 60], { has_more: true }), { after: 40 });
  assert.deepEqual(drawn(board), [20, 30, 35, 40, 50, 60, "61-89", 90, 95]);
  board = mergePage(board, page([70, 90], { has_more: true }), { after: 60 });
  assert.deepEqual(drawn(board), [20, 30, 35, 40, 50, 60, 70, 90, 95]);
});

test("gaps without a message between them are drawn as one", () => {
  let board = boardOf([90], { has_more: true });
  board = mergePage(board, page([10], { has_more: true }), { before: 11 });
  board = mergePage(board, page([50], { has_more: true }), { before: 60 });
  assert.deepEqual(drawn(board), [10, "11-49", 50, "60-89", 90]);
  board = receive(board, { type: "message.removed", seq: 101, message_id: 50, reason: "moderated" });
  assert.deepEqual(drawn(board), [10, "11-89", 90]);
});

test("the newest page replaces the snapshot if the feed can't be reached", () => {
  const board = mergePage(emptyBoard(), page([98, 100], { has_more: true }), {});
  assert.ok(isLoaded(board));
  assert.ok(hasOlder(board));
  assert.deepEqual(drawn(board), [98, 100]);
});

test("a page read past the log's end says nothing about future ids", () => {
  const board = mergePage(boardOf([5], { seq: 5, has_more: true }), page([], { seq: 5 }), { after: 40 });
  assert.deepEqual(board.gaps, [{ from: 1, to: 4 }]);
});

test("a long board keeps its newest messages, and the others become history again", () => {
  let board = boardOf([1, 2, 3, 4, 5, 6]);
  assert.equal(trim(board, 6), board);
  board = trim(board, 2);
  assert.deepEqual(ids(board), [5, 6]);
  assert.ok(hasOlder(board));
  board = mergePage(board, page([1, 2, 3, 4]), { before: 5 });
  assert.deepEqual(drawn(board), [1, 2, 3, 4, 5, 6]);
});

// --- many random steps, against a model ------------------------------------------------------------------

/** A model of the server: the log, and the board at every seq. */
class Model {
  /** @type {BoardFrame[]} */
  log = [];
  /** @type {Set<number>[]} */
  shownAt = [new Set()];

  get seq() {
    return this.log.length;
  }

  /** @param {() => number} random */
  step(random) {
    const shown = new Set(this.shownAt.at(-1));
    const seq = this.seq + 1;
    const posted = this.log.flatMap((frame) => (frame.type === "message.posted" ? [frame.message.id] : []));
    const id = posted[Math.floor(random() * posted.length)];
    if (id === undefined || random() < 0.6) {
      this.log.push({ type: "message.posted", seq, message: message(seq) });
      shown.add(seq);
    } else if (shown.has(id)) {
      this.log.push({ type: "message.removed", seq, message_id: id, reason: "moderated" });
      shown.delete(id);
    } else {
      this.log.push({ type: "message.restored", seq, message: message(id) });
      shown.add(id);
    }
    this.shownAt.push(shown);
  }

  /** @param {number} seq */
  idsAt(seq) {
    return [...(this.shownAt[seq] ?? [])].sort((a, b) => a - b);
  }

  /**
   * The page as read when the log stood at `seq`.
   *
   * @param {{ before?: number, after?: number }} place
   * @param {number} seq
   */
  page({ before = Infinity, after }, seq) {
    const inReach = this.idsAt(seq).filter((id) => id < before && id > (after ?? 0));
    const read = after === undefined ? inReach.slice(-3) : inReach.slice(0, 3);
    return page(read, { seq, has_more: inReach.length > read.length });
  }

  /**
   * The entry as a replay shows it: withheld when the message is off the board by now.
   *
   * @param {number} seq
   * @returns {BoardFrame}
   */
  replay(seq) {
    const frame = /** @type {BoardFrame} */ (this.log[seq - 1]);
    const shown = frame.type === "message.posted" || frame.type === "message.restored" ? frame.message.id : null;
    const off = shown !== null && !this.shownAt.at(-1)?.has(shown);
    return off ? { type: "message.withheld", seq, message_id: shown } : frame;
  }
}

test("however frames, replays and pages of any age interleave, the board ends up like the server's", () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = seeded(seed);
    const model = new Model();
    for (let step = 0; step < 10; step += 1) model.step(random);
    let heard = model.seq;
    const newest = model.page({}, heard);
    let board = receive(emptyBoard(), { ...newest, type: "snapshot" });
    for (let step = 0; step < 60; step += 1) {
      const draw = random();
      if (draw < 0.4) model.step(random);
      else if (draw < 0.7 && heard < model.seq) board = receive(board, model.replay((heard += 1)));
      else board = readSomewhere(board, model, random);
      assert.deepEqual(ids(board), [...new Set(ids(board))].sort((a, b) => a - b), `seed ${seed}: order`);
    }
    while (heard < model.seq) board = receive(board, model.replay((heard += 1)));
    for (let gap = board.gaps[0]; gap; gap = board.gaps[0]) {
      board = mergePage(board, model.page({ after: gap.from - 1 }, model.seq), { after: gap.from - 1 });
    }
    assert.deepEqual(ids(board), model.idsAt(model.seq), `seed ${seed}: messages`);
  }
});

/**
 * Merges a page from a random place, read at a random recent time.
 *
 * @param {Board} board
 * @param {Model} model
 * @param {() => number} random
 */
function readSomewhere(board, model, random) {
  const id = 1 + Math.floor(random() * model.seq);
  const place = random() < 0.5 ? { before: id } : { after: id };
  const seq = model.seq - Math.floor(random() * Math.min(8, model.seq));
  return mergePage(board, model.page(place, seq), place);
}
