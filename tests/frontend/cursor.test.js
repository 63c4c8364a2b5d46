import assert from "node:assert/strict";
import test from "node:test";

import { advance, feedUrl } from "../../frontend/cursor.js";
import { message, payment } from "./samples.js";

/** @import { Frame } from "../../frontend/types" */

const AT_7 = { epoch: "e1", seq: 7 };

/**
 * @param {number} seq
 * @returns {Frame[]} one entry of each kind
 */
function entries(seq) {
  return [
    { type: "message.posted", seq, message: message(seq) },
    { type: "message.removed", seq, message_id: 3, reason: "moderated" },
    { type: "message.restored", seq, message: message(3) },
    { type: "message.withheld", seq, message_id: seq },
  ];
}

test("a snapshot sets the cursor, whatever it was", () => {
  /** @type {Frame} */
  const snapshot = { type: "snapshot", epoch: "e2", seq: 4, messages: [], has_more: false };
  assert.deepEqual(advance(null, snapshot), { epoch: "e2", seq: 4 });
  assert.deepEqual(advance(AT_7, snapshot), { epoch: "e2", seq: 4 });
});

test("every kind of entry carries the cursor on by one", () => {
  for (const entry of entries(8)) assert.deepEqual(advance(AT_7, entry), { epoch: "e1", seq: 8 });
});

test("a missing, doubled or early entry is a gap, and so is one before any snapshot", () => {
  for (const seq of [9, 7, 6]) {
    for (const entry of entries(seq)) assert.equal(advance(AT_7, entry), "gap");
  }
  for (const entry of entries(1)) assert.equal(advance(null, entry), "gap");
});

test("a resume at the cursor goes on, one at another place or epoch is a gap", () => {
  assert.equal(advance(AT_7, { type: "resumed", epoch: "e1", seq: 7 }), AT_7);
  assert.equal(advance(AT_7, { type: "resumed", epoch: "e1", seq: 8 }), "gap");
  assert.equal(advance(AT_7, { type: "resumed", epoch: "e2", seq: 7 }), "gap");
  assert.equal(advance(null, { type: "resumed", epoch: "e1", seq: 7 }), "gap");
});

test("a heartbeat ahead of the cursor tells of entries that never came", () => {
  assert.equal(advance(AT_7, { type: "heartbeat", seq: 7 }), AT_7);
  assert.equal(advance(AT_7, { type: "heartbeat", seq: 8 }), "gap");
});

test("frames without a place in the log leave the cursor alone, those of the future too", () => {
  assert.equal(advance(AT_7, { type: "payment.updated", payment: payment() }), AT_7);
  assert.equal(advance(AT_7, { type: "error", code: "not_found", detail: "" }), AT_7);
  assert.equal(advance(AT_7, /** @type {any} */ ({ type: "viewers", count: 3 })), AT_7);
});

test("the feed stands on the page's own host, over TLS when the page is, with the cursor when there is one", () => {
  assert.equal(feedUrl({ protocol: "http:", host: "localhost:8000" }, null), "ws://localhost:8000/api/feed");
  assert.equal(
    feedUrl({ protocol: "https:", host: "b.example" }, { epoch: "a&b", seq: 7 }),
    "wss://b.example/api/feed?after=7&epoch=a%26b",
  );
});
