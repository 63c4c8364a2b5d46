import assert from "node:assert/strict";
import test from "node:test";

import { cardFor, follow, isForgettable, isSpent, mayBePaid, pollDelay, storedFrom, told } from "../../frontend/buying/payment.js";
import { payment } from "./samples.js";


/** @type {PaymentStatus[]} */
const STATUSES = ["pending", "processing", "fulfilled", "failed", "expired", "refunded", "disputed"];

/**
 * @param {Stage} stage
 * @param {PaymentStatus | null} status
 * @param {Partial<Followed>} [change]
 * @returns {Followed}
 */
function followed(stage, status, change = {}) {
  return { ...follow("pay-1", stage, 0), payment: status && payment({ status }), content: status && payment(), ...change };
}

test("every status shows its own card to a buyer who came back from checkout", () => {
  const cards = STATUSES.map((status) => cardFor(followed("returned", status), 0));
  assert.deepEqual(
    cards.map((card) => card?.status),
    STATUSES,
  );
  assert.equal(new Set(cards.map((card) => card?.title)).size, STATUSES.length);
});

test("after checkout the card waits, before the first response and after it, and warns against paying twice", () => {
  for (const status of /** @type {const} */ ([null, "pending", "processing"])) {
    const card = cardFor(followed("returned", status), 0);
    assert.equal(card?.tone, "waiting");
    assert.match(card?.text ?? "", /No need to pay again/);
  }
});

test("after a long wait for confirmation the card says so, and still warns against paying twice", () => {
  const early = cardFor(followed("returned", "pending"), 19_000);
  const late = cardFor(followed("returned", "pending"), 21_000);
  assert.notEqual(early?.title, late?.title);
  assert.equal(late?.status, "pending");
  assert.match(late?.text ?? "", /No need to pay again/);
});

test("a checkout that was only opened or cancelled has no card until a payment is known", () => {
  for (const stage of /** @type {const} */ (["opened", "cancelled"])) {
    for (const status of /** @type {const} */ ([null, "pending", "expired"])) {
      assert.equal(cardFor(followed(stage, status), 0), null);
    }
    for (const status of /** @type {const} */ (["processing", "fulfilled", "failed", "refunded"])) {
      assert.equal(cardFor(followed(stage, status), 0)?.status, status);
    }
    assert.equal(cardFor(followed(stage, null, { missing: true }), 0), null);
  }
});

test("an abandoned checkout that ended is forgotten, one that the buyer came back from is not", () => {
  for (const stage of /** @type {const} */ (["opened", "cancelled"])) {
    assert.deepEqual(
      STATUSES.filter((status) => isForgettable(followed(stage, status))),
      ["expired"],
    );
    assert.ok(isForgettable(followed(stage, null, { missing: true })));
  }
  assert.ok(!isForgettable(followed("returned", "expired")));
  assert.ok(!isForgettable(followed("returned", null, { missing: true })));
});

test("an unknown payment and a removed message have their own cards", () => {
  assert.equal(cardFor(followed("returned", null, { missing: true }), 0)?.status, "unknown");
  const removed = cardFor(followed("returned", "fulfilled", { removed: true }), 0);
  assert.equal(removed?.tone, "calm");
  assert.ok(!removed?.actions.includes("show"));
});

test("only a refused or expired payment offers to try again", () => {
  for (const status of STATUSES) {
    const retry = cardFor(followed("returned", status), 0)?.actions.includes("rewrite");
    assert.equal(retry, status === "failed" || status === "expired", status);
  }
});

test("every card says which message it is about; only a payment that failed is an alarm", () => {
  for (const status of STATUSES) {
    const card = cardFor(followed("returned", status), 0);
    assert.match(card?.text ?? "", /“\u2068hello\u2069”/u, status);
    assert.equal(card?.tone === "bad", status === "failed", status);
  }
  assert.match(cardFor(followed("returned", null), 0)?.text ?? "", /Your message will then be/);
});

