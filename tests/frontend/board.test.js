import assert from "node:assert/strict";
import test from "node:test";

import {
  emptyBoard,
  endPins,
  extent,
  find,
  forget,
  hasOlder,
  isLoaded,
  lacksPins,
  mergePage,
  mergePinned,
  pinnedMs,
  receive,
  rows,
  weightOf,
} from "../../frontend/reading/board.js";
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
  rows(board).flatMap((row) => {
    if (row.kind === "day") return [];
    return row.kind === "message" ? row.message.id : `${row.gap.from}-${row.gap.to}`;
  });

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

test("forgotten messages become history again, at either side of the reader's place", () => {
  let board = boardOf([1, 2, 3, 4, 5, 6]);
  assert.equal(forget(board, { from: 7, to: 9 }), board);
  board = forget(board, { from: 1, to: 2 });
  board = forget(board, { from: 4, to: 5 });
  assert.deepEqual(drawn(board), [3, "4-5", 6]);
  assert.ok(hasOlder(board));
  board = mergePage(board, page([4, 5], { has_more: true }), { after: 3 });
  board = mergePage(board, page([1, 2]), { before: 3 });
  assert.deepEqual(drawn(board), [1, 2, 3, 4, 5, 6]);
  board = forget(forget(board, { from: 3, to: 4 }), { from: 1, to: 5 });
  assert.deepEqual(board.gaps, [{ from: 1, to: 5 }], "a gap that is part of a larger one is gone");
});

test("a row above the first message of each day names the day", () => {
  const at = (/** @type {number} */ hour) => new Date(2026, 0, 1, hour).toISOString();
  const messages = [10, 23, 25, 26, 80].map((hour, index) => message(index + 1, { posted_at: at(hour) }));
  const board = receive(emptyBoard(), { ...page([]), type: "snapshot", messages });
  const days = rows(board).map((row) => (row.kind === "day" ? row.day : row.kind === "message" ? row.message.id : 0));
  assert.deepEqual(days, ["Thu Jan 01 2026", 1, 2, "Fri Jan 02 2026", 3, 4, "Sun Jan 04 2026", 5]);
});

// --- which rows are drawn --------------------------------------------------------------------------------

test("at the end the newest messages are drawn, and elsewhere those around the reader", () => {
  const board = boardOf(Array.from({ length: 1000 }, (_, index) => index + 1));
  /** @type {[{ place: number | null, first: number | null }, [number, number], string][]} */
  const cases = [
    [{ place: null, first: null }, [900, 1000], "at the end"],
    [{ place: null, first: 300 }, [900, 1000], "back at the end"],
    [{ place: 950, first: 901 }, [900, 1000], "just scrolled up"],
    [{ place: 920, first: 901 }, [869, 969], "near the top of the list"],
    [{ place: 500, first: 451 }, [450, 550], "in the middle of the list: nothing moves"],
    [{ place: 530, first: 451 }, [479, 579], "near the bottom of the list"],
    [{ place: 10, first: 1 }, [0, 100], "at the beginning"],
    [{ place: 500, first: null }, [449, 549], "a message that a link leads to"],
    [{ place: 1000, first: null }, [900, 1000], "the newest message"],
  ];
  for (const [drawnNow, [from, to], name] of cases) {
    const span = extent(board, { most: 100, ...drawnNow });
    assert.deepEqual([span.from, span.to], [from, to], name);
  }
  assert.deepEqual(extent(boardOf([1, 2, 3]), { most: 100, place: 2, first: 1 }), { from: 0, to: 3 });
  assert.deepEqual(extent(emptyBoard(), { most: 100, place: null, first: null }), { from: 0, to: 0 });
});

test("while someone reads back, new messages are drawn only as long as there is room", () => {
  let board = boardOf(Array.from({ length: 90 }, (_, index) => index + 1));
  for (let id = 91; id <= 400; id += 1) board = receive(board, { type: "message.posted", seq: id, message: message(id) });
  assert.deepEqual(extent(board, { most: 100, place: 50, first: 1 }), { from: 0, to: 100 });
  assert.deepEqual(rows(board, { from: 10, to: 12 }).slice(1), [
    { kind: "message", message: message(11) },
    { kind: "message", message: message(12) },
  ]);
});

// --- what is pinned --------------------------------------------------------------------------------------

const NOW = "2026-01-01T00:10:00Z";
const SOON = "2026-01-01T00:11:00Z"; // a minute later
const LATER = "2026-01-01T01:00:00Z";

/**
 * @param {Message[]} pinned
 * @param {number} [seq]
 * @returns {Board} whose snapshot arrived at 5,000 ms
 */
const pinnedBoard = (pinned, seq = 100) =>
  receive(emptyBoard(), { ...page([], { seq }), type: "snapshot", pinned, now: NOW }, 5_000);

/** @param {Board} board */
const pins = (board) => board.pins.messages.map(({ id }) => id);

/**
 * @param {number} id
 * @param {number} [amount]
 * @param {string} [pinned_until]
 */
const pinned = (id, amount = 500, pinned_until = LATER) => message(id, { amount, pinned_until });

