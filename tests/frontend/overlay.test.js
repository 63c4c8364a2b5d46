import assert from "node:assert/strict";
import test from "node:test";

import {
  advance,
  emptyQueue,
  MOST_WAITING,
  nextChange,
  PAUSE_MS,
  readOptions,
  receive,
} from "../../frontend/overlay/queue.js";
import { weightOf } from "../../frontend/reading/board.js";
import { EPOCH, message, page, seeded } from "./samples.js";

const PLAIN = readOptions("");
const TIERS = [100, 500, 2000].map((amount) => ({ amount, pinned_seconds: 0 }));
const PRICE = { amount: 100, currency: "usd", tiers: TIERS };
/** @param {Message} shown */
const level = (shown) => weightOf(shown, PRICE);

/** @param {number[]} [ids] */
function opened(ids = [1, 2]) {
  return receive(emptyQueue(), { type: "snapshot", ...page(ids, { seq: 10 }) }, 0, PLAIN);
}

/**
 * @param {number} id
 * @param {Partial<Message>} [change]
 * @returns {Frame}
 */
function posted(id, change = {}) {
  return { type: "message.posted", seq: id, message: message(id, change) };
}

/**
 * @param {number} id
 * @param {number} seq
 * @returns {Frame}
 */
function removed(id, seq) {
  return { type: "message.removed", seq, message_id: id, reason: "moderated" };
}

/**
 * The queue after these frames, which all arrive at `now`.
 *
 * @param {OverlayQueue} queue
 * @param {Frame[]} frames
 * @param {{ now?: number, options?: OverlayOptions }} [more]
 */
function after(queue, frames, { now = 0, options = PLAIN } = {}) {
  return frames.reduce((queue, frame) => receive(queue, frame, now, options), queue);
}

/**
 * Lets time pass until nothing more happens by itself.
 *
 * @param {OverlayQueue} queue
 * @param {number} now
 * @returns {{ id: number, from: number, ms: number }[]} what was shown, from when and for how long
 */
function run(queue, now = 0) {
  const shown = [];
  for (let at = nextChange(queue); at !== null; at = nextChange(queue)) {
    now = Math.max(now, at);
    const next = advance(queue, now, level);
    assert.notEqual(next, queue, "nothing happened when it should");
    if (next.shown) shown.push({ id: next.shown.message.id, from: now, ms: next.shown.until - now });
    queue = next;
  }
  return shown;
}

/** @param {OverlayQueue} queue */
const ids = (queue) => run(queue).map(({ id }) => id);

test("options: whatever is malformed counts as absent", () => {
  assert.deepEqual(readOptions("?sound=1&min=500&delay=2.5"), { sound: true, min: 500, delayMs: 2500 });
  assert.deepEqual(readOptions("?delay=604800").delayMs, 604_800_000);
  for (const search of ["", "?sound=true&min=$5&delay=soon", "?sound=0&min=-1&delay=-1", "?min=1e3&delay=1e3", "?min=5.5&delay="]) {
    assert.deepEqual(readOptions(search), { sound: false, min: 0, delayMs: 0 }, search);
  }
});

test("only what is posted from now on is shown, one after the other, with a pause", () => {
  assert.deepEqual(ids(opened()), []);
  const shown = run(after(opened(), [posted(11), posted(12), posted(13)]));
  assert.deepEqual(shown.map(({ id }) => id), [11, 12, 13]);
  const [first, second] = shown;
  assert.equal(second?.from, (first?.ms ?? 0) + PAUSE_MS);
});

test("a higher tier and a longer text stay longer, and all less when many wait", () => {
  const frames = [posted(11), posted(12, { amount: 500 }), posted(13, { amount: 2500 }), posted(14, { text: "x".repeat(500) })];
  const [plain, higher, highest, long] = run(after(opened(), frames)).map(({ ms }) => ms);
  assert.ok((plain ?? 0) >= 4_000);
  assert.ok((plain ?? 0) < (higher ?? 0) && (higher ?? 0) < (highest ?? 0) && (highest ?? 0) < (long ?? 0));
  const many = Array.from({ length: 40 }, (_, index) => posted(11 + index));
  const shown = run(after(opened(), many)).map(({ ms }) => ms);
  assert.ok((shown[0] ?? 0) < (plain ?? 0) / 3);
  assert.equal(shown.at(-1), plain);
});

test("what costs less than the minimum is not shown", () => {
  const options = readOptions("?min=500");
  assert.deepEqual(ids(after(opened(), [posted(11), posted(12, { amount: 500 }), posted(13, { amount: 499 })], { options })), [12]);
});