test("the message is quoted by its start, cut between graphemes and in its own direction", () => {
  const text = (/** @type {string} */ words) =>
    cardFor(told(follow("pay-1", "returned", 0), payment({ status: "processing", text: words })), 0)?.text;
  assert.match(text("two\nlines & $& more") ?? "", /“\u2068two lines & \$& more\u2069”/u);
  assert.match(text("👩‍👩‍👧‍👦".repeat(20)) ?? "", /“\u2068(👩‍👩‍👧‍👦){8}…\u2069”/u);
});

test("no payment, no card", () => {
  assert.equal(cardFor(null, 0), null);
});

test("a late response changes nothing", () => {
  const fulfilled = followed("returned", "fulfilled");
  assert.equal(told(fulfilled, payment({ status: "pending" })), fulfilled);
  assert.equal(told(fulfilled, payment({ status: "processing" })), fulfilled);
  const processing = followed("returned", "processing");
  assert.equal(told(processing, payment({ status: "pending" })), processing);
});

test("every allowed change of status is applied, and means that the payment exists", () => {
  /** @type {[PaymentStatus, PaymentStatus[]][]} */
  const moves = [
    ["pending", ["pending", "processing", "fulfilled", "expired", "refunded"]],
    ["processing", ["processing", "fulfilled", "failed", "refunded"]],
    ["expired", ["fulfilled", "refunded"]],
    ["failed", ["fulfilled", "refunded"]],
    ["fulfilled", ["refunded", "disputed"]],
    ["refunded", ["fulfilled"]],
    ["disputed", ["fulfilled"]],
  ];
  for (const [from, targets] of moves) {
    for (const status of targets) {
      assert.equal(told(followed("returned", from, { missing: true }), payment({ status })).payment?.status, status);
      assert.equal(told(followed("returned", from, { missing: true }), payment({ status })).missing, false);
    }
  }
});

test("paying again is blocked exactly while a payment may be in progress", () => {
  for (const status of STATUSES) {
    const open = status === "pending" || status === "processing";
    assert.equal(mayBePaid(followed("returned", status)), open, status);
    assert.equal(mayBePaid(followed("opened", status)), status === "processing", status);
  }
  assert.ok(mayBePaid(followed("returned", null)));
  assert.ok(!mayBePaid(followed("returned", null, { missing: true })));
});

test("the server is polled while there is something to wait for, less and less often, and rarely for a bank", () => {
  const half = () => 0.5;
  const waiting = followed("returned", "pending");
  assert.deepEqual(
    [0, 1, 2, 3, 4, 9].map((attempt) => pollDelay(waiting, attempt, half)),
    [2_000, 4_000, 8_000, 16_000, 30_000, 30_000],
  );
  assert.equal(pollDelay(followed("returned", "processing"), 0, half), 30_000);
  assert.equal(pollDelay(followed("returned", "processing"), 20, half), 300_000);
  for (const status of /** @type {const} */ (["fulfilled", "failed", "expired", "refunded", "disputed"])) {
    assert.equal(pollDelay(followed("returned", status), 0), null);
  }
  assert.equal(pollDelay(followed("opened", "pending"), 0), null);
});

test("a payment that ended without a post is spent, one that may still post is not", () => {
  assert.deepEqual(STATUSES.filter(isSpent), ["failed", "expired", "refunded", "disputed"]);
});

test("what was stored comes back, and garbage in the store is ignored", () => {
  const stored = { id: "pay-1", stage: "returned", since: 5, dismissed: "processing" };
  assert.deepEqual(storedFrom(JSON.parse(JSON.stringify(stored))), stored);
  assert.equal(storedFrom({ ...stored, dismissed: "toString" })?.dismissed, null);
  for (const rubbish of [null, 1, {}, { ...stored, id: 5 }, { ...stored, stage: "paid" }, { ...stored, since: "now" }]) {
    assert.equal(storedFrom(rubbish), null);
  }
});