/** @type {[string, BoardFrame[], number[]][]} */
const PIN_STEPS = [
  ["a posted message is pinned by amount, then by age", [posted(pinned(101)), posted(pinned(102, 2000)), posted(pinned(103))], [102, 9, 103, 101, 7]],
  ["one without a pin, or whose pin has ended, is not", [posted(message(101)), posted(pinned(102, 500, NOW))], [9, 7]],
  ["one that is posted twice is pinned once", [posted(pinned(101)), posted(pinned(101))], [9, 101, 7]],
  ["a removed one is gone, also if it is only pinned", [{ type: "message.removed", seq: 101, message_id: 9, reason: "refunded" }], [7]],
  ["a withheld one is gone", [{ type: "message.withheld", seq: 101, message_id: 7 }], [9]],
  [
    "a restored one is back for the time it has left",
    [
      { type: "message.removed", seq: 101, message_id: 9, reason: "moderated" },
      { type: "message.restored", seq: 102, message: pinned(9, 2000) },
    ],
    [9, 7],
  ],
  ["a snapshot without pins forgets them", [{ ...page([]), type: "snapshot" }], []],
  ["a resumed connection keeps them", [{ type: "resumed", epoch: EPOCH, seq: 100, now: NOW }], [9, 7]],
];

/**
 * @param {Message} posted
 * @returns {BoardFrame}
 */
function posted(posted) {
  return { type: "message.posted", seq: posted.id, message: posted };
}

for (const [name, frames, expected] of PIN_STEPS) {
  test(`pins: ${name}`, () => {
    const board = frames.reduce((before, frame) => receive(before, frame, 5_000), pinnedBoard([pinned(9, 2000), pinned(7)]));
    assert.deepEqual(pins(board), expected);
  });
}

test("a pin is counted down by a clock that never jumps, from the server's time", () => {
  let board = pinnedBoard([pinned(7, 500, SOON)]);
  assert.equal(pinnedMs(board, pinned(7, 500, SOON), 5_000), 60_000);
  assert.equal(pinnedMs(board, pinned(7, 500, SOON), 65_001), 0);
  assert.equal(endPins(board, 64_999), board);
  assert.deepEqual(pins(endPins(board, 65_000)), []);
  board = receive(board, { type: "resumed", epoch: EPOCH, seq: 100, now: NOW }, 905_000); // the device slept
  assert.equal(pinnedMs(board, pinned(7, 500, SOON), 905_000), 60_000);
  assert.equal(pinnedMs(emptyBoard(), pinned(7), 0), 0, "without the server's time nothing is pinned");
});

test("only the first twenty are kept, and the server is asked for the next once there is room", () => {
  const twenty = Array.from({ length: 20 }, (_, index) => pinned(80 - index));
  let board = pinnedBoard(twenty);
  assert.ok(!lacksPins(board));
  board = receive(board, posted(pinned(101)), 5_000);
  assert.deepEqual([pins(board).length, pins(board)[0], pins(board).at(-1)], [20, 101, 62]);
  board = receive(board, { type: "message.removed", seq: 102, message_id: 101, reason: "moderated" }, 5_000);
  assert.ok(lacksPins(board));
  board = mergePinned(board, { ...page([], { seq: 102 }), messages: twenty, now: NOW }, 5_000);
  assert.equal(pins(board).length, 20);
  assert.ok(!lacksPins(endPins(board, Infinity)), "it said that there are no more");
  assert.ok(lacksPins(receive(emptyBoard(), { ...page([]), type: "snapshot" })), "an old server's snapshot does not say");
  assert.ok(!lacksPins(pinnedBoard([pinned(7)])));
  assert.ok(!lacksPins(emptyBoard()), "there is no board to ask about");
});

test("of what the server says is pinned, later entries win, and another epoch or an older answer changes nothing", () => {
  const response = { ...page([], { seq: 100 }), messages: [pinned(9, 2000), pinned(8), pinned(7)], now: NOW };
  let board = pinnedBoard([], 99);
  for (const frame of [
    posted(pinned(101)),
    /** @type {BoardFrame} */ ({ type: "message.removed", seq: 102, message_id: 9, reason: "moderated" }),
    /** @type {BoardFrame} */ ({ type: "message.removed", seq: 103, message_id: 5, reason: "moderated" }),
    /** @type {BoardFrame} */ ({ type: "message.restored", seq: 104, message: pinned(5, 2000) }),
  ]) {
    board = receive(board, frame, 5_000);
  }
  assert.deepEqual(pins(mergePinned(board, response, 5_000)), [5, 101, 8, 7]);
  assert.equal(mergePinned(board, { ...response, epoch: "other" }, 5_000), board);
  assert.equal(mergePinned(board, { ...response, seq: 98 }, 5_000), board);
});

test("an amount weighs as much as the highest tier that is not above it", () => {
  const tiers = [100, 500, 2000].map((amount) => ({ amount, pinned_seconds: 0 }));
  const price = { amount: 100, currency: "usd", tiers };
  const weights = [50, 100, 499, 500, 1999, 2000, 9999].map((amount) => weightOf({ amount, currency: "usd" }, price));
  assert.deepEqual(weights, [0, 0, 0, 1, 1, 2, 2]);
  assert.equal(weightOf({ amount: 2000, currency: "jpy" }, price), 0);
  assert.equal(weightOf({ amount: 2000, currency: "usd" }, null), 0);
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
