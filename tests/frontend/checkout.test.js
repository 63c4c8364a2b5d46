import assert from "node:assert/strict";
import test from "node:test";

import { Api } from "../../frontend/api.js";
import { checkOut, randomUuid } from "../../frontend/checkout.js";
import { payment } from "./samples.js";
import { BoardServer } from "./server.js";

/** @import { Answer } from "./server.js" */

const server = await BoardServer.start();
test.after(() => server.stop());

/**
 * Makes the server give these responses, one after another, and then keep repeating the last.
 *
 * @param {Answer[]} answers
 */
function answers(...answers) {
  server.requests = [];
  server.answer = () => (answers.length > 1 ? answers.shift() : answers[0]) ?? null;
}

/** A tab with its draft: the next attempt starts from what was saved. */
class Tab {
  /** @type {Draft} */
  draft;
  /** @type {number[]} */
  waits = [];
  #keys = 0;

  /** @param {string} text */
  constructor(text) {
    this.draft = { text, author: "", intent: null };
  }

  pay() {
    return checkOut({
      api: new Api(`http://${server.host}`),
      draft: this.draft,
      save: (draft) => (this.draft = draft),
      newKey: () => `key-${(this.#keys += 1)}`,
      sleep: async (ms) => void this.waits.push(ms),
    });
  }
}

const sentKeys = () => server.requests.map(({ headers }) => headers["idempotency-key"]);
const problem = (/** @type {string} */ code, status = 409, headers = {}) => ({ status, headers, body: { code, detail: code } });
const created = (change = {}) => ({ status: 201, body: payment(change) });

test("a new payment leads to checkout", async () => {
  answers(created());
  const outcome = await new Tab("hello").pay();
  assert.deepEqual(outcome, { kind: "go", url: "https://checkout.example/c/1", payment: payment() });
});

test("the key is saved before it is sent, so that a reload can't lose it", async () => {
  const tab = new Tab("hello");
  server.answer = () => {
    assert.equal(tab.draft.intent?.key, "key-1");
    return created();
  };
  assert.equal((await tab.pay()).kind, "go");
});

test("after a lost response, a broken server or an unavailable provider, the same payment is requested again", async () => {
  /** @type {[Answer, string][]} */
  const troubles = [
    [null, "unanswered"],
    [problem("internal_error", 500), "unanswered"],
    [{ status: 502, body: "<h1>Bad gateway</h1>" }, "unanswered"],
    [problem("payment_provider_unavailable", 503), "down"],
  ];
  for (const [trouble, kind] of troubles) {
    const tab = new Tab("hello");
    answers(trouble, created());
    assert.equal((await tab.pay()).kind, kind);
    assert.equal((await tab.pay()).kind, "go");
    assert.deepEqual(sentKeys(), ["key-1", "key-1"]);
  }
});

test("while the first attempt is in progress, the second waits for it with the same key", async () => {
  const tab = new Tab("hello");
  const busy = problem("idempotency_in_progress", 409, { "Retry-After": "2" });
  answers(busy, busy, created());
  assert.equal((await tab.pay()).kind, "go");
  assert.deepEqual(tab.waits, [2_000, 2_000]);
  assert.deepEqual(sentKeys(), ["key-1", "key-1", "key-1"]);
});

test("an attempt that never gets a response is given up after half a minute", async () => {
  const tab = new Tab("hello");
  answers(problem("idempotency_in_progress"));
  assert.equal((await tab.pay()).kind, "unanswered");
  const waited = tab.waits.reduce((sum, ms) => sum + ms, 0);
  assert.ok(waited >= 30_000 && waited <= 40_000, `${waited}`);
});

test("a payment that is paid or processing is never paid again", async () => {
  for (const status of ["fulfilled", "processing"]) {
    answers(created({ status, checkout_url: null, message_id: 7 }));
    assert.equal((await new Tab("hello").pay()).kind, "known");
    assert.equal(server.requests.length, 1);
  }
});

test("after a payment that ended unpaid comes a new one, with a new key", async () => {
  for (const status of ["expired", "failed", "refunded", "disputed"]) {
    const tab = new Tab("hello");
    answers(created({ status, checkout_url: null }), created({ id: "pay-2" }));
    const outcome = await tab.pay();
    assert.equal(outcome.kind === "go" && outcome.payment.id, "pay-2");
    assert.deepEqual(sentKeys(), ["key-1", "key-2"]);
    assert.equal(tab.draft.intent?.key, "key-2");
  }
});

test("a key that was used with other content is replaced", async () => {
  answers(problem("idempotency_conflict", 422), created());
  assert.equal((await new Tab("hello").pay()).kind, "go");
  assert.deepEqual(sentKeys(), ["key-1", "key-2"]);
});

test("a server that never returns a payable payment is not asked forever", async () => {
  answers(created({ status: "expired" }));
  assert.equal((await new Tab("hello").pay()).kind, "unanswered");
  assert.equal(server.requests.length, 2);
});

test("a refusal comes back with its fields, a rate limit with the time to wait", async () => {
  const errors = [{ field: "text", message: "too long" }];
  answers({ status: 422, body: { code: "invalid_request", detail: "No.", errors } });
  assert.deepEqual(await new Tab("hello").pay(), { kind: "invalid", errors, detail: "No." });
  answers(problem("rate_limited", 429, { "Retry-After": "12" }));
  assert.deepEqual(await new Tab("hello").pay(), { kind: "limited", waitMs: 12_000 });
  answers(problem("rate_limited", 429));
  assert.deepEqual(await new Tab("hello").pay(), { kind: "limited", waitMs: 30_000 });
});

test("the buyer is never sent to anything but a web address", async () => {
  for (const checkout_url of ["javascript:alert(1)", null]) {
    answers(created({ checkout_url }));
    assert.equal((await new Tab("hello").pay()).kind, "down");
  }
});

test("keys are random UUIDs of version 4, also without crypto.randomUUID", () => {
  const keys = new Set(Array.from({ length: 500 }, () => randomUuid()));
  assert.equal(keys.size, 500);
  for (const key of keys) assert.match(key, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
