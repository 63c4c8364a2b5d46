import assert from "node:assert/strict";
import test from "node:test";

import { listed, pinsNote } from "../../frontend/buying/composer.js";
import { follow, told } from "../../frontend/buying/payment.js";
import { noPurchase } from "../../frontend/buying/purchase.js";
import { message, page, payment } from "./samples.js";

const NONE = { rewritable: null };

/**
 * @param {PaymentStatus} status
 * @param {Partial<Followed>} [change]
 * @returns {Purchase}
 */
function following(status, change = {}, text = "") {
  const message_id = status === "fulfilled" ? 7 : null;
  const followed = { ...told(follow("pay-1", "returned", 0), payment({ status, message_id })), ...change };
  return { ...noPurchase(), draft: { ...noPurchase().draft, text }, followed: [followed] };
}

test("the list has payments first, then messages, each with its state, and a link only if it is on the board", () => {
  const own = [
    { id: 6, posted_at: "", text: "six", gone: "refunded" },
    { id: 5, posted_at: "" }, // stored by an earlier version
  ];
  assert.deepEqual(listed(following("processing"), own), [
    { text: "hello", state: "processing", messageId: null, ...NONE },
    { text: "six", state: "refunded", messageId: null, ...NONE },
    { text: null, state: "fulfilled", messageId: 5, ...NONE },
  ]);
});

test("a message is listed once, whether its payment is still followed or not", () => {
  const own = [{ id: 7, posted_at: "", text: "hello", gone: null }];
  const line = { text: "hello", state: "fulfilled", messageId: 7, ...NONE };
  for (const arrival of /** @type {const} */ (["going", "done"])) {
    assert.deepEqual(listed(following("fulfilled", { arrival }), own), [line]);
  }
  const removed = listed(following("fulfilled", { removed: true }), []);
  assert.deepEqual(removed, [{ text: "hello", state: "moderated", messageId: null, ...NONE }]);
});

test("a checkout that was only opened is not listed", () => {
  assert.deepEqual(listed(following("pending", { stage: "opened" }), []), []);
  assert.equal(listed(following("pending"), []).length, 1);
});

test("a text that was not posted can be put back, but not over another one", () => {
  for (const status of /** @type {const} */ (["failed", "expired"])) {
    assert.equal(listed(following(status), [])[0]?.rewritable, "pay-1");
    assert.equal(listed(following(status, {}, "another"), [])[0]?.rewritable, null);
  }
  assert.equal(listed(following("refunded"), [])[0]?.rewritable, null);
});

test("if the top is full, the form says what an amount buys there; if there is room, nothing", () => {
  /** @param {number} count */
  const pins = (count) => ({ ...page([]), now: "", messages: Array.from({ length: count }, (_, index) => message(index + 1, { amount: 500 })) });
  const note = (/** @type {number} */ amount, count = 20) => pinsNote(pins(count), { amount, currency: "usd" });
  assert.equal(note(500, 19), "");
  assert.match(note(500), /^20 messages are on top already; yours takes the place of the last one/);
  assert.match(note(300), /^20 messages are on top already, for \$5 or more; yours joins them/);
});