test("with a delay nothing is shown earlier, and what is removed meanwhile not at all", () => {
  const options = readOptions("?delay=10");
  const queue = after(opened(), [posted(11), posted(12), removed(11, 13)], { now: 1_000, options });
  assert.equal(advance(queue, 10_999, level), queue);
  assert.deepEqual(run(queue).map(({ id, from }) => [id, from]), [[12, 11_000]]);
});

test("what is removed leaves at once, from the queue and from the screen", () => {
  const queue = advance(after(opened(), [posted(11), posted(12), posted(13)]), 0, level);
  assert.equal(queue.shown?.message.id, 11);
  const left = after(queue, [removed(11, 14), removed(13, 15)]);
  assert.equal(left.shown, null);
  assert.deepEqual(ids(left), [12]);
});

test("a message that is restored is shown if it never was", () => {
  /** @type {Frame} */
  const back = { type: "message.restored", seq: 13, message: message(11) };
  assert.deepEqual(ids(after(opened(), [posted(11), removed(11, 12), back])), [11]);
  const shown = advance(after(opened(), [posted(11)]), 0, level);
  assert.deepEqual(ids(after(shown, [removed(11, 12), back])), []);
  assert.deepEqual(ids(after(opened(), [{ ...back, seq: 11, message: message(2) }])), []);
  const withheld = after(opened(), [{ type: "message.withheld", seq: 11, message_id: 11 }, removed(11, 12), back]);
  assert.deepEqual(ids(withheld), [11]);
});

test("a snapshot of the same epoch adds what was missed, and drops what it no longer has", () => {
  const queue = advance(after(opened(), [posted(11), posted(12), posted(13)]), 0, level);
  const later = after(queue, [{ type: "snapshot", ...page([2, 11, 13, 20], { seq: 21 }) }]);
  assert.equal(later.shown?.message.id, 11);
  assert.deepEqual(ids(later), [13, 20]);
  assert.equal(after(queue, [{ type: "snapshot", ...page([12, 20], { seq: 21 }) }]).shown, null);
});

test("a new epoch forgets everything", () => {
  const queue = advance(after(opened(), [posted(11), posted(12)]), 0, level);
  const later = after(queue, [{ type: "snapshot", ...page([5, 1_000_020], { seq: 1_000_020, epoch: `${EPOCH}-2` }) }]);
  assert.equal(later.shown, null);
  assert.deepEqual(ids(later), []);
  assert.deepEqual(ids(after(later, [posted(1_000_021)])), [1_000_021]);
});

test("a queue that is full lets go of the cheapest", () => {
  const frames = Array.from({ length: MOST_WAITING + 2 }, (_, index) => posted(11 + index, { amount: index % 2 ? 100 : 500 }));
  const queue = after(opened(), frames);
  assert.equal(queue.waiting.length, MOST_WAITING);
  assert.deepEqual(queue.waiting.slice(0, 3).map(({ message }) => message.id), [11, 13, 15]);
});

test("whatever comes, each message is shown at most once, in order, and none while it is off the board", () => {
  const random = seeded(20261126);
  for (let round = 0; round < 200; round += 1) {
    let [queue, now, seq] = [opened(), 0, 10];
    const [on, off] = [new Set([1, 2]), new Set()];
    /** @type {number[]} */
    const shown = [];
    for (let step = 0; step < 60; step += 1) {
      now += random() * 4_000;
      const [roll, candidates] = [random(), [...(random() < 0.5 ? on : off)]];
      const id = candidates[Math.floor(random() * candidates.length)];
      if (roll < 0.4) {
        seq += 1;
        on.add(seq);
        queue = after(queue, [posted(seq)], { now });
      } else if (roll < 0.7 && id !== undefined) {
        seq += 1;
        if (on.delete(id)) {
          off.add(id);
          queue = after(queue, [removed(id, seq)], { now });
        } else {
          off.delete(id);
          on.add(id);
          queue = after(queue, [{ type: "message.restored", seq, message: message(id) }], { now });
        }
      }
      const next = advance(queue, now, level);
      if (next.shown && next.shown !== queue.shown) shown.push(next.shown.message.id);
      queue = next;
      assert.ok(!queue.shown || on.has(queue.shown.message.id), `round ${round}: ${queue.shown?.message.id} is off the board`);
    }
    assert.equal(new Set(shown).size, shown.length, `round ${round}`);
    assert.ok(!shown.some((id) => id <= 2), `round ${round}`);
  }
});
